"""The exceptions of vapimedia. Their classes say whose fault it was.

::

    VapimediaError
    +-- ProtocolError   the peer broke its protocol (a provider, Vapi, a proxy between)
    +-- StateError      the caller used an object in a state that forbids it
    +-- ConfigError     a setting is missing, unknown or wrong; nothing was started (a ValueError too)
    +-- VapiError       Vapi's API refused or could not be reached; carries the HTTP status
    |   +-- ConcurrencyBlocked   the account has as many calls as it may have
    |   +-- CallOver             the call that was to be controlled or listened to does not run
    +-- ProviderError   the telephony provider's API did, when it was to make a call; likewise
"""

from __future__ import annotations

from typing import Any

__all__ = ["CallOver", "ConcurrencyBlocked", "ConfigError", "ProtocolError", "ProviderError"]
__all__ += ["StateError", "VapiError", "VapimediaError"]


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


class ConcurrencyBlocked(VapiError):  # noqa: N818  named by Vapi's field
    """The account has as many calls as it may have: the call was not started.

    ``limit`` and ``remaining`` are calls at a time, ``None`` where Vapi did not say. ``call`` is the
    ``CreatedCall`` that Vapi answered with, if it did.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        limit: int | None = None,
        remaining: int | None = None,
        call: Any = None,
    ) -> None:
        super().__init__(message, status=status)
        self.limit = limit
        self.remaining = remaining
        self.call = call


class CallOver(VapiError):  # noqa: N818  it says what is the case
    """The call does not run: it is over, or has not begun, so that there is nothing to control or to listen to."""


class ProviderError(VapimediaError):
    """The telephony provider's API did not make a call, or no answer came.

    ``status`` is the HTTP status, or ``None`` when there was no answer. The text carries the API's own message,
    never a number, a key or a token.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
