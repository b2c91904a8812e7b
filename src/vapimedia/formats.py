"""Audio formats: what bytes mean. Mono throughout."""

from __future__ import annotations

import re
from numbers import Integral
from typing import Literal, get_args

import msgspec

from vapimedia.errors import ConfigError

__all__ = ["AudioFormat", "Encoding", "Quality"]

Encoding = Literal["mulaw", "alaw", "pcm_s16le"]
Quality = Literal["telephone", "balanced", "high"]

# Names accepted on input; the values are Vapi's and FFmpeg's words (the project's only spelling on output).
_ALIASES: dict[str, Encoding] = {
    "mulaw": "mulaw",
    "ulaw": "mulaw",
    "pcmu": "mulaw",
    "audio/x-mulaw": "mulaw",
    "audio/pcmu": "mulaw",
    "audio/basic": "mulaw",
    "alaw": "alaw",
    "pcma": "alaw",
    "audio/x-alaw": "alaw",
    "audio/pcma": "alaw",
    "pcm_s16le": "pcm_s16le",
    "l16": "pcm_s16le",
    "linear16": "pcm_s16le",
    "audio/l16": "pcm_s16le",
    "audio/x-l16": "pcm_s16le",
    "audio/x-raw": "pcm_s16le",
}
_SILENCE: dict[str, bytes] = {"mulaw": b"\xff", "alaw": b"\xd5", "pcm_s16le": b"\x00\x00"}
_TEXT = re.compile(r"(?P<name>[a-z0-9_./-]+?)(?:/(?P<rate>\d+)|\s*;\s*rate=(?P<mime_rate>\d+))\Z")


class AudioFormat(msgspec.Struct, frozen=True):
    """An encoding and a sample rate. Raises ``ConfigError`` for anything it does not know."""

    encoding: Encoding
    sample_rate: int

    def __post_init__(self) -> None:
        if self.encoding not in get_args(Encoding):
            raise ConfigError(
                f"unknown encoding {self.encoding!r}; known are {', '.join(get_args(Encoding))}"
            )
        if not isinstance(self.sample_rate, Integral) or not 1000 <= self.sample_rate <= 192_000:
            raise ConfigError(f"sample rate {self.sample_rate!r} is not a whole number of Hz in 1000..192000")

    @classmethod
    def parse(cls, text: str) -> AudioFormat:
        """Read ``mulaw/8000``, ``audio/l16;rate=16000`` and their aliases. Raises ``ConfigError``."""
        found = _TEXT.match(text.strip().lower())
        encoding = _ALIASES.get(found["name"]) if found else None
        if found is None or encoding is None:
            raise ConfigError(
                f"cannot read audio format {text!r}; write it like mulaw/8000 or pcm_s16le/16000"
            )
        return cls(encoding, int(found["rate"] or found["mime_rate"]))

    @property
    def bytes_per_sample(self) -> int:
        """1 for G.711, 2 for pcm_s16le."""
        return len(self.silence)

    @property
    def silence(self) -> bytes:
        """One sample of silence: ``FF``, ``D5``, ``00 00``."""
        return _SILENCE[self.encoding]

    def frame_bytes(self, ptime_ms: int = 20) -> int:
        """Return the bytes of one frame: 160 for mulaw/8000, 640 for pcm_s16le/16000.

        Raises ``ConfigError`` when *ptime_ms* is not in 1..1000, or not a whole number of samples.
        """
        if not isinstance(ptime_ms, Integral) or not 1 <= ptime_ms <= 1000:
            raise ConfigError(f"ptime_ms {ptime_ms!r} is not a whole number in 1..1000")
        n_samples, rest = divmod(self.sample_rate * ptime_ms, 1000)
        if rest:
            raise ConfigError(f"{ptime_ms} ms of {self} is not a whole number of samples")
        return n_samples * self.bytes_per_sample

    def __str__(self) -> str:
        return f"{self.encoding}/{self.sample_rate}"
