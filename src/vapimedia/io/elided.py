"""The structure of a JSON message without its contents: keys, sizes, and the few values that programs choose."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from vapimedia.io.call_log import word_of

__all__ = ["MAX_BYTES", "elided", "type_of"]

MAX_BYTES: Final = 1 << 16
"""Of a longer message the type and the size are told."""
_MAX_DEPTH: Final = 6
_MAX_ITEMS: Final = 32
_HEAD_BYTES: Final = 4096

# Words of a small set, ids and counts. Whatever else a key names may be somebody's.
_WORDS: Final = frozenset(
    {
        "event",
        "type",
        "role",
        "status",
        "endedReason",
        "transcriptType",
        "track",
        "encoding",
        "content-type",
        "protocol",
    }
)
_IDS: Final = frozenset(
    {"callSid", "streamSid", "accountSid", "uuid", "id", "toolCallId", "callId", "stream_id", "call_id"}
)
_COUNTS: Final = frozenset(
    {"sequenceNumber", "chunk", "timestamp", "code", "sampleRate", "channels", "turn", "rate", "media_format"}
)
_MARKS: Final = frozenset({"name"})  # where it is below "mark"
# Below these the keys are somebody's own too: nothing shows, whatever it is called.
_PRIVATE: Final = frozenset(
    {"arguments", "customParameters", "metadata", "parameters", "result", "variables", "variableValues"}
)
_ID: Final = re.compile(
    r"[A-Za-z]{2}[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|CON-[0-9a-f-]{36}"
)
_MARK: Final = re.compile(r"[0-9]{1,9}:[0-9]{1,12}(\.[0-9]{1,3})?")
_COUNT: Final = re.compile(r"[0-9]{1,6}")  # of more digits it could be a number that was dialled
_TYPE: Final = re.compile(rb'"(?:event|type)"\s*:\s*"([A-Za-z][A-Za-z0-9_.:-]{0,63})"')


class _Tagged(msgspec.Struct):
    event: Any = None
    type: Any = None


def type_of(message: bytes) -> str:
    """Return what a message calls itself, if that is a word; of a long one, what its head says."""
    if len(message) > MAX_BYTES:
        found = _TYPE.search(message[:_HEAD_BYTES])
        return word_of(found[1].decode()) if found else "(long)"
    try:
        read = msgspec.json.decode(message, type=_Tagged)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "(no JSON)"
    told = read.event if read.event is not None else read.type
    return word_of(told) if isinstance(told, str) else "(no type)"


def elided(message: bytes) -> object:
    """Return the structure of *message*. No text of a peer's is in it but words and ids under keys that are known."""
    try:
        return _value("", "", msgspec.json.decode(message), 0)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return "(no JSON)"


def _value(above: str, key: str, value: Any, depth: int) -> object:
    if isinstance(value, dict):
        if depth >= _MAX_DEPTH:
            return f"({len(value)} keys)"
        some = list(value.items())[:_MAX_ITEMS]
        # Within what is private no key is known.
        is_private = key in _PRIVATE
        told = {word_of(name): _value(key, key if is_private else name, one, depth + 1) for name, one in some}
        return told | ({"...": f"({len(value)} keys)"} if len(value) > len(some) else {})
    if isinstance(value, list):
        if depth >= _MAX_DEPTH:
            return f"({len(value)} items)"
        return [
            *(_value(above, key, one, depth + 1) for one in value[:3]),
            *([f"({len(value)} items)"] * (len(value) > 3)),
        ]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if _is_shown(above, key, value) else f"({len(value)} characters)"
    is_count = isinstance(value, int) and _COUNT.fullmatch(str(value)) is not None
    return value if key in _COUNTS and is_count else "(number)"


def _is_shown(above: str, key: str, text: str) -> bool:
    if key in _WORDS:
        return word_of(text) == text
    if key in _IDS:
        return _ID.fullmatch(text) is not None
    if key in _MARKS and above == "mark":
        return _MARK.fullmatch(text) is not None
    return key in _COUNTS and _COUNT.fullmatch(text) is not None
