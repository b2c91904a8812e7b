"""Text that never prints: keys, tokens, and URLs that are as good as one."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsIndex

import msgspec
from msgspec.structs import force_setattr

__all__ = ["Secret", "SecretField", "hide_received", "keep_secret", "reveal_to_ourselves"]

_MASK = "***"


class Secret:
    """A text that shows by ``reveal()`` alone; in every other form it is ``***``, or nothing if it is empty.

    ``==`` with another one or with a ``str`` takes the same time for all values of one length. It is immutable,
    hashable like its text, false if empty. Pickling it, and encoding it as JSON, raises ``TypeError``.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str | Secret = "") -> None:
        object.__setattr__(self, "_text", text if isinstance(text, str) else text._text)

    def reveal(self) -> str:
        """Return the text. Call it where the text is used, so that no variable holds it."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __str__(self) -> str:
        return _MASK if self._text else ""

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Secret):
            other = other._text
        if not isinstance(other, str):
            return NotImplemented
        # Text from outside may hold lone surrogates, which only mean that it does not match.
        return hmac.compare_digest(_bytes(self._text), _bytes(other))

    def __hash__(self) -> int:
        return hash(self._text)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Self:
        return self

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a Secret is not pickled; where it must travel, send what reveal() returns")


if TYPE_CHECKING:

    class SecretField:
        """A field that takes a ``str`` or a ``Secret`` and holds a ``Secret``; its struct calls ``keep_secret``."""

        def __get__(self, holder: object, owner: type | None = None) -> Secret: ...
        def __set__(self, holder: object, value: str | Secret) -> None: ...

else:
    SecretField = Secret


def keep_secret(struct: msgspec.Struct, *names: str) -> None:
    """Make the texts in *struct*'s fields *names* secrets. For its ``__post_init__``."""
    for name in names:
        value = getattr(struct, name)
        if isinstance(value, str):
            force_setattr(struct, name, Secret(value))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def reveal_to_ourselves(value: object) -> object:
    """Be msgspec's ``enc_hook`` of a channel whose other end is a process of ours, and that nobody else reads."""
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError


def hide_received(type_: type, value: object) -> object:
    """Be msgspec's ``dec_hook`` at the other end of such a channel."""
    if type_ is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError
