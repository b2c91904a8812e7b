from collections.abc import Mapping
from typing import Literal

from vapimedia.formats import AudioFormat, Quality
from vapimedia.media._types import LivePolicy, PathStats, PlayoutPolicy

class Envelope:
    """How a dialect wraps media, as data that C reads.

    ``text=False``: the whole binary message is the payload and nothing else here matters.
    ``text=True``: JSON; the payload is base64 at the key path *payload*. A message is media when every path in
    *match* holds its value. Where a path of *expect* is present it must hold its value too, else the message is
    foreign: counted, dropped. To write, *prefix* and *suffix* go around the base64. Key paths have one or two keys.
    """

    text: bool
    def __init__(
        self,
        *,
        text: bool,
        payload: tuple[str, ...] = (),
        match: Mapping[tuple[str, ...], str] = {},
        expect: Mapping[tuple[str, ...], str] = {},
        prefix: bytes = b"",
        suffix: bytes = b"",
    ) -> None: ...

class MediaPath:
    """One direction of a call's media: unwrap, convert, slice, wrap. No socket, no clock."""

    def __init__(
        self,
        source: AudioFormat,
        target: AudioFormat,
        *,
        unwrap: Envelope | None = None,
        wrap: Envelope | None = None,
        ptime_ms: int = 20,
        quality: Quality = "balanced",
    ) -> None: ...
    source: AudioFormat
    target: AudioFormat
    @property
    def sends(self) -> Literal["text", "binary"]: ...
    def set_unwrap(self, unwrap: Envelope) -> None: ...
    def set_wrap(self, wrap: Envelope) -> None: ...
    def is_media(self, message: bytes) -> bool:
        """Whether *message* would be taken by ``feed`` (media of this stream, or foreign media it drops)."""
    def feed(self, message: bytes, now_ns: int) -> list[bytes]:
        """Take one media message; return what is due for sending, ready to send, each its own memory."""
    def feed_payload(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Take audio in the source format that was unwrapped elsewhere."""
    def due(self, now_ns: int) -> list[bytes]:
        """Return what has become due by *now_ns* (pacing, inserted silence)."""
    @property
    def next_due_ns(self) -> int | None:
        """When ``due`` should be called next, or ``None`` if only new media changes anything."""
    def clear(self, now_ns: int = 0) -> float:
        """Drop everything not yet heard; return how many ms that was."""
    def flush(self, now_ns: int = 0) -> list[bytes]:
        """End the stream: return what is left, the last frame padded with silence."""
    def close(self) -> None:
        """Drop what is queued (counted) and take no more."""
    def stats(self, now_ns: int = 0) -> PathStats: ...

class LivePath(MediaPath):
    """Caller to Vapi: continuous and live. Holds frames until ``open``; then whole frames in real time."""

    def __init__(
        self,
        source: AudioFormat,
        target: AudioFormat,
        *,
        policy: LivePolicy = ...,
        unwrap: Envelope | None = None,
        wrap: Envelope | None = None,
        ptime_ms: int = 20,
        quality: Quality = "balanced",
    ) -> None: ...
    def open(self, now_ns: int) -> list[bytes]:
        """The far side takes audio from now on: return what was held; silence runs from here."""

class PlayoutPath(MediaPath):
    """Vapi to caller: a queue with a ledger of what the caller has heard. Holds audio until ``open``."""

    def __init__(
        self,
        source: AudioFormat,
        target: AudioFormat,
        *,
        policy: PlayoutPolicy = ...,
        unwrap: Envelope | None = None,
        wrap: Envelope | None = None,
        ptime_ms: int = 20,
        quality: Quality = "balanced",
    ) -> None: ...
    def open(self, now_ns: int) -> list[bytes]:
        """The provider takes audio from now on (``wrap`` is set): return what is due."""
    def speech_ended(self, now_ns: int) -> list[bytes]:
        """The assistant has finished: return the remainder, padded where frames must be exact."""
    @property
    def sent_ms(self) -> float:
        """Audio sent since the start; a mark sent now stands for this position."""
    @property
    def generation(self) -> int:
        """Counts clears. Marks carry it, so that a mark returned by a clear is not taken for playout."""
    def queued_ms(self, now_ns: int) -> float: ...
    def heard_ms(self, now_ns: int) -> float: ...
    def mark_played(self, generation: int, position_ms: float, now_ns: int) -> bool:
        """The provider has played up to *position_ms*. Return whether the mark was of the live generation."""
