"""The caller's ear: a provider's playout buffer, its marks and its clear, and a record of what was heard."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from vapimedia.formats import AudioFormat
from vapimedia.testing import sound

__all__ = ["BargeIn", "Clear", "Ear", "Gap", "Mark"]

_MULAW = AudioFormat("mulaw", 8000)
_TICK_MS = 20.0
# Twilio drops what is queued beyond ten minutes (warning 31931).
_TWILIO_BUFFER_MS = 10 * 60 * 1000.0
_SILENCE_RUN = 10  # ticks without a voice that count as silence, longer than a pause between words


@dataclass
class Mark:
    """A mark as it travelled: received from the bridge, returned when played, or by a clear."""

    name: str
    received_ns: int
    returned_ns: int | None = None
    by_clear: bool = False


@dataclass
class Clear:
    """A clear message: when it came and how much unplayed audio it dropped."""

    received_ns: int
    dropped_ms: float


@dataclass
class Gap:
    """A time with nothing to play: from the tick that ran dry to the tick that played again."""

    begin_ns: int
    end_ns: int
    ms: float


@dataclass
class BargeIn:
    """One interruption by the caller: times on the monotonic clock; ``None`` for what never happened."""

    speech_ns: int
    clear_ns: int | None = None
    silent_ns: int | None = None

    @property
    def speech_to_silence_ms(self) -> float | None:
        """From the caller's first voiced frame to silence in the ear; the assistant's detection included."""
        return None if self.silent_ns is None else max(0.0, (self.silent_ns - self.speech_ns) / 1e6)

    @property
    def clear_to_silence_ms(self) -> float | None:
        """From the arrival of the bridge's clear to silence in the ear; late audio of the old turn counts."""
        if self.silent_ns is None or self.clear_ns is None:
            return None
        return max(0.0, (self.silent_ns - self.clear_ns) / 1e6)


