"""Paths with a clock, as a careful caller drives them."""

from __future__ import annotations

from media_laws import MS, MULAW, loud

from vapimedia.formats import AudioFormat
from vapimedia.media import LivePath, LivePolicy, PathStats, PlayoutPath, PlayoutPolicy

START = 10_000 * MS
LIVE = LivePolicy()
PLAIN = PlayoutPolicy()


class Line:
    """A live path and its clock, mulaw to mulaw unless told otherwise."""

    def __init__(
        self, *, source: AudioFormat = MULAW, target: AudioFormat = MULAW, policy: LivePolicy = LIVE
    ) -> None:
        self.path = LivePath(source, target, policy=policy)
        self.source = source
        self.now_ns = START
        self.out: list[bytes] = []

    def open(self) -> Line:
        self.out += self.path.open(self.now_ns)
        return self

    def feed(self, audio: bytes) -> None:
        self.out += self.path.feed(audio, self.now_ns)

    def wait(self, ms: float) -> None:
        """Let time pass, calling ``due`` exactly when it was asked for."""
        end_ns = self.now_ns + round(ms * MS)
        while (due_ns := self.path.next_due_ns) is not None and due_ns <= end_ns:
            self.now_ns = max(due_ns, self.now_ns)
            frames = self.path.due(self.now_ns)
            next_ns = self.path.next_due_ns
            assert frames or next_ns is None or next_ns > due_ns, "a busy loop"
            self.out += frames
        self.now_ns = end_ns

    def sleep(self, ms: float) -> None:
        """Let time pass without a tick: the process was busy."""
        self.now_ns += round(ms * MS)

    def talk(self, ms: int, *, chunk_ms: int = 20, seed: int = 0) -> bytes:
        """Feed noise in real time; return it."""
        audio = loud(self.source, ms, seed=seed)
        n_chunk = self.source.frame_bytes(chunk_ms)
        for at in range(0, len(audio), n_chunk):
            self.wait(chunk_ms)
            self.feed(audio[at : at + n_chunk])
        return audio

    def take(self) -> bytes:
        out, self.out = b"".join(self.out), []
        return out

    @property
    def stats(self) -> PathStats:
        return self.path.stats(self.now_ns)


class Speaker:
    """A playout path and its clock, mulaw to mulaw unless told otherwise."""

    def __init__(
        self, policy: PlayoutPolicy = PLAIN, *, source: AudioFormat = MULAW, target: AudioFormat = MULAW
    ) -> None:
        self.path = PlayoutPath(source, target, policy=policy)
        self.source = source
        self.target = target
        self.now_ns = START
        self.sizes: list[int] = []
        self.at_ns: list[int] = []
        self.heard = b""

    def open(self) -> Speaker:
        self._note(self.path.open(self.now_ns))
        return self

    def _note(self, messages: list[bytes]) -> int:
        self.sizes += [len(message) for message in messages]
        self.at_ns += [self.now_ns] * len(messages)
        self.heard += b"".join(messages)
        return len(messages)

    def feed(self, audio: bytes) -> bytes:
        self._note(self.path.feed(audio, self.now_ns))
        return audio

    def end(self) -> None:
        self._note(self.path.speech_ended(self.now_ns))

    def wait(self, ms: float, *, late_ms: float = 0) -> None:
        """Let time pass, calling ``due`` as late as told after it was asked for, and never in vain."""
        end_ns = self.now_ns + round(ms * MS)
        while (due_ns := self.path.next_due_ns) is not None and due_ns <= end_ns:
            self.now_ns = max(due_ns + round(late_ms * MS), self.now_ns)
            n_sent = self._note(self.path.due(self.now_ns))
            next_ns = self.path.next_due_ns
            assert n_sent or next_ns is None or next_ns > due_ns, "a busy loop"
        self.now_ns = max(end_ns, self.now_ns)

    def take(self) -> bytes:
        heard, self.heard, self.sizes, self.at_ns = self.heard, b"", [], []
        return heard

    @property
    def queued_ms(self) -> float:
        return self.path.queued_ms(self.now_ns)

    @property
    def heard_ms(self) -> float:
        return self.path.heard_ms(self.now_ns)

    @property
    def stats(self) -> PathStats:
        stats = self.path.stats(self.now_ns)
        assert (stats.wrong_size, stats.dropped_wrong_size_ms) == (0, 0)
        return stats
