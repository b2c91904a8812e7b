"""A call in virtual time: what Vapi says, the network's stalls, and a phone that plays what arrives."""

from __future__ import annotations

import heapq
import random
from typing import NamedTuple

from media_drivers import START
from media_laws import MS, MULAW, loud, silent

from vapimedia.media import PathStats, PlayoutPath, PlayoutPolicy

BYTES_PER_MS = 8
WORDS = loud(MULAW, 2000)
PAUSE = silent(MULAW, 2000)


def late_ms(dice: random.Random) -> float:
    """Return how late a wake-up is: 0.5 ms on average, 60 ms more once in 250."""
    return dice.expovariate(2) + (60 if dice.random() < 0.004 else 0)


class Stall(NamedTuple):
    """Nothing gets through from one moment to another, in ms."""

    from_ms: float
    to_ms: float

    def delayed(self, at_ms: float) -> float:
        """Return when what would have come at *at_ms* comes."""
        return self.to_ms if self.from_ms <= at_ms < self.to_ms else at_ms


NEVER = Stall(-1, -1)


def speech(ms: int, *, word_ms: int = 1200, pause_ms: int = 800) -> bytes:
    """Return words that are all different from silence, and pauses between them."""
    parts, n_ms, n_words = [], 0, 0
    while n_ms < ms:
        at = n_words * 37 % 800 * BYTES_PER_MS
        parts.append(WORDS[at : at + word_ms * BYTES_PER_MS] + PAUSE[: pause_ms * BYTES_PER_MS])
        n_words += 1
        n_ms += word_ms + pause_ms
    return b"".join(parts)[: ms * BYTES_PER_MS]


def words_in(audio: bytes) -> bytes:
    """Return *audio* without its silence."""
    return audio.replace(MULAW.silence, b"")


class Phone:
    """Plays what arrives, at its own clock's speed, and answers the marks it is sent at once."""

    def __init__(self, drift_ppm: float = 0) -> None:
        self.speed = 1 - drift_ppm / 1e6
        self.ends_ms = 0.0
        self.gap_ms = 0.0
        self.n_gaps = 0
        self.n_bytes = 0

    def take(self, n_bytes: int, at_ms: float) -> None:
        if self.n_bytes > 0 and at_ms > self.ends_ms + 1e-6:
            self.gap_ms += at_ms - self.ends_ms
            self.n_gaps += 1
        self.ends_ms = max(self.ends_ms, at_ms) + n_bytes / BYTES_PER_MS / self.speed
        self.n_bytes += n_bytes

    def delay_ms(self, at_ms: float) -> float:
        """Return how much is still to be played at *at_ms*."""
        return max(0.0, self.ends_ms - at_ms)


class Downlink:
    """Vapi's audio through a path to a phone. Times are in ms since the start.

    *vapi_stall* holds Vapi's audio up, *phone_stall* is when the phone's socket takes nothing, *sleep* when we do
    not run at all. *vapi_ppm* and *phone_ppm* are how fast their clocks are. With *mark_ms* the phone tells how far
    it is that often.
    """

    def __init__(
        self,
        audio: bytes,
        policy: PlayoutPolicy,
        *,
        vapi_stall: Stall = NEVER,
        phone_stall: Stall = NEVER,
        sleep: Stall = NEVER,
        vapi_ppm: float = 0,
        phone_ppm: float = 0,
        mark_ms: float = 0,
        chunk_ms: int = 40,
        seed: int | None = None,
    ) -> None:
        self.path = PlayoutPath(MULAW, MULAW, policy=policy)
        self.phone = Phone(phone_ppm)
        self.phone_stall = phone_stall
        self.heard: list[bytes] = []
        self.queued_ms: list[float] = []
        """Before each of Vapi's messages."""
        self.now_ms = 0.0
        self._dice = random.Random(seed) if seed is not None else None
        self._mark_ms = mark_ms
        self._marked_ms = 0.0
        self._marks: list[tuple[float, float]] = []
        self._take(self.path.open(START))
        n_chunk = chunk_ms * BYTES_PER_MS
        for at in range(0, len(audio), n_chunk):
            at_ms = at / BYTES_PER_MS / (1 + vapi_ppm / 1e6) + self._late()
            at_ms = sleep.delayed(vapi_stall.delayed(at_ms))
            self._run(at_ms, sleep)
            self.queued_ms.append(self.path.queued_ms(self._now_ns))
            self._take(self.path.feed(audio[at : at + n_chunk], self._now_ns))
        self.ended_ms = self.now_ms
        self._run(self.now_ms + 5000, sleep)

    def _late(self) -> float:
        return late_ms(self._dice) if self._dice is not None else 0.0

    @property
    def _now_ns(self) -> int:
        return START + round(self.now_ms * MS)

    def _run(self, until_ms: float, sleep: Stall) -> None:
        """Wake up when the path wants it, or a mark comes back, or the phone's socket stalls or goes on."""
        edges = [at_ms for at_ms in self.phone_stall if at_ms >= 0]
        while True:
            due_ns = self.path.next_due_ns
            wakes = [until_ms, *(at_ms for at_ms in edges if at_ms > self.now_ms)]
            if due_ns is not None:
                due_ms = (due_ns - START) / MS
                wakes.append(sleep.delayed(max(due_ms, self.now_ms) + self._late()))
            if self._marks:
                wakes.append(max(self._marks[0][0], self.now_ms))
            wake_ms = min(wakes)
            self.now_ms = max(self.now_ms, wake_ms)
            if edges:
                self.path.set_stalled(edges[0] <= self.now_ms < edges[1])
            if wake_ms >= until_ms:
                return
            while self._marks and self._marks[0][0] <= self.now_ms:
                _, position_ms = heapq.heappop(self._marks)
                assert self.path.mark_played(0, position_ms, self._now_ns)
            self._take(self.path.due(self._now_ns))

    def _take(self, messages: list[bytes]) -> None:
        for message in messages:
            self.heard.append(message)
            self.phone.take(len(message), self.now_ms)
        sent_ms = self.path.sent_ms
        if self._mark_ms and sent_ms - self._marked_ms >= self._mark_ms:
            self._marked_ms = sent_ms
            heapq.heappush(self._marks, (self.phone.ends_ms, sent_ms))

    @property
    def stats(self) -> PathStats:
        return self.path.stats(self._now_ns)
