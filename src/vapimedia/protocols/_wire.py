"""What every dialect needs to read bytes from outside."""

from __future__ import annotations

import msgspec

__all__ = ["BROKEN", "printable"]

BROKEN = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What msgspec raises on bytes from outside. Invalid UTF-8 and deep nesting do not arrive as its own errors."""

# The longest word of any dialect has half of it; the rest of a longer one is of no use to anybody.
_MAX_WORD = 64


def printable(text: str) -> str:
    """Cut a word from outside to something that can stand in a log or a metric label."""
    return "".join(char if char.isprintable() else "?" for char in text[:_MAX_WORD])
