"""Just enough of HTTP/1.1 (RFC 9112) to tell a WebSocket upgrade from a request by looking at bytes."""

from __future__ import annotations

import re

import msgspec

__all__ = ["MAX_HEAD_BYTES", "Head", "read_head", "refusal"]

MAX_HEAD_BYTES = 8192
_END = b"\r\n\r\n"
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")  # 16 bytes in base64
_MAX_HEADERS = 128  # picows' limit
_METHOD = re.compile(r"[A-Z]{1,16}")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 s. 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_REASONS = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    426: "Upgrade Required",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Head(msgspec.Struct, frozen=True):
    """A request's first line and headers; names in lower case, the first of equal names wins.

    Only ``Connection`` may be there several times; its words are one list (RFC 9110 s. 7.6.1).
    """

    method: str
    target: str
    headers: dict[str, str]
    flaw: str = ""
    """Why this can be no upgrade, whatever it asks for."""
    n_bytes: int = 0
    """The head's length on the wire, its empty line included."""

    def __repr__(self) -> str:
        # The rest holds tokens and signatures, and of a broken head so may what stands where the method belongs.
        method = self.method if _METHOD.fullmatch(self.method) else "?"
        return f"<Head {method} with {len(self.headers)} headers>"

    @property
    def is_upgrade(self) -> bool:
        """Whether the client asks for a WebSocket (RFC 6455 s. 4.1)."""
        return self.method == "GET" and "websocket" in self.headers.get("upgrade", "").lower()

    @property
    def upgrade_flaw(self) -> str:
        """Say why this upgrade must fail, so that nothing is spent on it; empty if it need not."""
        if self.flaw:
            return self.flaw
        if self.headers.get("upgrade", "").lower() != "websocket":
            return "the Upgrade header must be websocket"
        if "upgrade" not in _words(self.headers.get("connection", "")):
            return "the Connection header must have the word Upgrade"
        if "transfer-encoding" in self.headers or set(self.headers.get("content-length", "0")) != {"0"}:
            return "an upgrade has no body"
        if _KEY.fullmatch(self.headers.get("sec-websocket-key", "")) is None:
            return "the upgrade has no proper Sec-WebSocket-Key"
        return ""

    def plain(self) -> bytes:
        """Return the handshake alone of an upgrade without a flaw.

        As picows takes it: it knows one word in ``Connection``; Firefox sends two.
        """
        return (
            "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {self.headers['sec-websocket-key']}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()


def read_head(data: bytes) -> Head | None:
    """Return the head at the start of *data*, or ``None`` while it is incomplete.

    Does not say whether the head is valid: what is not an upgrade goes to the HTTP server, which judges it.
    """
    end = data.find(_END)
    if end < 0:
        return None
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    words = first.split(" ")
    flaw = "" if len(words) == 3 and words[1] and words[2] == "HTTP/1.1" else "the request line is malformed"
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not (colon and _NAME.fullmatch(name) and _VALUE.fullmatch(value.strip(" \t"))):
            flaw = "a header is malformed"
        elif name.lower() == "content-length" and name.lower() in headers:
            flaw = "Content-Length is there twice"
        name, value = name.strip().lower(), value.strip(" \t")
        if name == "connection" and name in headers:
            headers[name] += f", {value}"
        headers.setdefault(name, value)
    if len(lines) > _MAX_HEADERS:
        flaw = f"there are more than {_MAX_HEADERS} headers"
    return Head(words[0], words[1] if len(words) > 1 else "", headers, flaw, end + len(_END))


def _words(value: str) -> set[str]:
    """Return the words of a list (RFC 9110 s. 5.6.1), in lower case."""
    return {word.strip(" \t").lower() for word in value.split(",")}


def refusal(status: int, reason: str, *, extra: str = "") -> bytes:
    """Return a complete answer that refuses a request and closes the connection."""
    body = (reason + "\n").encode()
    return (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n{extra}Connection: close\r\n\r\n"
    ).encode() + body
