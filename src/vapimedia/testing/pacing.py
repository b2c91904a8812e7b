"""How the fake assistant's audio is cut into messages, and when each is sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from vapimedia.formats import AudioFormat

__all__ = ["Pacing"]

# Message lengths seen from a live assistant, as bytes of mulaw/8000; the frequent one is about 46 ms.
_SEEN_BYTES = (170, 185, 186, 371, 371, 372, 372, 372, 557, 558, 743)
_MAX_GAP_MS = 103.0
_SEEN_MS = tuple(n_bytes / 8 for n_bytes in _SEEN_BYTES)


@dataclass(frozen=True)
class Pacing:
    """Cut lengths are drawn from *chunk_ms*; *late_share* of the messages come up to *late_ms* late.

    *rate* 1.0 is real time, ``None`` sends everything at once. *odd_bytes* lets a cut fall inside a sample.
    *chunk_bytes* overrides *chunk_ms* with exact sizes.
    """

    kind: Literal["irregular", "frames", "burst"] = "irregular"
    chunk_ms: tuple[float, ...] = _SEEN_MS
    chunk_bytes: tuple[int, ...] = ()
    late_share: float = 0.05
    late_ms: float = 46.0
    rate: float | None = 1.0
    odd_bytes: bool = True

    @classmethod
    def irregular(cls, *, chunk_bytes: tuple[int, ...] = ()) -> Pacing:
        """Like a live assistant: 21 to 93 ms a message, 0 to 100 ms apart, about 50 at the median."""
        return cls(chunk_bytes=chunk_bytes)

    @classmethod
    def frames(cls) -> Pacing:
        """Exactly 20 ms every 20 ms."""
        return cls("frames", chunk_ms=(20.0,), late_share=0.0, late_ms=0.0, odd_bytes=False)

    @classmethod
    def burst(cls) -> Pacing:
        """Irregular messages, all at once."""
        return cls("burst", rate=None)

    def plan(self, data: bytes, fmt: AudioFormat, random: Random) -> Iterator[tuple[float, bytes]]:
        """Yield ``(due_ms, message)`` for all of *data*, counted from the start of the utterance."""
        at = 0
        due_ms = 0.0
        bytes_per_ms = fmt.sample_rate * fmt.bytes_per_sample / 1000
        while at < len(data):
            n_bytes = self._draw(fmt, bytes_per_ms, random)
            if self.rate is not None:
                on_time_ms = at / bytes_per_ms / self.rate
                late_ms = 0.0
                if random.random() < self.late_share:
                    late_ms = random.uniform(self.late_ms / 2, self.late_ms)
                # The longest silence between two messages that was seen.
                late_ms = min(late_ms, max(0.0, due_ms + _MAX_GAP_MS / self.rate - on_time_ms))
                due_ms = max(due_ms, on_time_ms + late_ms)
            yield due_ms, data[at : at + n_bytes]
            at += n_bytes

    def _draw(self, fmt: AudioFormat, bytes_per_ms: float, random: Random) -> int:
        if self.chunk_bytes:
            return random.choice(self.chunk_bytes)
        width = fmt.bytes_per_sample
        n_bytes = max(1, round(random.choice(self.chunk_ms) * bytes_per_ms / width)) * width
        if self.odd_bytes and width > 1 and random.random() < 0.5:
            n_bytes += 1
        return n_bytes
