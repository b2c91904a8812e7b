"""What a dialect or a session asks the I/O layer to do. Plain data; carried out in order, never awaited."""

from __future__ import annotations

import msgspec

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
    """Start the closing handshake (RFC 6455 s. 7.1.2)."""

    code: int = 1000
    reason: str = ""


class HttpCall(msgspec.Struct, frozen=True):
    """One HTTP request, tried once and not waited for. Its ``repr`` hides everything that may be a secret.

    A status in ``gone`` means that there was nothing left to do and counts as success. ``purpose`` is a word
    for logs and counters (``hangup``, ``end-call``).
    """

    purpose: str
    method: str
    url: str
    headers: dict[str, str] = {}
    body: bytes = b""
    gone: frozenset[int] = frozenset({404})

    def __repr__(self) -> str:
        return f"HttpCall(purpose={self.purpose!r}, method={self.method!r})"


Command = SendText | SendBinary | CloseSocket | HttpCall
