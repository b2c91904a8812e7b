"""What every dialect needs to read bytes from outside."""

from __future__ import annotations

import re

import msgspec

__all__ = ["BROKEN", "describe_broken", "printable", "without_values"]

BROKEN = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises on bytes from outside. Invalid UTF-8 and deep nesting do not arrive as its own errors."""

# A value that is quoted may hold quotes of its own.
_QUOTED = re.compile("'.*'", re.S)
_UNKNOWN_FIELD = re.compile("unknown field `.*`(?= - at `)|unknown field `.*`", re.S)
_MAX_REASON = 200

# The longest word of any dialect has half of it; the rest of a longer one is of no use to anybody.
_MAX_WORD = 64


def printable(text: str) -> str:
    """Cut a word from outside to something that can stand in a log or a metric label."""
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_WORD])


def without_values(text: str) -> str:
    """Return msgspec's *text* about a wrong field without the value or the name that it quotes."""
    return _UNKNOWN_FIELD.sub("unknown field", _QUOTED.sub("'...'", text))


def describe_broken(error: Exception) -> str:
    """Describe one of ``BROKEN`` on one line, without what the bytes held: an encoding error's text quotes it."""
    if isinstance(error, msgspec.DecodeError):
        return without_values(str(error)).replace("\n", " ")[:_MAX_REASON]
    return (
        "the text is not valid UTF-8" if isinstance(error, UnicodeError) else "the JSON is nested too deeply"
    )
