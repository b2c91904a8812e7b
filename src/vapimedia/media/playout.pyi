from vapimedia.formats import AudioFormat, Quality
from vapimedia.media._types import PlayoutPolicy
from vapimedia.media.envelope import Envelope
from vapimedia.media.path import MediaPath
from vapimedia.media.tap import Tap

class PlayoutPath(MediaPath):
    """Vapi to caller: a queue with a ledger of what the caller has heard. Holds audio until ``open``."""

    tap: Tap | None
    """Gets the audio for the provider, at the times when it is due to be heard; ``None``: nobody records it."""
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
    def speech_started(self) -> None:
        """The assistant begins a turn: half a sample that is left of the last one is given up."""
    def speech_ended(self, now_ns: int) -> list[bytes]:
        """The assistant has finished: return the remainder, padded where frames must be exact."""
    @property
    def sent_ms(self) -> float:
        """Audio sent since the start; a mark sent now stands for this position."""
    @property
    def generation(self) -> int:
        """Counts clears. Marks carry it, so that a mark returned by a clear is not taken for playout."""
    @property
    def unsent_ms(self) -> float:
        """The part of ``queued_ms`` that is still ours: paced, or the provider does not read."""
    def queued_ms(self, now_ns: int) -> float: ...
    def heard_ms(self, now_ns: int) -> float: ...
    def message_ms(self, message: bytes) -> float:
        """Return how much audio *message*, one that the path gave out, holds."""
    def mark_played(self, generation: int, position_ms: float, now_ns: int) -> bool:
        """The provider has played up to *position_ms*. Return whether the mark was of the live generation."""
