"""The settings of a bridge as flags, for every command that runs one. Each is said once, here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "LOG_LEVELS",
    "Admin",
    "App",
    "AssistantId",
    "Auth",
    "BargeIn",
    "CoalesceUs",
    "ConfigFile",
    "DrainS",
    "Dtmf",
    "Host",
    "InterruptGuardMs",
    "LeadMs",
    "LogFormat",
    "LogLevel",
    "MaxCalls",
    "OnCallbackError",
    "OnVapiLost",
    "PingIntervalS",
    "Port",
    "PrebufferMs",
    "Providers",
    "PublicUrl",
    "Quality",
    "Record",
    "TokenTtlS",
    "ToolTimeoutS",
    "Unpaced",
    "VapiFormat",
    "VapiHosts",
    "VapiUrl",
    "VapiWsAuth",
    "VonageRate",
    "WebhookTimeoutS",
    "WireLog",
    "Workers",
    "config_file",
    "option",
]

LOG_LEVELS = ("debug", "info", "warning", "error")
_WHERE, _MEDIA, _LIMITS = "Where", "Media", "Limits and safety"


def option(*names: str, text: str, default: object = None, panel: str = _WHERE) -> Any:
    """Return a flag; ``None`` stands for not given, so that a variable or the file may say it."""
    note = "" if default is None else f" Default: {default}."
    return typer.Option(*names, help=text + note, show_default=False, rich_help_panel=panel)


def _media(name: str, text: str, default: object = None) -> Any:
    return option(name, text=text, default=default, panel=_MEDIA)


def _limit(name: str, text: str, default: object = None) -> Any:
    return option(name, text=text, default=default, panel=_LIMITS)


Host = Annotated[str | None, option("--host", text="Address of the public port.", default="127.0.0.1")]
Port = Annotated[int | None, option("--port", text="Public port; 0 picks a free one.", default=8080)]
Providers = Annotated[
    list[str] | None, option("--provider", text="Telephony provider; may be repeated.", default="twilio")
]
PublicUrl = Annotated[
    str | None, option("--public-url", text="Origin under which the provider reaches us, https://host.")
]
VapiUrl = Annotated[
    str | None, option("--vapi-url", text="Base of Vapi's API.", default="https://api.vapi.ai")
]
AssistantId = Annotated[
    str | None, option("--assistant-id", text="Assistant that answers, unless the app chooses.")
]
App = Annotated[str | None, option("--app", text="Your own bridge with tools, pkg.mod:bridge.")]
Admin = Annotated[
    str | None, option("--admin", text="Address of /metrics and /calls.", default="127.0.0.1:8081")
]
ConfigFile = Annotated[
    Path | None, option("--config", text="TOML file with any of these settings; or VAPIMEDIA_CONFIG.")
]
Workers = Annotated[
    int | None, option("--workers", text="Processes that carry calls, behind one port.", default=1)
]
LogLevel = Annotated[
    str | None, option("--log-level", text=f"One of {', '.join(LOG_LEVELS)}.", default="info")
]
LogFormat = Annotated[
    str | None, option("--log-format", text="One line a record: text, or json.", default="text")
]

WireLog = Annotated[
    str | None,
    option("--wire-log", text="File for the structure of each message, without contents; for debugging."),
]

VapiFormat = Annotated[str | None, _media("--vapi-format", "auto, mulaw/8000, pcm_s16le/16000, ...", "auto")]
VonageRate = Annotated[
    int | None, _media("--vonage-rate", "Sample rate of Vonage's media: 8000, 16000, 24000.", 16000)
]
Quality = Annotated[str | None, _media("--quality", "Resampler: telephone, balanced, high.", "balanced")]
LeadMs = Annotated[int | None, _media("--lead-ms", "How far ahead of playout audio is sent.", "provider's")]
PrebufferMs = Annotated[int | None, _media("--prebuffer-ms", "Cushion that starts each utterance.", 40)]
CoalesceUs = Annotated[
    int | None, _media("--coalesce-us", "With some 80 calls and more: wait this long for more to read.", 50)
]
Dtmf = Annotated[
    str | None, _media("--dtmf", "Keys reach the assistant as message, tone, ignore.", "message")
]
BargeIn = Annotated[
    str | None,
    _media("--barge-in", "What interrupts: user-interrupted, speech-update, off.", "user-interrupted"),
]
InterruptGuardMs = Annotated[
    int | None, _media("--interrupt-guard-ms", "Drop late audio after a barge-in.", 0)
]
Record = Annotated[str | None, _media("--record", "Folder for recordings of both legs, in stereo.")]

DrainS = Annotated[float | None, _limit("--drain-s", "How long SIGTERM lets calls run on.", 30)]
TokenTtlS = Annotated[float | None, _limit("--token-ttl-s", "Life of a media socket's one-time token.", 60)]
MaxCalls = Annotated[int | None, _limit("--max-calls", "Calls at a time.", 500)]
PingIntervalS = Annotated[float | None, _limit("--ping-interval-s", "A dead peer is found within this.", 20)]
ToolTimeoutS = Annotated[float | None, _limit("--tool-timeout-s", "Limit of a tool.", 18)]
WebhookTimeoutS = Annotated[
    float | None, _limit("--webhook-timeout-s", "Limit of a handler that answers Vapi.", 18)
]
OnVapiLost = Annotated[
    str | None, _limit("--on-vapi-lost", "When Vapi goes away: hang_up, continue.", "hang_up")
]
OnCallbackError = Annotated[
    str | None, _limit("--on-callback-error", "When on_event raises: hang_up, continue.", "hang_up")
]
VapiTransfers = Annotated[
    str | None, _limit("--vapi-transfers", "When Vapi transfers to a number: forward, ignore.", "forward")
]
Auth = Annotated[
    bool | None, _limit("--auth/--no-auth", "Check signatures. --no-auth is for development only.")
]
Unpaced = Annotated[bool | None, _limit("--unpaced", "Lift lead and flood limits, for benchmarks only.")]
VapiWsAuth = Annotated[
    bool | None, _limit("--vapi-ws-auth/--no-vapi-ws-auth", "Send the bearer to Vapi's call socket.")
]
VapiHosts = Annotated[
    list[str] | None, _limit("--vapi-host", "Host suffix of call sockets; may repeat.", "vapi.ai")
]


def config_file(given: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file of ``--config``, or else of ``VAPIMEDIA_CONFIG``."""
    named = environ.get("VAPIMEDIA_CONFIG", "").strip()
    return Path(named) if given is None and named else given