class Ear:
    """Play *fmt* in 20 ms ticks as a provider does.

    At most *buffer_ms* of audio or *buffer_messages* messages wait to be played (``None``: no such limit); what
    is beyond is dropped and counted. A clear returns outstanding marks, or drops them (*clear_returns_marks*
    false): they then stay without a time.
    ``heard`` is the whole timeline: what was played, with silence where nothing was there to play.
    ``tick_ns`` and ``voiced`` hold one entry a tick. ``gaps`` are the times with nothing to play, however long,
    between two payloads that no clear parts: holes in speech and pauses after it, see ``gaps_inside``.
    ``max_queued_messages`` is the highest number of messages that waited, the one being played included.
    """

    def __init__(
        self,
        fmt: AudioFormat = _MULAW,
        *,
        buffer_ms: float | None = _TWILIO_BUFFER_MS,
        buffer_messages: int | None = None,
        clear_returns_marks: bool = True,
    ) -> None:
        self.fmt, self.buffer_messages = fmt, buffer_messages
        self.clear_returns_marks = clear_returns_marks
        self.heard = bytearray()
        self.tick_ns: list[int] = []
        self.voiced: list[bool] = []
        self.marks: list[Mark] = []
        self.clears: list[Clear] = []
        self.overflow_bytes = 0
        self.overflow_messages = 0
        self.max_queued_messages = 0
        self.gaps: list[Gap] = []
        self.speech_ms = 0.0
        self.quiet_ms = 0.0
        self._frame_bytes = fmt.frame_bytes()
        self._bytes_per_ms = self._frame_bytes / _TICK_MS
        self._max_bytes = None if buffer_ms is None else round(buffer_ms * self._bytes_per_ms)
        self._silent = fmt.silence * (self._frame_bytes // fmt.bytes_per_sample)
        self._is_voiced = _voice_detector(fmt)
        self._queue: deque[bytes] = deque()
        self._head = 0  # bytes of the first queued payload that have been played
        self._queued = 0
        self._playing = 0  # bytes of the frame in the ear, which is heard to its end when the next tick comes
        self._taken = 0  # bytes received, dropped ones left out: marks refer to it
        self._pending: deque[tuple[int, Mark]] = deque()
        self._gap: Gap | None = None  # the one that lasts

    @property
    def gaps_ms(self) -> list[float]:
        """How long each gap lasted, in audio."""
        return [gap.ms for gap in self.gaps]

    @property
    def underruns(self) -> int:
        """How many gaps there were."""
        return len(self.gaps)

    def gaps_inside(self, speech_ns: Sequence[int]) -> list[Gap]:
        """Return the gaps inside speech, which began at the times *speech_ns*: a pause holds one of them."""
        return [gap for gap in self.gaps if not any(gap.begin_ns < at <= gap.end_ns for at in speech_ns)]

    @property
    def queued_ms(self) -> float:
        """What waits to be played."""
        return self._queued / self._bytes_per_ms

    def listen(self) -> None:
        """Start ``speech_ms`` and ``quiet_ms`` again from zero."""
        self.speech_ms = self.quiet_ms = 0.0

    def media(self, payload: bytes) -> bool:
        """Queue a payload; ``False`` when the buffer is full and it was dropped."""
        if self._is_full(len(payload)):
            self.overflow_bytes += len(payload)
            self.overflow_messages += 1
            return False
        if payload:
            self._queue.append(payload)
            self._queued += len(payload)
            self._taken += len(payload)
            self.max_queued_messages = max(self.max_queued_messages, len(self._queue))
        return True

    def mark(self, name: str, now_ns: int) -> list[str]:
        """Note a mark; returns the names to send back now: at once when nothing is queued."""
        mark = Mark(name, now_ns)
        self.marks.append(mark)
        self._pending.append((self._taken, mark))
        return self._due(now_ns)

    def clear(self, now_ns: int) -> list[str]:
        """Drop the queue; returns every outstanding mark, or none where the provider drops them too."""
        self.clears.append(Clear(now_ns, self.queued_ms))
        self._queue.clear()
        self._head = self._queued = self._playing = 0
        self._gap = None
        for _, mark in self._pending:
            mark.by_clear = True
        if not self.clear_returns_marks:
            self._pending.clear()
        return self._due(now_ns)

    def tick(self, now_ns: int) -> list[str]:
        """Start the next 20 ms; returns the names of the marks that the last ones have reached."""
        self._playing = 0
        names = self._due(now_ns)
        frame = self._take(now_ns)
        voiced = frame is not self._silent and self._is_voiced(frame)
        self.heard += frame
        self.tick_ns.append(now_ns)
        self.voiced.append(voiced)
        if voiced:
            self.speech_ms += _TICK_MS
            self.quiet_ms = 0.0
        else:
            self.quiet_ms += _TICK_MS
        return names

    def silent_since_ns(self, from_ns: int) -> int | None:
        """Return when a lasting silence began at or after *from_ns*; ``None`` when speech never stopped."""
        run = 0
        for index, (tick_ns, voiced) in enumerate(zip(self.tick_ns, self.voiced, strict=True)):
            # The frame that is being played when *from_ns* falls still belongs to the speech before it.
            if tick_ns < from_ns:
                continue
            run = 0 if voiced else run + 1
            if run == _SILENCE_RUN:
                return max(from_ns, self.tick_ns[index - run + 1])
        # The call ended before the silence could prove lasting.
        return max(from_ns, self.tick_ns[-run]) if run else None

    def _is_full(self, n_bytes: int) -> bool:
        return (self._max_bytes is not None and self._queued + n_bytes > self._max_bytes) or (
            self.buffer_messages is not None and len(self._queue) >= self.buffer_messages
        )

    def _take(self, now_ns: int) -> bytes:
        if not self._queued:
            if self._gap is not None:
                self._gap.ms += _TICK_MS
            return self._silent
        if self._gap is not None and self._gap.ms:
            self._gap.end_ns = now_ns
            self.gaps.append(self._gap)
        parts: list[bytes] = []
        missing = self._frame_bytes
        while missing and self._queue:
            payload = self._queue[0]
            piece = payload[self._head : self._head + missing]
            parts.append(piece)
            missing -= len(piece)
            self._head += len(piece)
            if self._head == len(payload):
                self._queue.popleft()
                self._head = 0
        self._playing = self._frame_bytes - missing
        self._queued -= self._playing
        # A full frame may be the last: the gap would begin with the next tick.
        self._gap = Gap(now_ns, now_ns, missing / self._bytes_per_ms)
        return b"".join(parts) + self._silent[:missing]

    def _due(self, now_ns: int) -> list[str]:
        played = self._taken - self._queued - self._playing
        names = []
        while self._pending and self._pending[0][0] <= played:
            mark = self._pending.popleft()[1]
            mark.returned_ns = now_ns
            names.append(mark.name)
        return names


def _voice_detector(fmt: AudioFormat) -> Callable[[bytes], bool]:
    """Return what tells a frame with a voice by its energy, in a few microseconds: calls tick by the hundred."""
    if fmt.encoding == "pcm_s16le":

        def by_samples(frame: bytes) -> bool:
            samples = np.frombuffer(frame, "<i2").astype(np.float32)
            return bool(np.dot(samples, samples) >= energy)

        energy = sound.SPEECH_RMS**2 * (fmt.frame_bytes() // 2)
        return by_samples
    # Energy of one sample by its code: a table look-up and a sum.
    squares = np.square(sound.decode(bytes(range(256)), fmt).astype(np.float64))
    energy = sound.SPEECH_RMS**2 * fmt.frame_bytes()
    return lambda frame: bool(squares[np.frombuffer(frame, np.uint8)].sum() >= energy)
