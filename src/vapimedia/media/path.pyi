from typing import Literal

from vapimedia.formats import AudioFormat, Quality
from vapimedia.media._types import PathStats
from vapimedia.media.envelope import Envelope
from vapimedia.media.tally import Tally

class MediaPath:
    """One direction of a call's media: unwrap, convert, slice, wrap. No socket, no clock.

    Times are ns of one monotonic clock. A path belongs to one thread at a time.
    """

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
        """Take one media message; return what is due for sending, ready to send, each its own memory.

        A message that is none, or cannot be read, is counted as invalid.
        """
    def take(self, message: bytes, now_ns: int) -> list[bytes] | None:
        """Do the same, but leave the path alone and return ``None`` for what the dialect must judge."""
    def feed_payload(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Take audio in the source format that was unwrapped elsewhere."""
    def due(self, now_ns: int) -> list[bytes]:
        """Return what has become due by *now_ns* (pacing, inserted silence)."""
    @property
    def next_due_ns(self) -> int | None:
        """When ``due`` should be called next, which may have passed; ``None`` if only new media changes anything."""
    def clear(self, now_ns: int = 0) -> float:
        """Drop everything not yet heard; return how many ms that was. No time means the latest that was seen."""
    def flush(self, now_ns: int = 0) -> list[bytes]:
        """End the stream: return what is left, the last frame padded with silence."""
    def set_stalled(self, stalled: bool) -> None:
        """The far side does not read (or does again): nothing leaves the path meanwhile.

        ``due`` is to be called on, at ``next_due_ns``: what grows too old is dropped then.
        """
    def set_backlog(self, n_bytes: int) -> None:
        """Tell how much of what was sent our own socket still holds, wrapping included, until told otherwise."""
    def close(self) -> None:
        """Drop what is queued (counted) and take no more."""
    def stats(self, now_ns: int = 0) -> PathStats: ...
    def level_dbfs(self, now_ns: int) -> float | None:
        """Return how loud the last few tenths of a second were: the RMS against full scale, -90.3 for digital silence.

        ``None`` if no audio came within the last second. Measured ten times a second, from a seventh of the samples.
        """
    def add_hops(self, convert: Tally, queue: Tally, send: Tally) -> None:
        """Add this path's histograms to the tallies of many. Costs well under 1 us."""
