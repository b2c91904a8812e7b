"""One decoder for all Vapi says: typed where the type is known, whole where it is not, never an exception."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from vapimedia.protocols._wire import BROKEN, printable

__all__ = ["NO_JSON", "Buffer", "CallRef", "Event", "Malformed", "TypedDecoder"]

NO_JSON = msgspec.Raw(b"")
"""Stands for a field that was not sent; a field sent as null is ``null``."""

Buffer = bytes | bytearray | memoryview | str

# Vapi may send the subscription's name as the type: transcript[transcriptType="final"].
_SUFFIX = "["


class CallRef(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a ``call`` object that a bridge needs; the rest (URLs that are secrets) is not kept."""

    id: str = ""
    type: str | None = None
    status: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag_field="type"):
    """Base of every typed Vapi event. Every field may be missing on the wire and is then ``None`` or empty.

    ``timestamp`` is in ms since 1970 where Vapi sends a number. ``repr`` shows no text that people said, no
    number and no URL; ``msgspec.json.encode`` shows everything that is kept.
    """

    shown: ClassVar[tuple[str, ...]] = ()

    timestamp: float | str | None = None
    call: CallRef | None = None

    @property
    def type(self) -> str:
        """The wire's ``type``."""
        return str(self.__struct_config__.tag)

    @property
    def call_id(self) -> str:
        """Vapi's call id, or an empty string where the event does not say."""
        return self.call.id if self.call is not None else ""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)
        return f"{type(self).__name__}({fields})"


class Malformed(msgspec.Struct, frozen=True):
    """A message that cannot be read. Counted by ``reason``, never raised.

    ``reason`` is ``invalid_json``, ``not_an_object``, ``missing_type`` or ``wrong_field``; ``type`` is the
    wire's where it could be read; ``text`` names the field, never its value.
    """

    reason: str
    type: str = ""
    text: str = ""


class _Envelope(msgspec.Struct):
    """The two keys that decide what a message is. Everything else is skipped, not decoded."""

    type: str | None = None
    message: msgspec.Raw = NO_JSON


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
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_union(types))
        self._envelope = msgspec.json.Decoder(_Envelope)
        by_type = {str(event.__struct_config__.tag): event for event in types}
        self._by_type = by_type | {alias: by_type[name] for alias, name in aliases.items()}
        self._unknown = unknown

    def decode(self, data: Buffer) -> Any:
        """Return a typed event, what *unknown* made, or ``Malformed``. Never raises."""
        try:
            return self._decode(data, wrapped=False)
        except BROKEN as error:
            return Malformed("invalid_json", "", _without_values(error))

    def _decode(self, data: Buffer, *, wrapped: bool) -> Any:
        with contextlib.suppress(*BROKEN):
            return self._decoder.decode(data)
        try:
            envelope = self._envelope.decode(data)
        except msgspec.ValidationError as error:
            reason = "missing_type" if "$." in str(error) else "not_an_object"
            return Malformed(reason, "", _without_values(error))
        message = bytes(envelope.message)
        if envelope.type is None and message and not wrapped:
            return self._decode(message, wrapped=True)
        if envelope.type is None:
            return Malformed("missing_type", "", "the message has no type")
        event = self._by_type.get(envelope.type) or self._by_type.get(envelope.type.partition(_SUFFIX)[0])
        if event is None:
            return self._unknown(printable(envelope.type), _as_bytes(data))
        try:
            return self._decode_as(event, data)
        except msgspec.ValidationError as error:
            return Malformed("wrong_field", str(event.__struct_config__.tag), _without_values(error))

    def _decode_as(self, event: type[Event], data: Buffer) -> Any:
        """Decode *data* as *event* whatever its ``type`` spells."""
        fields = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        fields["type"] = msgspec.Raw(msgspec.json.encode(event.__struct_config__.tag))
        return msgspec.json.decode(msgspec.json.encode(fields), type=event)


def _as_bytes(data: Buffer) -> bytes:
    return data.encode() if isinstance(data, str) else bytes(data)


def _union(types: tuple[type[Event], ...]) -> Any:
    union: Any = types[0]
    for event in types[1:]:
        union = union | event
    return union


def _without_values(error: Exception) -> str:
    """Describe *error* without what the message held: an encoding error's text quotes it."""
    if isinstance(error, msgspec.DecodeError):
        return str(error).replace("\n", " ")[:200]
    return (
        "the text is not valid UTF-8" if isinstance(error, UnicodeError) else "the JSON is nested too deeply"
    )
