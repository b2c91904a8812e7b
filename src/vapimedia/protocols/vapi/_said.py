"""What Vapi's API said in an answer that is no success: short, on one line, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from vapimedia.protocols._wire import BROKEN
from vapimedia.protocols.vapi._json import NO_JSON
from vapimedia.secret import Secret

__all__ = ["said"]

_MAX_ERROR = 400
_MIN_SECRET = 4
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


class _ApiError(msgspec.Struct):
    message: msgspec.Raw = NO_JSON
    error: msgspec.Raw = NO_JSON


def said(body: bytes, hide: Iterable[str | Secret]) -> str:
    """Return the API's own message: short, on one line, without anything that must not be logged."""
    text = _message(body) or body[: 4 * _MAX_ERROR].decode("utf-8", "replace")
    for secret in map(Secret, hide):
        # What is shorter is no key, and stands in every sentence.
        is_key = len(secret.reveal()) >= _MIN_SECRET
        text = text.replace(secret.reveal(), "<hidden>") if is_key else text
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
