"""What listening to a call brings, and the queue it waits in."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from vapimedia.protocols.vapi import VapiEvent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "AudioChunk",
    "ItemQueue",
    "ListenEnded",
    "ListenItem",
    "ListenStarted",
    "ListenStats",
    "Reconnected",
]

_SAMPLE_BYTES: Final = 2
_MAX_EVENTS: Final = 10_000


class AudioChunk(msgspec.Struct, frozen=True):
    """Some audio of the call: 16-bit little-endian PCM; of two channels whole pairs, customer and assistant by turns.

    *at_sample* is its place in the call, in samples per channel from the first audio that was heard. What never
    came or was dropped leaves a hole.
    """

    pcm: bytes
    sample_rate: int
    channels: int
    at_sample: int

    @property
    def n_samples(self) -> int:
        """Its length, per channel."""
        return len(self.pcm) // (_SAMPLE_BYTES * self.channels)

    @property
    def at_ms(self) -> float:
        """Where it begins."""
        return 1000 * self.at_sample / self.sample_rate

    @property
    def duration_ms(self) -> float:
        """Its length in time."""
        return 1000 * self.n_samples / self.sample_rate

    def samples(self) -> NDArray[np.int16]:
        """Return the samples as an array of shape ``(n_samples, channels)``, a view."""
        import numpy as np  # noqa: PLC0415  for those who want arrays only

        return np.frombuffer(self.pcm, "<i2").reshape(-1, self.channels)

    def __repr__(self) -> str:
        length = f"{self.n_samples} samples, {self.sample_rate} Hz, {self.channels} ch"
        return f"AudioChunk(at_sample={self.at_sample}, {length})"


class ListenStarted(msgspec.Struct, frozen=True):
    """The format of the audio that follows. ``told`` is whether Vapi said so; otherwise the settings did."""

    sample_rate: int
    channels: int
    told: bool


class Reconnected(msgspec.Struct, frozen=True):
    """Audio is back, on another connection. *gap_ms* of the call were not heard."""

    gap_ms: float


class ListenEnded(msgspec.Struct, frozen=True):
    """The last item.

    *reason*: ``ended`` (the call is over), ``gone`` (Vapi does not know it any more), ``lost`` (there was no way to
    connect again), ``closed`` (we stopped).
    """

    reason: str


ListenItem = AudioChunk | ListenStarted | Reconnected | ListenEnded | VapiEvent


class ListenStats(msgspec.Struct):
    """What was counted.

    ``failed_connects`` are attempts that brought no connection, ``reconnects`` connections after the first that brought
    audio. ``gap_ms`` is what never came, ``dropped_ms`` and ``dropped_events`` what nobody took in time,
    ``split_bytes`` parts of a sample at the end of a connection.
    """

    connects: int = 0
    failed_connects: int = 0
    reconnects: int = 0
    audio_ms: float = 0.0
    gap_ms: float = 0.0
    dropped_ms: float = 0.0
    dropped_events: int = 0
    events: int = 0
    malformed: int = 0
    split_bytes: int = 0


class ItemQueue:
    """Hold at most *max_s* of audio for a consumer; beyond that the oldest items are dropped and counted."""

    def __init__(self, max_s: float, stats: ListenStats) -> None:
        self._max_ms, self._stats = 1000 * max_s, stats
        self._items: deque[ListenItem] = deque()
        self._audio_ms = 0.0
        self._n_others = 0
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: ListenItem) -> None:
        """Add *item*, which is never the one that is dropped."""
        self._count(item, 1)
        self._items.append(item)
        while (self._audio_ms > self._max_ms or self._n_others > _MAX_EVENTS) and len(self._items) > 1:
            oldest = self.take()
            if isinstance(oldest, AudioChunk):
                self._stats.dropped_ms += oldest.duration_ms
            else:
                self._stats.dropped_events += 1
        self._ready.set()

    def take(self) -> ListenItem:
        """Return the oldest item, which there must be."""
        item = self._items.popleft()
        self._count(item, -1)
        return item

    def wake(self) -> None:
        """Let ``wait`` return, whether there is anything or not."""
        self._ready.set()

    async def wait(self) -> None:
        """Wait for the next ``put`` or ``wake``."""
        self._ready.clear()
        await self._ready.wait()

    def _count(self, item: ListenItem, sign: int) -> None:
        if isinstance(item, AudioChunk):
            self._audio_ms += sign * item.duration_ms
        else:
            self._n_others += sign
