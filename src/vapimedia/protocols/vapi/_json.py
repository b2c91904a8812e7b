"""Parts of a message that stay JSON until somebody reads them."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast, overload

import msgspec

from vapimedia.protocols._wire import BROKEN

__all__ = ["NO_JSON", "Buffer", "Number", "Part", "read_part", "read_text"]

NO_JSON = msgspec.Raw(b"")
"""Stands for a field that was not sent; a field sent as null is ``null``."""

Buffer = bytes | bytearray | memoryview | str
Number = int | float
T = TypeVar("T")


class Part(Generic[T]):
    """Read the field *name* on demand as *type_*: ``None`` where it was not sent, is null or is something else.

    Each reading decodes anew; keep what is needed twice.
    """

    def __init__(self, name: str, type_: Any) -> None:
        self._name = name
        self._decoder = msgspec.json.Decoder(type_)

    @overload
    def __get__(self, owner: None, kind: type) -> Part[T]: ...
    @overload
    def __get__(self, owner: object, kind: type) -> T | None: ...
    def __get__(self, owner: object | None, kind: type) -> T | Part[T] | None:
        if owner is None:
            return self
        raw: msgspec.Raw = getattr(owner, self._name)
        try:
            return cast("T | None", self._decoder.decode(raw))
        except BROKEN:
            return None


def read_part(decoder: msgspec.json.Decoder[T], raw: msgspec.Raw, name: str) -> T:
    """Return what *raw*, the field *name*, holds. Raises ``ValueError`` with the place in the whole message.

    In ``__post_init__`` msgspec takes that for a field of a wrong type.
    """
    try:
        return decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise ValueError(_at(name, str(error))) from None


def _at(name: str, text: str) -> str:
    return text.replace("`$", f"`$.{name}") if "`$" in text else f"{text} - at `$.{name}`"


def read_text(raw: msgspec.Raw | bytes) -> str:
    """Return the string that *raw* holds, or an empty one if it holds something else."""
    try:
        return msgspec.json.decode(raw, type=str)
    except BROKEN:
        return ""
