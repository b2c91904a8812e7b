"""What we answer to Vapi's requests, checked when it is made: a wrong answer is refused here, not on the phone.

Each is the body of an HTTP 200. ``repr`` shows which fields are set, never what they hold.
Source: docs.vapi.ai (Server URL), OpenAPI schemas ``ServerMessageResponse*``, ``ToolMessage*``, ``CustomMessage``.
"""

from __future__ import annotations

import functools
from typing import Any, Literal, cast

import msgspec

from vapimedia.errors import ConfigError, ProtocolError
from vapimedia.protocols._wire import BROKEN, describe_broken
from vapimedia.protocols.vapi.destinations import AssistantDestination, Destination, PhoneDestination
from vapimedia.protocols.vapi.tools import ToolCallsReply

__all__ = [
    "AssistantReply",
    "CustomMessage",
    "Document",
    "EndpointingReply",
    "HandoffReply",
    "KnowledgeBaseReply",
    "PredialReply",
    "Reply",
    "ToolMessage",
    "TransferReply",
    "decode_reply",
]

_LONGEST_PAUSE_S = 15


class _Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    def __repr__(self) -> str:
        given = [name for name in self.__struct_fields__ if getattr(self, name) is not None]
        return f"{type(self).__name__}({', '.join(given)})"


class Reply(_Answer, frozen=True):
    """Base of all answers. Making one raises ``ConfigError`` if it is none that Vapi takes, or is no JSON."""

    def __post_init__(self) -> None:
        self._check()
        try:
            _plain(type(self)).decode(self.encode())
        except msgspec.ValidationError as error:
            raise ConfigError(f"this {type(self).__name__} is not one that Vapi takes: {error}") from None
        # What msgspec raises on an unknown type, a cycle, an integer over 64 bits, a lone surrogate.
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            why = "a lone surrogate" if isinstance(error, UnicodeError) else type(error).__name__
            raise ConfigError(f"the {type(self).__name__} cannot be written as JSON ({why})") from None

    def _check(self) -> None:
        """Raise ``ConfigError`` for what types alone do not tell."""

    def encode(self) -> bytes:
        """Return the body, compact. Does not raise unless a dict within was changed since."""
        return msgspec.json.encode(self)


@functools.cache
def _plain(kind: type[Reply]) -> msgspec.json.Decoder[Any]:
    """Return a decoder with the fields of *kind* that makes no *kind*: msgspec checks types when it decodes only."""
    fields: list[Any] = [
        (field.name, field.type, msgspec.field(default=field.default, name=field.encode_name))
        for field in msgspec.structs.fields(kind)
    ]
    return msgspec.json.Decoder(msgspec.defstruct(kind.__name__, fields, kw_only=True))


class AssistantReply(Reply, frozen=True):
    """Who takes a call: one assistant, squad or workflow; or a *destination* to forward to; or an *error* to say.

    Vapi would go by *error*, then *destination*, then the rest; here exactly one of them is taken. Overrides
    belong to their own kind. To answer ``assistant-request``, within 7.5 s in all.
    """

    assistant_id: str | None = None
    assistant: dict[str, Any] | None = None
    squad_id: str | None = None
    squad: dict[str, Any] | None = None
    workflow_id: str | None = None
    workflow: dict[str, Any] | None = None
    assistant_overrides: dict[str, Any] | None = None
    squad_overrides: dict[str, Any] | None = None
    workflow_overrides: dict[str, Any] | None = None
    destination: PhoneDestination | None = None
    error: str | None = None

    def _check(self) -> None:
        kinds = ("assistant_id", "assistant", "squad_id", "squad", "workflow_id", "workflow")
        (chosen,) = _only_one(self, *kinds, "destination", "error")
        for kind in ("assistant", "squad", "workflow"):
            if getattr(self, f"{kind}_overrides") is not None and not chosen.startswith(kind):
                raise ConfigError(f"{kind}_overrides have nothing to override: the reply names no {kind}")


class ToolMessage(_Answer, frozen=True):
    """What the assistant says about a transfer or a tool. *type* tells when: by default at once.

    ``request-start``, ``request-complete``, ``request-failed`` or ``request-response-delayed``.
    """

    content: str | None = None
    type: Literal["request-start", "request-complete", "request-failed", "request-response-delayed"] = (
        msgspec.field(default_factory=lambda: cast(Any, "request-start"))
    )
    contents: list[dict[str, Any]] | None = None
    conditions: list[dict[str, Any]] | None = None
    blocking: bool | None = None
    role: Literal["assistant", "system"] | None = None
    end_call_after_spoken_enabled: bool | None = None
    timing_milliseconds: float | None = None


