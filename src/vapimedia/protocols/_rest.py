"""What dialects with a REST API for calls share."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.protocols._wire import BROKEN

__all__ = ["Outcome", "check_ring_timeout", "read_object", "told_safely"]

Outcome = Literal["", "busy", "unanswered", "rejected", "cancelled", "failed"]
"""Why a call never came about; empty for one that did."""

# An answer may have a megabyte. An error shows less than half of this.
_MAX_TOLD = 500
# What an error may quote of the request: TwiML, URLs with a token, addresses, tokens, numbers as people write them.
_PRIVATE = re.compile(
    r"<[^>]*>?|[A-Za-z][A-Za-z0-9+.-]{0,31}://\S*|\b(?:sips?|client|whatsapp):\S+|[A-Za-z0-9_.-]{40,}"
    r"|\+?\d(?:[\W_]{0,3}\d){4,}"
)
_LAST_WORD = re.compile(r"\S+\Z")


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*, an empty one if there is none."""
    try:
        read = msgspec.json.decode(body)
    except BROKEN:
        return {}
    return read if isinstance(read, dict) else {}


def told_safely(text: str) -> str:
    """Return the head of an API's *text*, printable, without what it may quote of a request that is private."""
    told = _PRIVATE.sub("...", text[:_MAX_TOLD])
    if len(text) > _MAX_TOLD:
        # Of what was cut in two, half could go unrecognised.
        told = _LAST_WORD.sub("", told)
    return "".join(char if char.isprintable() else "?" for char in told.strip())


def check_ring_timeout(seconds: int, known: range, provider: str) -> None:
    """Raise ``ConfigError`` if *provider* does not ring for so many *seconds*."""
    if seconds not in known:
        raise ConfigError(
            f"ring_timeout_s is {seconds}; {provider} rings for {known[0]} to {known[-1]} seconds"
        )
