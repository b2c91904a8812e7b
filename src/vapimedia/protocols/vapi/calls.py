"""``POST /call`` on the ``vapi.websocket`` transport: the request, its answer, the URLs that come with it.

Source: docs.vapi.ai (calls: create, WebSocket transport) and its OpenAPI schema ``CreateCallDTO``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from vapimedia.errors import ConfigError, VapiError
from vapimedia.formats import AudioFormat
from vapimedia.protocols._wire import BROKEN
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.hosts import is_loopback
from vapimedia.protocols.vapi._decoding import NO_JSON

__all__ = ["CreateCall", "CreatedCall", "check_call_url", "read_created_call"]

_MAX_NAME = 40
_MAX_ERROR = 400
_CREATED = range(200, 300)
_FAMILIES = ("assistant", "squad", "workflow")
_WIRE_NAMES = {
    "assistant_id": "assistantId",
    "assistant_version": "assistantVersion",
    "assistant_overrides": "assistantOverrides",
    "squad_id": "squadId",
    "squad_overrides": "squadOverrides",
    "workflow_id": "workflowId",
    "workflow_overrides": "workflowOverrides",
}
# What an API's message might quote and a log must not hold: bearer tokens, URLs with their queries, and whoever is
# called, by address or by number. Rather too much than too little: a date or an id may go with them.
_SECRET_WORDS = (
    (re.compile(r"(?i)bearer\s+[^\s\"',]+"), "Bearer <hidden>"),
    (re.compile(r"(?i)\b(wss?|https?)://[^\s\"'<>]+"), r"\1://<hidden>"),
    (re.compile(r"(?i)\b(sips?|tel):[^\s\"'<>,]+"), r"\1:<hidden>"),
    (re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w.-]+"), "<address>"),
    (re.compile(r"\+\d[\d\s().-]{5,}\d"), "<number>"),
    (re.compile(r"\d(?:[\s()./\u2010-\u2015-]{0,3}\d){6,}"), "<number>"),
)


class CreateCall(msgspec.Struct, frozen=True, kw_only=True):
    """A call to create. Exactly one of assistant, squad and workflow answers it, by id or in full.

    One ``format`` governs both directions. ``metadata`` goes into the ``metadata`` of the overrides. ``repr``
    shows none of the content.
    """

    format: AudioFormat
    assistant_id: str | None = None
    assistant: dict[str, Any] | None = None
    assistant_version: str | None = None
    assistant_overrides: dict[str, Any] | None = None
    squad_id: str | None = None
    squad: dict[str, Any] | None = None
    squad_overrides: dict[str, Any] | None = None
    workflow_id: str | None = None
    workflow: dict[str, Any] | None = None
    workflow_overrides: dict[str, Any] | None = None
    name: str | None = None
    metadata: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        given = [
            field
            for family in _FAMILIES
            for field in (f"{family}_id", family)
            if getattr(self, field) not in (None, "", {})
        ]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            raise ConfigError(
                f"a Vapi call needs exactly one assistant, squad or workflow, by id or in full; got {found}"
            )
        if self.format.encoding not in ("mulaw", "pcm_s16le"):
            raise ConfigError(f"Vapi's call socket speaks mulaw and pcm_s16le, not {self.format.encoding}")
        if self.name is not None and len(self.name) > _MAX_NAME:
            raise ConfigError(f"a Vapi call's name has at most {_MAX_NAME} characters, not {len(self.name)}")
        if self.metadata is not None and self.family == "workflow":
            raise ConfigError("Vapi takes no metadata with a workflow; use an assistant or a squad")

    @property
    def family(self) -> str:
        """``assistant``, ``squad`` or ``workflow``: what answers the call."""
        return next(name for name in _FAMILIES if getattr(self, name) or getattr(self, f"{name}_id"))

    def body(self) -> bytes:
        """Return the JSON body. Raises ``ConfigError`` if overrides or metadata are not JSON."""
        transport = {
            "provider": "vapi.websocket",
            "audioFormat": {
                "format": self.format.encoding,
                "container": "raw",
                "sampleRate": self.format.sample_rate,
            },
        }
        fields = (field for field in self.__struct_fields__ if field not in ("format", "metadata"))
        request = {_WIRE_NAMES.get(field, field): getattr(self, field) for field in fields}
        request = {name: value for name, value in request.items() if value not in (None, "")}
        try:
            if self.metadata is not None:
                overrides = request.get(f"{self.family}Overrides", {})
                metadata = overrides.get("metadata", {}) | self.metadata
                request[f"{self.family}Overrides"] = overrides | {"metadata": metadata}
            return msgspec.json.encode(request | {"transport": transport})
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise ConfigError("the overrides or metadata of a Vapi call cannot be written as JSON") from None

    def __repr__(self) -> str:
        return f"CreateCall({self.family}, {self.format})"


class CreatedCall(msgspec.Struct, frozen=True):
    """A call that Vapi has created. Whoever has one of its URLs is in the call: ``repr`` hides them."""

    id: str
    websocket_call_url: str
    control_url: str = ""
    listen_url: str = ""
    concurrency_blocked: bool = False

    def __repr__(self) -> str:
        return f"CreatedCall(id={self.id!r}, concurrency_blocked={self.concurrency_blocked})"


class _Transport(msgspec.Struct, rename="camel"):
    websocket_call_url: str | None = None


class _Monitor(msgspec.Struct, rename="camel"):
    listen_url: str | None = None
    control_url: str | None = None


class _Limits(msgspec.Struct, rename="camel"):
    concurrency_blocked: bool | None = None


class _Call(msgspec.Struct, rename="camel"):
    id: str
    transport: _Transport | None = None
    monitor: _Monitor | None = None
    subscription_limits: _Limits | None = None


class _ApiError(msgspec.Struct):
    message: msgspec.Raw = NO_JSON
    error: msgspec.Raw = NO_JSON


def read_created_call(status: int, body: bytes, *, hide: Iterable[str] = ()) -> CreatedCall:
    """Return the call that an answer to ``POST /call`` describes.

    Raises ``VapiError`` with the status and the API's own message, at most 400 bytes of it, if there is no
    call or no URL to reach it at. *hide* are strings (the key) that never show
    in the text, whatever the API says.
    """
    if status not in _CREATED:
        raise VapiError(f"Vapi refused the call with status {status}: {_said(body, hide)}", status=status)
    try:
        call = msgspec.json.decode(body, type=_Call)
    except BROKEN:
        raise VapiError(f"Vapi's answer with status {status} is not a call", status=status) from None
    url = call.transport.websocket_call_url if call.transport is not None else None
    if not call.id or not url:
        raise VapiError(
            f"Vapi's answer with status {status} has no transport.websocketCallUrl", status=status
        )
    monitor, limits = call.monitor or _Monitor(), call.subscription_limits or _Limits()
    return CreatedCall(
        call.id,
        _bare(url),
        _bare(monitor.control_url or ""),
        _bare(monitor.listen_url or ""),
        bool(limits.concurrency_blocked),
    )


def check_call_url(url: str, allowed_hosts: Iterable[str], allow_plain: bool = False) -> Refusal | None:
    """Return why *url*, which came from the API, must not be used, or ``None`` if it is safe.

    It must be wss or https (ws or http on a loopback address, or anywhere if *allow_plain*), without
    user information, on one of *allowed_hosts* or a subdomain of one. The reason names the host at
    most, never the URL.
    """
    # urlsplit drops tabs and newlines and lets a backslash through, which others read as a slash.
    if not url.isascii() or any(char <= " " or char in '\\\x7f"<>' for char in url):
        return Refusal(502, "the call's URL holds characters that no URL has")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return Refusal(502, "the call's URL cannot be read")
    if "@" in parts.netloc or port == 0 or not host or "%" in host:
        return Refusal(502, "the call's URL has user information, port 0, or no proper host")
    plain_is_fine = allow_plain or is_loopback(host)
    if parts.scheme not in ("wss", "https") and not (parts.scheme in ("ws", "http") and plain_is_fine):
        return Refusal(502, "the call's URL is neither wss nor https")
    allowed = [name.lower().strip("[]").strip(".") for name in allowed_hosts]
    if not any(name and (host == name or _is_subdomain(host, name)) for name in allowed):
        return Refusal(502, f"the call's URL is on {host[:100]}, which is not an allowed host")
    return None


def _is_subdomain(host: str, name: str) -> bool:
    return host.endswith("." + name) and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bare(url: str) -> str:
    # The documentation prints URLs in angle brackets, and some answers follow it.
    return url.strip().removeprefix("<").removesuffix(">")


def _said(body: bytes, hide: Iterable[str]) -> str:
    """Return the API's own message: short, on one line, without anything that must not be logged."""
    text = _message(body) or body[: 4 * _MAX_ERROR].decode("utf-8", "replace")
    for secret in hide:
        text = text.replace(secret, "<hidden>") if secret else text
    for pattern, word in _SECRET_WORDS:
        text = pattern.sub(word, text)
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    short = text.encode("utf-8", "replace")[:_MAX_ERROR].decode("utf-8", "ignore") or "no message"
    if "error code: 1010" in text:
        return f"{short} (the request was blocked for its User-Agent, not for its key)"
    return short


def _message(body: bytes) -> str:
    try:
        answer = msgspec.json.decode(body, type=_ApiError)
        for raw in (answer.message, answer.error):
            value = msgspec.json.decode(raw) if bytes(raw) else None
            if isinstance(value, str) and value:
                return value
            if isinstance(value, list) and value:
                return "; ".join(str(item) for item in value)
    except BROKEN:
        pass
    return ""
