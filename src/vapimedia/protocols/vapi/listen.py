"""What a call's listenUrl says between the audio: perhaps its format, in the first text message, and events.

The documentation tells 16-bit little-endian PCM, and neither rate nor channels; what the first text message looks like
is known from other people's programs only. So anything that tells a sample rate is taken for it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat, Encoding
from vapimedia.protocols._wire import BROKEN, printable
from vapimedia.protocols.vapi._decoding import peek_type
from vapimedia.protocols.vapi._json import Buffer
from vapimedia.protocols.vapi.events import EVENT_ALIASES, EVENT_TYPES, VapiEvent, decode_event

__all__ = ["ListenStart", "decode_listen"]

_TYPE = "start"
_RATES = ("sampleRate", "sample_rate")
_INNER = ("audioFormat", "format", "audio")  # where other messages of Vapi's have the same fields
_MAX_CHANNELS = 2
_KNOWN = {str(event.__struct_config__.tag) for event in EVENT_TYPES} | set(EVENT_ALIASES)


class ListenStart(msgspec.Struct, frozen=True, kw_only=True):
    """The format of the audio that follows. 0 and "" stand for what was not told, or makes no sense."""

    sample_rate: int = 0
    channels: int = 0
    encoding: str = ""

    @property
    def known_encoding(self) -> Encoding | None:
        """The encoding in this package's words; ``None`` for one that is not told or not known."""
        try:
            return AudioFormat.parse(f"{self.encoding}/8000").encoding
        except ConfigError:
            return None


def decode_listen(data: Buffer) -> ListenStart | VapiEvent:
    """Return the format or the event in one text message of a listenUrl. Never raises; see ``decode_event``."""
    kind = peek_type(data)
    if kind in _KNOWN:
        return decode_event(data)
    try:
        message = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except BROKEN:
        return decode_event(data)
    fields = message
    for name in _INNER:
        inner = _inner(message, name)
        if inner is not None and not _rate(fields):
            fields = inner
    if kind != _TYPE and not _rate(fields):
        return decode_event(data)
    if not _rate(fields):
        fields = message
    channels = _number(_value(fields, "channels") or _value(message, "channels"))
    encoding = _value(fields, "encoding") or _value(fields, "format") or _value(message, "encoding")
    return ListenStart(
        sample_rate=_rate(fields),
        channels=channels if 1 <= channels <= _MAX_CHANNELS else 0,
        encoding=printable(encoding) if isinstance(encoding, str) else "",
    )


def _rate(fields: dict[str, msgspec.Raw]) -> int:
    for name in _RATES:
        number = _number(_value(fields, name))
        try:
            return AudioFormat("pcm_s16le", number).sample_rate
        except ConfigError:
            continue
    return 0


def _value(fields: dict[str, msgspec.Raw], name: str) -> Any:
    try:
        return msgspec.json.decode(fields[name]) if name in fields else None
    except BROKEN:
        return None


def _inner(fields: dict[str, msgspec.Raw], name: str) -> dict[str, msgspec.Raw] | None:
    try:
        return msgspec.json.decode(fields[name], type=dict[str, msgspec.Raw]) if name in fields else None
    except BROKEN:
        return None


def _number(value: Any) -> int:
    """Return a whole number, written as one, as 16000.0 or as "16000"; 0 for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(value) if value == value // 1 else 0
