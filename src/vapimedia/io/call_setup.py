"""What a bridge's settings mean for one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vapimedia.formats import AudioFormat
from vapimedia.io.config import BridgeConfig
from vapimedia.protocols import get_dialect
from vapimedia.protocols.dialect import Dialect
from vapimedia.protocols.twilio import TwilioSettings
from vapimedia.session import SessionConfig

__all__ = ["DIALECT_SETTINGS", "new_dialect", "session_config", "vapi_format"]


def _twilio_settings(config: BridgeConfig) -> TwilioSettings:
    return TwilioSettings(
        account_sid=config.twilio_account_sid,
        auth_token=config.twilio_auth_token,
        api_url=config.twilio_api_url,
        public_url=config.public_url,
        auth=config.auth,
    )


DIALECT_SETTINGS: Mapping[str, Callable[[BridgeConfig], Any]] = {"twilio": _twilio_settings}
"""What each provider's dialect is built with, by the provider's name."""


def new_dialect(config: BridgeConfig, provider: str, call_id: str = "") -> Dialect:
    """Return *provider*'s dialect for one webhook, or for one call, by its id if that is known."""
    settings = DIALECT_SETTINGS[provider](config)
    dialect = get_dialect(provider)
    return dialect(settings, call_id=call_id)  # type: ignore[call-arg]  # each has settings of its own


def vapi_format(config: BridgeConfig, dialect: Dialect) -> AudioFormat:
    """Return the configured format, or the one that needs least work for the provider's."""
    chosen = config.vapi_audio_format()
    if chosen is not None:
        return chosen
    leg = dialect.leg_format.audio_format
    if leg is not None and leg.encoding in ("mulaw", "pcm_s16le"):
        return leg
    return AudioFormat("pcm_s16le", leg.sample_rate if leg is not None else 16000)


def session_config(config: BridgeConfig, vapi_format: AudioFormat) -> SessionConfig:
    """Return the settings of one call's session."""
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
    )
