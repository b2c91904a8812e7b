"""What a bridge's settings mean for one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.io.config import BridgeConfig
from vapimedia.protocols.browser import BrowserDialect, BrowserSettings
from vapimedia.protocols.dialect import Dialect
from vapimedia.protocols.seen import OnceLedger
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.protocols.vonage import VonageDialect, VonageSettings
from vapimedia.secret import Secret
from vapimedia.session import SessionConfig

__all__ = ["Dialects", "session_config", "vapi_format"]

# Above this rate a voice sounds no better, and every sample is converted, sent and converted back.
_MAX_PLAIN_HZ = 24_000


_Maker = Callable[[str, OnceLedger], Dialect]


def _twilio(config: BridgeConfig) -> _Maker:
    settings = TwilioSettings(
        account_sid=config.twilio_account_sid.reveal(),
        auth_token=config.twilio_auth_token,
        api_url=config.twilio_api_url,
        public_url=config.public_url,
        auth=config.auth,
    )
    return lambda call_id, _seen: TwilioDialect(settings, call_id=call_id)


def _vonage(config: BridgeConfig) -> _Maker:
    settings = VonageSettings(
        api_key=config.vonage_api_key.reveal(),
        application_id=config.vonage_application_id.reveal(),
        private_key=_private_key(config.vonage_private_key),
        signature_secret=config.vonage_signature_secret,
        api_url=config.vonage_api_url,
        sample_rate=config.vonage_rate,
        from_number=config.vonage_from,
        auth=config.auth,
    )
    return lambda call_id, seen: VonageDialect(settings, call_id=call_id, seen=seen)


def _browser(config: BridgeConfig) -> _Maker:
    settings = BrowserSettings(
        secret=config.browser_secret,
        public_url=config.public_url,
        auth=config.auth,
    )
    return lambda call_id, _seen: BrowserDialect(settings, call_id=call_id)


_MAKERS: Mapping[str, Callable[[BridgeConfig], _Maker]] = {
    "twilio": _twilio,
    "vonage": _vonage,
    "browser": _browser,
}


class Dialects:
    """Makes the dialects of a bridge. Raises ``ConfigError`` for settings that a provider cannot work with.

    What is good once is spent in *seen*, unless ``new`` is told otherwise.
    """

    def __init__(self, config: BridgeConfig, seen: OnceLedger) -> None:
        self._seen = seen
        self._makers = {name: _MAKERS[name](config) for name in config.providers}
        for provider in self._makers:
            self.new(provider)

    def new(self, provider: str, call_id: str = "", *, seen: OnceLedger | None = None) -> Dialect:
        """Return *provider*'s dialect for one webhook, or for one call, by its id if that is known."""
        return self._makers[provider](call_id, self._seen if seen is None else seen)


def vapi_format(config: BridgeConfig, dialect: Dialect) -> AudioFormat:
    """Return the configured format, or the one that needs least work for the provider's."""
    chosen = config.vapi_audio_format()
    if chosen is not None:
        return chosen
    leg = dialect.leg_format.audio_format
    if leg is None or leg.sample_rate > _MAX_PLAIN_HZ:
        return AudioFormat("pcm_s16le", 16000)
    return leg if leg.encoding in ("mulaw", "pcm_s16le") else AudioFormat("pcm_s16le", leg.sample_rate)


def session_config(config: BridgeConfig, vapi_format: AudioFormat, *, ring_ms: int = 0) -> SessionConfig:
    """Return the settings of one call's session, which may ring for *ring_ms* before it is answered."""
    return SessionConfig(
        vapi_format=vapi_format,
        quality=config.quality,
        lead_ms=config.lead_ms,
        prebuffer_ms=config.prebuffer_ms,
        paced=not config.unpaced,
        dtmf=config.dtmf,
        barge_in=config.barge_in,
        interrupt_guard_ms=config.interrupt_guard_ms,
        on_vapi_lost=config.on_vapi_lost,
        vapi_transfers=config.vapi_transfers,
        ring_ms=ring_ms,
    )


def _private_key(setting: Secret) -> Secret:
    """Return the key itself, from a file if *setting* is a path."""
    if not setting or setting.reveal().lstrip().startswith("-----BEGIN"):
        return setting
    try:
        return Secret(Path(setting.reveal()).expanduser().read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        # The text may be a mangled key rather than a path: it is not shown.
        raise ConfigError(
            f"VONAGE_PRIVATE_KEY is neither a PEM key nor a file that can be read: {why}"
        ) from None
