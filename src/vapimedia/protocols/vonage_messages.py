"""What Vonage says in text on a media socket. Source: Vonage's WebSockets guide; AsyncAPI of the same.

Key presses were seen in several shapes; numbers come as numbers or as text. What can be read is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from vapimedia.protocols.events import Dtmf, MarkPlayed, Problem
from vapimedia.protocols.vonage_ncco import RESERVED

__all__ = ["flattened_headers", "is_id", "read_dtmf", "read_message", "read_notify", "sample_rate_of", "word"]

Fields = Mapping[str, msgspec.Raw]

_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_CONTENT_TYPE = re.compile(r"audio/l16 *; *rate *= *([0-9]{1,6})", re.IGNORECASE)
# A call has a UUID; fakes are freer. It goes into a URL's path.
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = frozenset("0123456789*#ABCD")
_MAX_DURATION_MS = 1 << 31


def read_message(message: bytes) -> Fields:
    """Return a message's fields as they came. Raises one of ``_wire.BROKEN``, ``ValidationError`` for no object."""
    return _decoder.decode(message)


def word(fields: Fields, name: str) -> str | None:
    """Return a field if it is text. Raises one of ``_wire.BROKEN``."""
    value = _value(fields, name)
    return value if isinstance(value, str) else None


def is_id(value: object) -> bool:
    """Whether *value* can be the id of a call."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def sample_rate_of(content_type: str) -> int | None:
    """Return the rate in Hz of ``audio/l16;rate=...``; ``None`` for another format."""
    found = _CONTENT_TYPE.fullmatch(content_type.strip())
    return int(found[1]) if found is not None else None


def flattened_headers(fields: Fields) -> dict[str, str]:
    """Return the headers of the endpoint, which stand among the fields of the first message.

    Text as it is, anything else as JSON. Raises one of ``_wire.BROKEN``.
    """
    return {name: _text(raw) for name, raw in fields.items() if name not in RESERVED}


def read_dtmf(fields: Fields) -> Dtmf | Problem:
    """Return the key press. Raises one of ``_wire.BROKEN``."""
    digit, duration = _value(fields, "digit"), _value(fields, "duration")
    if digit is None:
        inner = _value(fields, "dtmf")
        if isinstance(inner, dict):
            digit, duration = inner.get("digit"), inner.get("duration", duration)
        else:
            digit = inner
    key = str(digit).upper() if isinstance(digit, str | int) and not isinstance(digit, bool) else ""
    if key not in _DIGITS:
        return Problem("wrong_digit", "a dtmf message has no known digit")
    return Dtmf(key, _duration_ms(duration))


def read_notify(fields: Fields) -> MarkPlayed | Problem:
    """Return the mark that came back. Raises one of ``_wire.BROKEN``."""
    payload = _value(fields, "payload")
    name = payload.get("name") if isinstance(payload, dict) else None
    if not isinstance(name, str):
        return Problem("missing_field", "a notify message has no payload with a name")
    return MarkPlayed(name)


def _duration_ms(told: object) -> int | None:
    if isinstance(told, str):
        try:
            told = float(told)
        except ValueError:
            return None
    if isinstance(told, bool) or not isinstance(told, int | float):
        return None
    return int(told) if 0 <= told < _MAX_DURATION_MS else None  # no NaN passes


def _value(fields: Fields, name: str) -> Any:
    raw = fields.get(name)
    return None if raw is None else msgspec.json.decode(raw)


def _text(raw: msgspec.Raw) -> str:
    wire = bytes(raw)
    return msgspec.json.decode(wire, type=str) if wire.startswith(b'"') else wire.decode()
