"""The words of a custom transcriber's socket, where Vapi is the client.

Vapi sends ``start`` and then audio in binary messages; the transcriber answers with ``transcriber-response``.
Source: docs.vapi.ai (custom transcriber). No schema of it is published.
"""

from __future__ import annotations

import contextlib
from typing import ClassVar, Literal

import msgspec

from vapimedia.errors import ProtocolError
from vapimedia.protocols._wire import BROKEN, printable
from vapimedia.protocols.vapi._json import Buffer
from vapimedia.protocols.vapi.event import Malformed
from vapimedia.protocols.vapi.events import UnknownEvent

__all__ = [
    "TranscriberError",
    "TranscriberMessage",
    "TranscriberResponse",
    "TranscriberStart",
    "check_start",
    "decode_transcriber",
]

# RFC 6455 s. 7.4.1: data of a kind that cannot be accepted.
_UNSUPPORTED = 1003


class _Message(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="type"):
    """Base of what goes over the socket as text. ``repr`` shows no text that people said."""

    shown: ClassVar[tuple[str, ...]] = ()

    def encode(self) -> bytes:
        """Return the compact JSON of the message."""
        return msgspec.json.encode(self)

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)
        return f"{type(self).__name__}({fields})"


class TranscriberStart(_Message, frozen=True, tag="start"):
    """The first message of Vapi: what its audio is. Of two channels 0 is the customer, 1 the assistant."""

    shown: ClassVar = ("encoding", "container", "sample_rate", "channels")

    encoding: str = "linear16"
    container: str = "raw"
    sample_rate: int | float = 16000
    channels: int | float = 2


class TranscriberResponse(_Message, frozen=True, tag="transcriber-response"):
    """What somebody said. A ``partial`` one is replaced by the next of its channel."""

    shown: ClassVar = ("channel", "transcript_type")

    transcription: str
    channel: Literal["customer", "assistant"] = "customer"
    transcript_type: Literal["final", "partial"] = "final"


class TranscriberError(_Message, frozen=True, tag="error"):
    """The transcriber has failed, and why."""

    shown: ClassVar = ("error",)

    error: str = ""


TranscriberMessage = TranscriberStart | TranscriberResponse | TranscriberError | UnknownEvent | Malformed


class _Head(msgspec.Struct):
    type: str | None = None


_decoder: msgspec.json.Decoder[TranscriberStart | TranscriberResponse | TranscriberError] = (
    msgspec.json.Decoder(TranscriberStart | TranscriberResponse | TranscriberError)
)
_head = msgspec.json.Decoder(_Head)
_TYPES = {str(one.__struct_config__.tag) for one in (TranscriberStart, TranscriberResponse, TranscriberError)}


def decode_transcriber(data: Buffer) -> TranscriberMessage:
    """Return one text message of the socket, of either side. Never raises."""
    with contextlib.suppress(*BROKEN):
        return _decoder.decode(data)
    try:
        type_ = _head.decode(data).type
    except msgspec.ValidationError:
        return Malformed("not_an_object", "", "the message is not an object with a type")
    except BROKEN:
        return Malformed("invalid_json", "", "the message is not JSON")
    if type_ is None:
        return Malformed("missing_type", "", "the message has no type")
    if type_ in _TYPES:
        return Malformed("wrong_field", type_, f"a field of {type_} is missing or of a wrong type")
    raw = data.encode() if isinstance(data, str) else bytes(data)
    return UnknownEvent(printable(type_), raw)


def check_start(start: TranscriberStart) -> None:
    """Raise ``ProtocolError`` unless the audio is raw linear16 of one or two channels at 1000..192000 Hz."""
    rate = start.sample_rate
    for name, value, is_right in (
        ("encoding", printable(start.encoding), start.encoding == "linear16"),
        ("container", printable(start.container), start.container == "raw"),
        ("sampleRate", rate, 1000 <= rate <= 192_000 and rate == int(rate)),
        ("channels", start.channels, start.channels in (1, 2)),
    ):
        if not is_right:
            raise ProtocolError(
                f"{name} {value!r} cannot be taken: send raw linear16 of 1 or 2 channels at 1000..192000 Hz",
                close_code=_UNSUPPORTED,
            )