class TransferReply(Reply, frozen=True):
    """Where a call goes on, and what is said meanwhile; or why not. Answers ``transfer-destination-request``."""

    destination: Destination | None = None
    message: ToolMessage | None = None
    error: str | None = None

    def _check(self) -> None:
        _only_one(self, "destination", "error", at_least=self.message is None)


class HandoffReply(Reply, frozen=True):
    """Which assistant takes over; *result* goes to the model. Answers ``handoff-destination-request``.

    *destination* is an ``AssistantDestination``, or a dict for what that does not have, such as a squad; one that
    was read back is a dict. Vapi's schema wants one with an *error* too, so an empty one goes out then.
    """

    destination: Any = None
    result: str | None = None
    error: str | None = None

    def _check(self) -> None:
        if self.destination == {} and self.error:
            return
        _only_one(self, "destination", "error")
        destination = self.destination
        if isinstance(destination, dict) and destination.get("type"):
            return
        if destination is not None and not isinstance(destination, AssistantDestination):
            raise ConfigError('a handoff goes to an AssistantDestination, or to a dict with a "type"')

    def encode(self) -> bytes:
        """Return the body, compact."""
        body = msgspec.json.encode(self)
        return body if self.destination is not None else b'{"destination":{},' + body[1:]


class Document(_Answer, frozen=True):
    """A piece of knowledge and how well it fits."""

    content: str
    similarity: float
    uuid: str | None = None


class CustomMessage(_Answer, frozen=True):
    """What the assistant says as it is. The schema has *type*, the guide has *role*."""

    content: str | None = None
    type: Literal["custom-message"] | None = None
    role: str | None = None
    contents: list[dict[str, Any]] | None = None


class KnowledgeBaseReply(Reply, frozen=True):
    """The *documents* that the model is to answer from, also none; or a *message* to say instead of it.

    Answers ``knowledge-base-request``. A message given as text goes out in the schema's form.
    """

    documents: list[Document] | None = None
    message: str | CustomMessage | None = None

    def _check(self) -> None:
        _only_one(self, "documents", "message")

    def encode(self) -> bytes:
        """Return the body, compact."""
        if isinstance(self.message, str):
            said = CustomMessage(type="custom-message", content=self.message)
            return msgspec.json.encode({"message": said})
        return msgspec.json.encode(self)


class EndpointingReply(Reply, frozen=True):
    """How long to wait, 0 to 15 s, until the caller's turn is over. Answers ``call.endpointing.request``."""

    timeout_seconds: int | float

    def _check(self) -> None:
        timeout_s: object = self.timeout_seconds
        if isinstance(timeout_s, int | float) and not 0 <= timeout_s <= _LONGEST_PAUSE_S:
            raise ConfigError(f"timeout_seconds must be from 0 to {_LONGEST_PAUSE_S}")


class PredialReply(Reply, frozen=True):
    """Whether the contact may be called. Answers ``campaign.predial``; anything else means no."""

    eligible: bool


_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {
    "assistant-request": msgspec.json.Decoder(AssistantReply),
    "tool-calls": msgspec.json.Decoder(ToolCallsReply),
    "transfer-destination-request": msgspec.json.Decoder(TransferReply),
    "handoff-destination-request": msgspec.json.Decoder(HandoffReply),
    "knowledge-base-request": msgspec.json.Decoder(KnowledgeBaseReply),
    "call.endpointing.request": msgspec.json.Decoder(EndpointingReply),
    "campaign.predial": msgspec.json.Decoder(PredialReply),
}


def decode_reply(type: str, data: bytes) -> Reply | ToolCallsReply:
    """Return the answer *data* to a request of *type*. Raises ``ProtocolError`` if it is none."""
    decoder = _DECODERS.get(type)
    if decoder is None:
        raise ProtocolError(f"a message of type {type[:64]!r} wants no answer that is known here")
    try:
        return cast("Reply | ToolCallsReply", decoder.decode(data))
    except BROKEN as error:
        raise ProtocolError(f"this is no answer to {type}: {describe_broken(error)}") from None


def _only_one(reply: Reply, *names: str, at_least: bool = True) -> list[str]:
    given = [name for name in names if getattr(reply, name) is not None]
    if len(given) > 1 or (at_least and not given):
        few = "nothing" if not given else " and ".join(given)
        raise ConfigError(f"{type(reply).__name__} needs exactly one of {', '.join(names)}, not {few}")
    for name in given:
        value = getattr(reply, name)
        if isinstance(value, str | dict) and not value:
            raise ConfigError(f"the {name} of {type(reply).__name__} must not be empty")
    return given
