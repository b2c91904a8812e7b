"""What Twilio sends on a media stream, as msgspec structs: only the fields that are read.

Source: twilio.com/docs/voice/media-streams/websocket-messages.
"""

from __future__ import annotations

import msgspec

__all__ = [
    "DtmfMessage",
    "MarkMessage",
    "MediaMessage",
    "StartMessage",
    "StopMessage",
    "read_event",
]


class _Event(msgspec.Struct):
    event: str


class _MediaFormat(msgspec.Struct, rename="camel"):
    encoding: str
    sample_rate: float
    channels: int = 1


class _Start(msgspec.Struct, rename="camel"):
    call_sid: str
    media_format: _MediaFormat
    account_sid: str = ""
    stream_sid: str = ""
    custom_parameters: dict[str, msgspec.Raw] | None = None


class StartMessage(msgspec.Struct, rename="camel"):
    """``start``: which call, in which format. ``streamSid`` stands at two places."""

    start: _Start
    stream_sid: str = ""


class _Media(msgspec.Struct):
    payload: str
    track: str = "inbound"


class MediaMessage(msgspec.Struct, rename="camel"):
    """``media``: base64 of one chunk of one track."""

    media: _Media
    stream_sid: str | None = None


class _Dtmf(msgspec.Struct):
    digit: str


class DtmfMessage(msgspec.Struct, rename="camel"):
    """``dtmf``: one key press, without a duration."""

    dtmf: _Dtmf
    stream_sid: str | None = None


class _Mark(msgspec.Struct):
    name: str


class MarkMessage(msgspec.Struct, rename="camel"):
    """``mark``: one of ours, played or cleared."""

    mark: _Mark
    stream_sid: str | None = None


class StopMessage(msgspec.Struct, rename="camel"):
    """``stop``: the stream or the call is over."""

    stream_sid: str | None = None


_event_decoder = msgspec.json.Decoder(_Event)


def read_event(message: bytes) -> str:
    """Return the message's ``event``. Raises one of ``_wire.BROKEN``, ``ValidationError`` if it has none."""
    return _event_decoder.decode(message).event
