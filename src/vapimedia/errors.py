"""The exceptions of vapimedia. Their classes say whose fault it was.

::

    VapimediaError
    +-- ProtocolError   the peer broke its protocol (a provider, Vapi, a proxy between)
    +-- StateError      the caller used an object in a state that forbids it
    +-- ConfigError     a setting is missing, unknown or wrong; nothing was started (a ValueError too)
    +-- VapiError       Vapi's API refused or could not be reached; carries the HTTP status
    +-- ProviderError   the telephony provider's API did, when it was to make a call; likewise
"""

from __future__ import annotations

__all__ = ["ConfigError", "ProtocolError", "ProviderError", "StateError", "VapiError", "VapimediaError"]


class VapimediaError(Exception):
    """Base of every exception that vapimedia raises on purpose."""


class ProtocolError(VapimediaError):
    """The peer broke its protocol. ``close_code`` is what the WebSocket should be closed with (RFC 6455 s. 7.4)."""

    def __init__(self, message: str, *, close_code: int = 1002) -> None:
        super().__init__(message)
        self.close_code = close_code


class StateError(VapimediaError):
    """An object was used in a state that forbids it, for example a resampler pushed after ``flush``."""


class ConfigError(VapimediaError, ValueError):
    """A setting is missing, unknown or wrong. The text names the setting and what would be right."""


class VapiError(VapimediaError):
    """Vapi's API refused a request, or no answer came.

    ``status`` is the HTTP status, or ``None`` when there was no answer. The text carries the API's own
    message, never the key.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ProviderError(VapimediaError):
    """The telephony provider's API did not make a call, or no answer came.

    ``status`` is the HTTP status, or ``None`` when there was no answer. The text carries the API's own message,
    never a number, a key or a token.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
