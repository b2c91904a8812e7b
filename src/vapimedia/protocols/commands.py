"""What a dialect or a session asks the I/O layer to do. Plain data; carried out in order, never awaited."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from vapimedia.secret import Secret, SecretField, keep_secret

__all__ = ["CloseSocket", "Command", "HttpCall", "SendBinary", "SendText"]


class SendText(msgspec.Struct, frozen=True):
    """Send one WebSocket text message. ``data`` is UTF-8."""

    data: bytes

    def __repr__(self) -> str:
        return f"SendText({len(self.data)} bytes)"


class SendBinary(msgspec.Struct, frozen=True):
    """Send one WebSocket binary message."""

    data: bytes

    def __repr__(self) -> str:
        return f"SendBinary({len(self.data)} bytes)"


class CloseSocket(msgspec.Struct, frozen=True):
    """Start the closing handshake (RFC 6455 s. 7.1.2).

    With ``grace_ms`` the peer, whose API was asked to, may close first: ours follows when that much time has
    passed, or at once when the request before it fails.
    """

    code: int = 1000
    reason: str = ""
    grace_ms: int = 0


class HttpCall(msgspec.Struct, frozen=True):
    """One HTTP request, tried once; nothing is held up by it. Its ``repr`` shows neither body nor headers.

    A status in ``gone`` means that there was nothing left to do and counts as success. ``purpose`` is a word
    for logs and counters (``hangup``, ``end-call``). ``sign`` returns headers that hold for one moment only, from
    the time of sending in s since 1970. ``awaited``: the session is told what became of it, by
    ``CallSession.forward_answered``.
    """

    purpose: str
    method: str
    url: SecretField
    headers: Mapping[str, str | Secret] = {}
    body: bytes = b""
    gone: frozenset[int] = frozenset({404})
    sign: Callable[[float], dict[str, Secret]] | None = None
    awaited: bool = False

    def __post_init__(self) -> None:
        keep_secret(self, "url")

    def reveal_headers(self, now_s: float) -> dict[str, str]:
        """Return the headers as they go out at *now_s*, in s since 1970; those of ``sign`` included."""
        signed = self.sign(now_s) if self.sign is not None else {}
        return {name: Secret(value).reveal() for name, value in (*self.headers.items(), *signed.items())}

    def __repr__(self) -> str:
        return f"HttpCall(purpose={self.purpose!r}, method={self.method!r})"


Command = SendText | SendBinary | CloseSocket | HttpCall
