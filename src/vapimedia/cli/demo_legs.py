"""The phone legs that the demo can make: a provider and the format of its media."""

from __future__ import annotations

from dataclasses import dataclass

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

__all__ = ["Leg", "leg_of"]

# Each with its default first.
_RATES = {"twilio": (8000,), "vonage": (16000, 8000, 24000), "browser": (48000, 44100)}
_MAX_PLAIN_HZ = 24_000


@dataclass(frozen=True)
class Leg:
    """One provider's media. ``exact_frames``: each message to it must be exactly 20 ms."""

    provider: str
    format: AudioFormat
    exact_frames: bool = False

    @property
    def auto_format(self) -> AudioFormat:
        """What a bridge is to speak with Vapi unless it is told otherwise: what needs least work."""
        if self.format.sample_rate > _MAX_PLAIN_HZ:
            return AudioFormat("pcm_s16le", 16000)
        return self.format

    def __str__(self) -> str:
        name = self.provider.title()
        return name if self.provider == "twilio" else f"{name} ({self.format})"


def leg_of(provider: str, rate: int | None = None) -> Leg:
    """Return the leg of *provider*, at its default rate if none is given. Raises ``ConfigError``."""
    rates = _RATES.get(provider)
    if rates is None:
        raise ConfigError(f"--provider must be one of {', '.join(_RATES)}, not {provider!r}")
    chosen = rates[0] if rate is None else rate
    if chosen not in rates:
        known = " or ".join(map(str, sorted(rates)))
        raise ConfigError(
            f"--rate must be {known} with {provider}, whose audio has no other rate, not {rate}"
        )
    if provider == "twilio":
        return Leg(provider, AudioFormat("mulaw", chosen))
    return Leg(provider, AudioFormat("pcm_s16le", chosen), exact_frames=provider == "vonage")
