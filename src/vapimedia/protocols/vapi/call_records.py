"""A call as Vapi's API tells it: the answer to ``POST /call``, and what ``GET /call`` says of it later.

Source: docs.vapi.ai (calls: get, list) and its OpenAPI schema ``Call``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from vapimedia.errors import ConcurrencyBlocked, VapiError
from vapimedia.protocols._wire import BROKEN, describe_broken
from vapimedia.protocols.vapi._json import NO_JSON
from vapimedia.protocols.vapi._said import said
from vapimedia.protocols.vapi.call_urls import bare_url
from vapimedia.secret import Secret, SecretField, keep_secret

__all__ = [
    "CallRecord",
    "CreatedCall",
    "Monitor",
    "SubscriptionLimits",
    "decode_call",
    "decode_calls",
    "read_created_call",
    "refused",
]

_CREATED = range(200, 300)
_OVER_LIMIT = "concurrency limit"


class SubscriptionLimits(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """How many calls the account may have at a time, as an answer to ``POST /call`` tells it."""

    concurrency_blocked: bool | None = None
    concurrency_limit: float | None = None
    remaining_concurrent_calls: float | None = None


class Monitor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The URLs by which a running call is listened to and controlled. Secrets: ``repr`` hides them."""

    listen_url: str | None = None
    control_url: str | None = None
    monitors: msgspec.Raw = NO_JSON

    def __repr__(self) -> str:
        return "Monitor()"


class CreatedCall(msgspec.Struct, frozen=True):
    """A call that Vapi has created. Whoever has one of its URLs is in the call: they are secrets.

    ``websocket_call_url`` is empty for an ordinary phone call.
    """

    id: str
    websocket_call_url: SecretField
    control_url: SecretField = SecretField()
    listen_url: SecretField = SecretField()
    concurrency_blocked: bool = False
    concurrency_limit: int | None = None
    remaining_calls: int | None = None

    def __post_init__(self) -> None:
        keep_secret(self, "websocket_call_url", "control_url", "listen_url")

    def __repr__(self) -> str:
        return f"CreatedCall(id={self.id!r}, concurrency_blocked={self.concurrency_blocked})"


class CallRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", dict=True):
    """A call in the API's words. Any field but ``id`` may be missing and is then ``None`` or an empty ``Raw``.

    ``status`` and ``ended_reason`` are open words. ``cost`` is in US dollars, and 0 until Vapi has settled it.
    Large parts are ``msgspec.Raw``: ``msgspec.json.decode(record.messages)`` reads one. ``raw`` is the whole
    answer. ``repr`` shows no URL, number or text; ``msgspec.json.encode`` shows everything that is kept.
    """

    id: str
    org_id: str | None = None
    type: str | None = None
    status: str | None = None
    created_at: str | None = None
    updated_at: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    ended_reason: str | None = None
    ended_message: str | None = None
    name: str | None = None
    cost: float | None = None
    cost_breakdown: msgspec.Raw = NO_JSON
    costs: msgspec.Raw = NO_JSON
    messages: msgspec.Raw = NO_JSON
    artifact: msgspec.Raw = NO_JSON
    artifact_plan: msgspec.Raw = NO_JSON
    analysis: msgspec.Raw = NO_JSON
    compliance: msgspec.Raw = NO_JSON
    destination: msgspec.Raw = NO_JSON
    assistant_id: str | None = None
    assistant_version: str | None = None
    assistant: msgspec.Raw = NO_JSON
    assistant_overrides: msgspec.Raw = NO_JSON
    squad_id: str | None = None
    squad_version: str | None = None
    squad: msgspec.Raw = NO_JSON
    squad_overrides: msgspec.Raw = NO_JSON
    workflow_id: str | None = None
    workflow: msgspec.Raw = NO_JSON
    workflow_overrides: msgspec.Raw = NO_JSON
    customer_id: str | None = None
    customer: msgspec.Raw = NO_JSON
    phone_number_id: str | None = None
    phone_number: msgspec.Raw = NO_JSON
    phone_call_provider: str | None = None
    phone_call_provider_id: str | None = None
    phone_call_transport: str | None = None
    campaign_id: str | None = None
    schedule_plan: msgspec.Raw = NO_JSON
    metadata: msgspec.Raw = NO_JSON
    monitor: Monitor | None = None
    transport: dict[str, Any] | None = None
    subscription_limits: SubscriptionLimits | None = None

    @property
    def raw(self) -> bytes:
        """The JSON as it came, fields that are not known here included."""
        given = self.__dict__.get("raw")
        return bytes(given) if given is not None else msgspec.json.encode(self)

    @property
    def control_url(self) -> Secret:
        """Where control messages go; empty where Vapi gave none."""
        return bare_url(self.monitor.control_url if self.monitor is not None else None)

    @property
    def listen_url(self) -> Secret:
        """The socket on which the call can be heard; empty where Vapi gave none."""
        return bare_url(self.monitor.listen_url if self.monitor is not None else None)

    @property
    def websocket_call_url(self) -> Secret:
        """The call's own socket; empty for calls on another transport."""
        url = (self.transport or {}).get("websocketCallUrl")
        return bare_url(url if isinstance(url, str) else None)

    @property
    def has_ended(self) -> bool:
        """Whether the call is over."""
        return self.status == "ended"

    @property
    def is_settled(self) -> bool:
        """Whether the call is over and Vapi has told why and what it costs."""
        return self.has_ended and bool(self.ended_reason) and bool(self.cost)

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in ("id", "type", "status", "ended_reason"))
        return f"CallRecord({', '.join(shown)})"


