"""Every provider's message language, and Vapi's: messages in, typed events out. Pure Python, sans-I/O.

A dialect is chosen by name (``get_dialect("twilio")``) and loaded only then.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from vapimedia.errors import ConfigError
from vapimedia.protocols.commands import CloseSocket, Command, HttpCall, SendBinary, SendText
from vapimedia.protocols.events import (
    CallProgress,
    Cleared,
    Connected,
    Dtmf,
    LegFormat,
    MarkPlayed,
    Media,
    Problem,
    ProviderEvent,
    Started,
    Stopped,
    UnknownMessage,
)
from vapimedia.protocols.forwarding import ForwardTo, forward_to

if TYPE_CHECKING:
    from vapimedia.protocols.dialect import (
        Caps,
        Dialect,
        DialRequest,
        Document,
        IncomingCall,
        Refusal,
        Routes,
        StatusReport,
        UpgradeRequest,
        WebhookRequest,
    )

__all__ = [
    "DIALECTS",
    "CallProgress",
    "Caps",
    "Cleared",
    "CloseSocket",
    "Command",
    "Connected",
    "DialRequest",
    "Dialect",
    "Document",
    "Dtmf",
    "ForwardTo",
    "HttpCall",
    "IncomingCall",
    "LegFormat",
    "MarkPlayed",
    "Media",
    "Problem",
    "ProviderEvent",
    "Refusal",
    "Routes",
    "SendBinary",
    "SendText",
    "Started",
    "StatusReport",
    "Stopped",
    "UnknownMessage",
    "UpgradeRequest",
    "WebhookRequest",
    "forward_to",
    "get_dialect",
]

DIALECTS = {
    "twilio": "vapimedia.protocols.twilio:TwilioDialect",
    "vonage": "vapimedia.protocols.vonage:VonageDialect",
    "browser": "vapimedia.protocols.browser:BrowserDialect",
}
"""Where each dialect lives, by its name."""

# These need vapimedia.media, which loads compiled code; whoever only reads events does not pay for it.
_FROM_DIALECT = frozenset(
    {
        "Caps",
        "DialRequest",
        "Dialect",
        "Document",
        "IncomingCall",
        "Refusal",
        "Routes",
        "StatusReport",
        "UpgradeRequest",
        "WebhookRequest",
    }
)


def get_dialect(name: str) -> type[Dialect]:
    """Return the class of the dialect called *name*. Raises ``ConfigError`` with the known names.

    Each class is built with its own settings: ``TwilioDialect(TwilioSettings(...))``.
    """
    if name not in DIALECTS:
        raise ConfigError(f"unknown provider {name[:40]!r}; known are {', '.join(sorted(DIALECTS))}")
    module, _, attribute = DIALECTS[name].partition(":")
    return cast("type[Dialect]", getattr(import_module(module), attribute))


def __getattr__(name: str) -> Any:
    if name in _FROM_DIALECT:
        return getattr(import_module("vapimedia.protocols.dialect"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
