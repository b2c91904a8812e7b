"""Just enough of HTTP/1.1 (RFC 9112) to tell a WebSocket upgrade from a request by looking at bytes."""

from __future__ import annotations

import re

import msgspec

__all__ = ["MAX_HEAD_BYTES", "Head", "read_head", "refusal"]

MAX_HEAD_BYTES = 8192
_END = b"\r\n\r\n"
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Head(msgspec.Struct, frozen=True):
    """A request's first line and headers; names in lower case, the first of equal names wins."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def is_upgrade(self) -> bool:
        """Whether the client asks for a WebSocket (RFC 6455 s. 4.1)."""
        return self.method == "GET" and "websocket" in self.headers.get("upgrade", "").lower()

    @property
    def has_websocket_key(self) -> bool:
        """Whether an upgrade holds the nonce that it must hold."""
        return _KEY.fullmatch(self.headers.get("sec-websocket-key", "")) is not None


def read_head(data: bytes) -> Head | None:
    """Return the head at the start of *data*, or ``None`` while it is incomplete.

    Does not say whether the head is valid: what is not an upgrade goes to the HTTP server, which judges it.
    """
    end = data.find(_END)
    if end < 0:
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    words = first.split(" ")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), value.strip())
    return Head(words[0], words[1] if len(words) > 1 else "", headers)


def refusal(status: int, reason: str, *, extra: str = "") -> bytes:
    """Return a complete answer that refuses a request and closes the connection."""
    body = (reason + "\n").encode()
    return (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n{extra}Connection: close\r\n\r\n"
    ).encode() + body