def decode_call(data: bytes | str | msgspec.Raw) -> CallRecord:
    """Return the call that *data* describes. Raises ``VapiError`` that names a wrong field, never its value."""
    try:
        call = msgspec.json.decode(data, type=CallRecord)
    except BROKEN as error:
        raise VapiError(f"Vapi's answer is not a call: {describe_broken(error)}") from None
    if not call.id:
        raise VapiError("Vapi's answer is not a call: it has no id")
    call.__dict__["raw"] = data.encode() if isinstance(data, str) else data
    return call


def decode_calls(data: bytes) -> list[CallRecord]:
    """Return the calls of an answer to ``GET /call``. Raises ``VapiError`` as ``decode_call``."""
    try:
        # Each by itself: a view of its part would keep the whole answer in memory.
        return [decode_call(bytes(one)) for one in msgspec.json.decode(data, type=list[msgspec.Raw])]
    except BROKEN as error:
        raise VapiError(f"Vapi's answer is not a list of calls: {describe_broken(error)}") from None


class _Transport(msgspec.Struct, rename="camel"):
    websocket_call_url: str | None = None


class _Call(msgspec.Struct, rename="camel"):
    """The little that a bridge must have of a call; nothing else in the answer can make it unreadable."""

    id: str
    transport: _Transport | None = None
    monitor: Monitor | None = None
    subscription_limits: SubscriptionLimits | None = None


def read_created_call(
    status: int, body: bytes, *, hide: Iterable[str | Secret] = (), wants_socket: bool = True
) -> CreatedCall:
    """Return the call that an answer to ``POST /call`` describes.

    Raises ``VapiError`` with the status and the API's own message, at most 400 bytes of it, if there is no
    call, or, if *wants_socket*, no URL to reach it at. *hide* are texts (the key) that never show
    in the text, whatever the API says.
    """
    if status not in _CREATED:
        raise refused(status, body, hide)
    try:
        call = msgspec.json.decode(body, type=_Call)
    except BROKEN:
        raise VapiError(f"Vapi's answer with status {status} is not a call", status=status) from None
    url = call.transport.websocket_call_url if call.transport is not None else None
    if not call.id or (wants_socket and not url):
        missing = "transport.websocketCallUrl" if call.id else "id"
        raise VapiError(f"Vapi's answer with status {status} has no {missing}", status=status)
    monitor, limits = call.monitor or Monitor(), call.subscription_limits or SubscriptionLimits()
    return CreatedCall(
        call.id,
        bare_url(url),
        bare_url(monitor.control_url),
        bare_url(monitor.listen_url),
        bool(limits.concurrency_blocked),
        _whole(limits.concurrency_limit),
        _whole(limits.remaining_concurrent_calls),
    )


class _Limited(msgspec.Struct, rename="camel"):
    subscription_limits: SubscriptionLimits | None = None


def refused(status: int, body: bytes, hide: Iterable[str | Secret] = (), what: str = "the call") -> VapiError:
    """Return the error of an answer that is no success; one about the account's limit has its own type."""
    text = f"Vapi refused {what} with status {status}: {said(body, hide)}"
    try:
        limits = msgspec.json.decode(body, type=_Limited).subscription_limits
    except BROKEN:
        limits = None
    limits = limits or SubscriptionLimits()
    if limits.concurrency_blocked or _OVER_LIMIT in text.lower():
        return ConcurrencyBlocked(
            text,
            status=status,
            limit=_whole(limits.concurrency_limit),
            remaining=_whole(limits.remaining_concurrent_calls),
        )
    return VapiError(text, status=status)


def _whole(number: float | None) -> int | None:
    return int(number) if number is not None else None
