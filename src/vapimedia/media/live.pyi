from vapimedia.formats import AudioFormat, Quality
from vapimedia.media._types import LivePolicy
from vapimedia.media.envelope import Envelope
from vapimedia.media.path import MediaPath
from vapimedia.media.tap import Tap

class LivePath(MediaPath):
    """Caller to Vapi: continuous and live. Holds frames until ``open``; then whole frames in real time."""

    tap: Tap | None
    """Gets the provider's audio as it came; ``None``, as a rule: nobody records it."""
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
    def insert(self, audio: bytes, now_ns: int) -> list[bytes]:
        """Put whole samples of our own, in the source format, between the provider's; return what is due.

        The provider's silent frames are left out afterwards, until the stream is as live as before.
        """
