"""A burst goes out as far ahead as the provider's buffer allows and no further, without a gap, whatever the clocks."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import START
from media_laws import MS, PCM_8K, loud, missing_from_ledger_ms

from vapimedia.media import PlayoutPath, PlayoutPolicy

FRAME = PCM_8K.frame_bytes()
FRAME_NS = 20 * MS
LEAD_MS = 19_800
WINDOW = LEAD_MS // 20 + 1  # the one that becomes due as the lead is reached
MARK_EVERY_NS = 500 * MS
POLICY = PlayoutPolicy(exact_frames=True, lead_ms=LEAD_MS)


class Provider:
    """Plays a message each 20 ms of its own clock from the first arrival on, and answers marks as they are played.

    *latency* is asked for each message, in ms; none overtakes another.
    """

    def __init__(self, latency: Callable[[], float], *, drift_ppm: float, has_marks: bool) -> None:
        self.latency = latency
        self.period_ns = FRAME_NS * (1 + drift_ppm / 1e6)
        self.has_marks = has_marks
        self.n_sent = 0
        self.gaps: list[int] = []  # messages that came too late to follow the last
        self.most_unplayed = 0
        self.arrives_ns = 0.0
        self.starts_ns: deque[float] = deque()  # of messages that were not played when last asked
        self.ends_ns = 0.0
        self.marked_ns = 0
        self.marks: deque[tuple[float, float]] = deque()  # when it is back, position in ms

    def take(self, n_messages: int, now_ns: int) -> None:
        for _ in range(n_messages):
            self.arrives_ns = max(self.arrives_ns, now_ns + self.latency() * MS)
            while self.starts_ns and self.starts_ns[0] <= self.arrives_ns:
                self.starts_ns.popleft()
            if self.n_sent > 0 and self.arrives_ns > self.ends_ns:
                self.gaps.append(self.n_sent)
            start_ns = max(self.ends_ns, self.arrives_ns)
            self.ends_ns = start_ns + self.period_ns
            self.starts_ns.append(start_ns)
            self.n_sent += 1
            # What begins to play as it comes is ahead of nothing.
            self.most_unplayed = max(self.most_unplayed, len(self.starts_ns) - (start_ns == self.arrives_ns))
        sent_ns = self.n_sent * FRAME_NS
        if self.has_marks and n_messages > 0 and sent_ns - self.marked_ns >= MARK_EVERY_NS:
            self.marked_ns = sent_ns
            self.marks.append((self.ends_ns + self.latency() * MS, sent_ns / MS))

    def clear(self, now_ns: int) -> None:
        self.arrives_ns = max(self.arrives_ns, now_ns + self.latency() * MS)
        while self.starts_ns and self.starts_ns[0] <= self.arrives_ns:
            self.starts_ns.popleft()
        if self.starts_ns:
            self.ends_ns = self.starts_ns[0]  # it would have followed the one that plays
        self.starts_ns.clear()
        self.marks.clear()


class Window:
    """A path and its provider; a timer that is late by as much as *lateness* says, in ms."""

    def __init__(self, provider: Provider, lateness: Callable[[], float]) -> None:
        self.path = PlayoutPath(PCM_8K, PCM_8K, policy=POLICY)
        self.path.open(START)
        self.provider = provider
        self.lateness = lateness
        self.now_ns = START
        self.sent: list[bytes] = []

    def _note(self, messages: list[bytes]) -> None:
        assert all(len(message) == FRAME for message in messages)
        self.sent += messages
        self.provider.take(len(messages), self.now_ns)

    def feed(self, audio: bytes) -> None:
        self._note(self.path.feed(audio, self.now_ns))

    def run(self, ms: float) -> None:
        """Let time pass. Marks are taken as they come, wake-ups when asked for or later."""
        end_ns = self.now_ns + round(ms * MS)
        marks = self.provider.marks
        while True:
            due_ns = self.path.next_due_ns
            wake_ns = end_ns if due_ns is None else max(due_ns, self.now_ns) + round(self.lateness() * MS)
            if marks and marks[0][0] <= min(wake_ns, end_ns):
                at_ns, position_ms = marks.popleft()
                self.now_ns = max(self.now_ns, int(at_ns))
                assert self.path.mark_played(0, position_ms, self.now_ns)
                continue
            if due_ns is None or wake_ns >= end_ns:
                break
            self.now_ns = wake_ns
            self._note(self.path.due(self.now_ns))
        self.now_ns = end_ns

    def run_and_refill(self, audio: bytes, seconds: int) -> None:
        """Keep the path full: as much again as was played, each second."""
        for at_s in range(seconds):
            self.run(1000)
            self.feed(audio[at_s * 16_000 :][:16_000])

    def check_all_was_sent(self, audio: bytes) -> None:
        assert b"".join(self.sent) == audio
        stats = self.path.stats(self.now_ns)
        assert (stats.wrong_size, stats.inserted_silence_ms, stats.dropped_overflow_ms) == (0, 0, 0)
        assert missing_from_ledger_ms(stats) == pytest.approx(0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from([60, 120]),
    st.floats(0, 200),
    st.sampled_from([-100, 0, 100]),
    st.floats(0, 60),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_a_burst_fills_the_window_never_more_and_leaves_no_gap(
    burst_s: int,
    latency_ms: float,
    drift_ppm: int,
    late_ms: float,
    has_marks: bool,
    in_chunks: bool,
    seed: int,
) -> None:
    audio, dice = loud(PCM_8K, burst_s * 1000), random.Random(seed)
    provider = Provider(lambda: latency_ms, drift_ppm=drift_ppm, has_marks=has_marks)
    window = Window(provider, lambda: dice.uniform(0, late_ms))
    n_chunk = 743 if in_chunks else len(audio)
    for at in range(0, len(audio), n_chunk):
        window.feed(audio[at : at + n_chunk])
    assert len(window.sent) == WINDOW
    window.run(burst_s * 1000 + 1000)
    window.check_all_was_sent(audio)
    assert WINDOW - 1 <= provider.most_unplayed <= WINDOW
    assert provider.gaps == []


@pytest.mark.parametrize("drift_ppm", [-1000, 1000])
def test_marks_hold_the_window_against_any_drift(drift_ppm: int) -> None:
    """Ten minutes with ten times the drift of a poor clock: as much as a hundred minutes with that."""
    audio = loud(PCM_8K, 60_000)
    provider = Provider(lambda: 100, drift_ppm=drift_ppm, has_marks=True)
    window = Window(provider, lambda: 0)
    window.feed(audio)
    window.run_and_refill(audio * 10, 600)
    # Before the first mark of the burst is played, 20 s after its start, the clock alone is known.
    assert WINDOW - 1 <= provider.most_unplayed <= WINDOW + 1
    assert provider.gaps == []
    # What a mark says is old by its way back; of the clocks only the window itself counts. Nothing adds up.
    ahead_ms = window.path.queued_ms(window.now_ns) - window.path.unsent_ms
    assert abs(ahead_ms - (provider.ends_ns - window.now_ns) / MS) <= 100 + LEAD_MS / 1000 + 1


def test_without_marks_the_window_is_wrong_by_the_drift_and_no_more() -> None:
    audio = loud(PCM_8K, 60_000)
    provider = Provider(lambda: 100, drift_ppm=1000, has_marks=False)
    window = Window(provider, lambda: 0)
    window.feed(audio)
    window.run_and_refill(audio * 10, 600)
    assert WINDOW + 600 // 20 - 1 <= provider.most_unplayed <= WINDOW + 600 // 20  # 600 ms


def test_a_pause_makes_up_for_the_drift() -> None:
    audio = loud(PCM_8K, 60_000)
    provider = Provider(lambda: 100, drift_ppm=1000, has_marks=False)
    window = Window(provider, lambda: 0)
    for _ in range(5):
        window.feed(audio)
        window.run(60_000 + 60 + 20)
    assert provider.most_unplayed <= WINDOW + 60 // 20


@pytest.mark.parametrize("has_marks", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_latency_that_varies_adds_what_is_under_way(has_marks: bool, seed: int) -> None:
    audio, dice = loud(PCM_8K, 120_000), random.Random(seed)
    provider = Provider(lambda: dice.uniform(0, 200), drift_ppm=100, has_marks=has_marks)
    window = Window(provider, lambda: dice.uniform(0, 60))
    window.feed(audio)
    window.run(121_000)
    window.check_all_was_sent(audio)
    assert provider.most_unplayed <= WINDOW + 200 // 20
    # The first message may come faster than those behind it; once they are there, none is missing.
    assert all(n <= 200 // 20 for n in provider.gaps)


def test_a_timer_that_is_held_up_leaves_no_gap_and_overruns_nothing() -> None:
    audio, n_wakes = loud(PCM_8K, 120_000), 0

    def late_ms() -> float:
        nonlocal n_wakes
        n_wakes += 1
        return 19_000 if n_wakes == 1000 else 0

    provider = Provider(lambda: 50, drift_ppm=0, has_marks=True)
    window = Window(provider, late_ms)
    window.feed(audio)
    window.run(121_000)
    window.check_all_was_sent(audio)
    assert provider.most_unplayed <= WINDOW
    assert provider.gaps == []


def test_after_a_clear_the_window_is_filled_anew() -> None:
    audio = loud(PCM_8K, 60_000)
    provider = Provider(lambda: 50, drift_ppm=0, has_marks=False)
    window = Window(provider, lambda: 0)
    for _ in range(5):
        window.feed(audio)
        window.run(5_005)
        window.path.clear(window.now_ns)
        provider.clear(window.now_ns)
    assert WINDOW - 1 <= provider.most_unplayed <= WINDOW
    assert provider.gaps == []


def test_more_than_may_be_queued_drops_the_newest() -> None:
    audio = loud(PCM_8K, 130_000)
    window = Window(Provider(lambda: 0, drift_ppm=0, has_marks=True), lambda: 0)
    window.feed(audio)
    assert window.path.stats(START).dropped_overflow_ms == 10_000
    # What went ahead has made room.
    window.feed(audio[-19_000 * 16 :])
    assert window.path.stats(START).dropped_overflow_ms == 10_000
    window.run(140_000)
    assert b"".join(window.sent) == audio[: 120_000 * 16] + audio[-19_000 * 16 :]
