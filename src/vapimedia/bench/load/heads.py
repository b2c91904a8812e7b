"""As much HTTP as a fake Vapi and a phone need: heads in, heads out. No sockets here."""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple

import msgspec

__all__ = [
    "Request",
    "accept_key",
    "answer",
    "call_answer",
    "form_request",
    "phone_request",
    "read_request",
    "wanted_format",
]

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 s. 1.3
_KEY = base64.b64encode(b"vapimedia's load")
_REASONS = {101: "Switching Protocols", 200: "OK", 201: "Created", 404: "Not Found", 409: "Conflict"}


class Request(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    rest: bytes
    """What came behind it."""


def read_request(data: bytes) -> Request | None:
    """Return the first request in *data*, ``None`` when more is needed. An answer's status is the target."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target = (*first.split(" "), "", "")[:2]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "chunked" in headers.get("transfer-encoding", "").lower():
        body, end, rest = rest.partition(b"0\r\n\r\n")
        return Request(method, target, headers, body, rest) if end else None
    n_body = int(headers.get("content-length", "0") or 0)
    if len(rest) < n_body:
        return None
    return Request(method, target, headers, rest[:n_body], rest[n_body:])


def phone_request(host: str, port: int, path: str) -> bytes:
    """Return the head with which a phone opens its media socket."""
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {_KEY.decode()}\r\n\r\n"
    ).encode()


def form_request(host: str, port: int, path: str, form: bytes) -> bytes:
    """Return a webhook with *form* as its body."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(form)}\r\n\r\n"
    ).encode() + form


def accept_key(key: str) -> str:
    """Return what answers a ``Sec-WebSocket-Key`` (RFC 6455 s. 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # noqa: S324  as the RFC wants


def answer(status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        *(f"{name}: {text}" for name, text in (headers or {}).items()),
    ]
    if status != 101:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def call_answer(call: int, vapi_port: int, audio_format: object) -> bytes:
    """Return Vapi's answer to ``POST /call``."""
    name, at = f"load-{call}", f"127.0.0.1:{vapi_port}"
    body = msgspec.json.encode(
        {
            "id": name,
            "type": "vapi.websocketCall",
            "status": "queued",
            "monitor": {"listenUrl": f"ws://{at}/{name}/listen", "controlUrl": f"http://{at}/{name}/control"},
            "transport": {
                "provider": "vapi.websocket",
                "audioFormat": audio_format,
                "websocketCallUrl": f"ws://{at}/{name}/transport",
            },
        }
    )
    return answer(201, {"Content-Type": "application/json"}, body)


def wanted_format(body: bytes) -> tuple[object, bool | None]:
    """Return the audio format in the body of ``POST /call``, and whether it is mulaw; ``None``: we cannot do it."""
    try:
        fmt = msgspec.json.decode(body)["transport"]["audioFormat"]
        kind = fmt["format"], fmt["sampleRate"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000}, False
    return fmt, {("mulaw", 8000): True, ("pcm_s16le", 16000): False}.get(kind)
