"""One decoder for all Vapi says: typed where the type is known, whole where it is not, never an exception."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from vapimedia.errors import StateError
from vapimedia.protocols._wire import BROKEN, describe_broken, printable
from vapimedia.protocols.vapi._json import NO_JSON, Buffer
from vapimedia.protocols.vapi.event import Event, Malformed, UnschemedEvent

__all__ = ["TypedDecoder", "encode_flat", "peek_type"]

# Vapi may send the subscription's name as the type: transcript[transcriptType="..."].
_SUFFIX = "["
# An envelope is a message whose first key is "message", or which has no type beside it.
_WRAPPED = re.compile(rb'[ \t\n\r]*\{[ \t\n\r]*"message"[ \t\n\r]*:[ \t\n\r]*\{')
_USUAL = b'{"type"'
# Of a text no more is encoded to look for it; every known type is far shorter.
_HEAD_CHARS = 256
# The type where it is the first key of all, in plain ASCII without escapes.
_FIRST_TYPE = re.compile(
    rb'[ \t\n\r]*\{[ \t\n\r]*(?:"message"[ \t\n\r]*:[ \t\n\r]*\{[ \t\n\r]*)?"type"[ \t\n\r]*:[ \t\n\r]*'
    rb'"([ !#-\[\]-~]*)"'
)


class _Head(msgspec.Struct):
    """The two keys that decide what a message is. Everything else is skipped, not decoded."""

    type: str | None = None
    message: msgspec.Raw = NO_JSON


_head = msgspec.json.Decoder(_Head)


def peek_type(data: Buffer) -> str:
    """Return a message's ``type``, in or out of an envelope, without reading the rest; empty if it has none.

    Takes well under a microsecond where the type comes first, as Vapi writes it, however long the message is; one
    pass over the message otherwise. What it did not look at may be broken JSON. Of several types in one object
    the first counts if it is the first key, else the last; ``decode_event`` goes by that too. Never raises.
    """
    try:
        first = _FIRST_TYPE.match(data[:_HEAD_CHARS].encode() if isinstance(data, str) else data)
        return first[1].decode() if first is not None else _unwrap(_as_bytes(data))[0] or ""
    except BROKEN:
        return ""


def encode_flat(event: Any) -> bytes:
    """Return *event* as the JSON object it was read from, out of any envelope. Raises ``StateError``."""
    if isinstance(event, Malformed):
        raise StateError("a malformed message cannot be encoded: what it held was not kept")
    if isinstance(event, UnschemedEvent) and bytes(event.body_json):
        return bytes(event.body_json)
    return msgspec.json.encode(event) if isinstance(event, Event) else bytes(event.raw)


class TypedDecoder:
    """Decode messages into the structs of *types*; *unknown* makes what stands for any other type.

    The usual message takes one pass. Only one that fails it is looked at again, to tell an unknown type, an
    envelope, another spelling (*aliases*) and a wrong field from each other.
    """

    def __init__(
        self,
        types: tuple[type[Event], ...],
        unknown: Callable[[str, bytes], Any],
        *,
        aliases: Mapping[str, str] = {},
    ) -> None:
        described = tuple(event for event in types if not issubclass(event, UnschemedEvent))
        union = _union(described)
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(union)
        self._wrapped: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            msgspec.defstruct("_Wrapped", [("message", union)])
        )
        by_type = {str(event.__struct_config__.tag): event for event in types}
        self._by_type = by_type | {alias: by_type[name] for alias, name in aliases.items()}
        self._unknown = unknown

    def decode(self, data: Buffer) -> Any:
        """Return a typed event, what *unknown* made, or ``Malformed``. Never raises."""
        try:
            # Parts that stay JSON lie in the message's own memory, so that has to be ours.
            message = data if type(data) is bytes else _as_bytes(data)
            if not message.isascii():
                message.decode()  # what is skipped now may be read later
            try:
                if message.startswith(_USUAL) or _WRAPPED.match(message) is None:
                    return self._decoder.decode(message)
                return self._wrapped.decode(message).message
            except msgspec.DecodeError:
                return self._decode_slowly(message)
        except BROKEN as error:
            return Malformed("invalid_json", "", describe_broken(error))

    def _decode_slowly(self, message: bytes) -> Any:
        try:
            type_, inner = _unwrap(message)
        except msgspec.ValidationError as error:
            reason = "missing_type" if "$." in str(error) else "not_an_object"
            return Malformed(reason, "", describe_broken(error))
        if type_ is None:
            return Malformed("missing_type", "", "the message has no type")
        event = self._by_type.get(type_) or self._by_type.get(type_.partition(_SUFFIX)[0])
        if event is None:
            return self._unknown(printable(type_), inner)
        try:
            return _decode_as(event, inner)
        except msgspec.ValidationError as error:
            return Malformed("wrong_field", str(event.__struct_config__.tag), describe_broken(error))


def _unwrap(message: bytes) -> tuple[str | None, bytes]:
    """Return the type and the object that it is the type of. Raises what ``BROKEN`` has."""
    head = _head.decode(message)
    inner = bytes(head.message)
    if inner and (head.type is None or _WRAPPED.match(message) is not None):
        inside = _head.decode(inner)
        if inside.type is not None:
            return _first_type(inner) or inside.type, inner
    return _first_type(message) or head.type, message


def _first_type(message: bytes) -> str | None:
    first = _FIRST_TYPE.match(message)
    return first[1].decode() if first is not None and _WRAPPED.match(message) is None else None


def _decode_as(event: type[Event], message: bytes) -> Any:
    """Decode *message* as *event* whatever its ``type`` spells."""
    fields = msgspec.json.decode(message, type=dict[str, msgspec.Raw])
    fields["type"] = msgspec.Raw(msgspec.json.encode(event.__struct_config__.tag))
    if issubclass(event, UnschemedEvent):
        fields["bodyJson"] = msgspec.Raw(message)
    return msgspec.json.decode(msgspec.json.encode(fields), type=event)


def _as_bytes(data: Buffer) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


def _union(types: tuple[type[Event], ...]) -> Any:
    union: Any = types[0]
    for event in types[1:]:
        union = union | event
    return union
