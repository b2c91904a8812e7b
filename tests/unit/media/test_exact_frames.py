"""Where frames must be exact every message is exactly one; silence fills only what is left of the last."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import START, Speaker
from media_laws import MS, MULAW, PCM_8K, PCM_16K, PCM_24K, TEXT_OUT, loud, missing_from_ledger_ms, unwrap

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import PlayoutPath, PlayoutPolicy
from vapimedia.media._probe import count_allocations, forget_frames

GUARD_NS = 10 * MS
EXACT = PlayoutPolicy(exact_frames=True, lead_ms=19_800)
EAGER = PlayoutPolicy(exact_frames=True, prebuffer_ms=0)
SOURCES = st.sampled_from([MULAW, PCM_8K, PCM_16K, PCM_24K])
TARGETS = st.sampled_from([PCM_8K, PCM_16K, PCM_24K])


class Listener(Speaker):
    """A speaker whose every message is judged on its way, by a provider of its own reckoning."""

    def __init__(self, policy: PlayoutPolicy, source: AudioFormat, target: AudioFormat) -> None:
        super().__init__(policy, source=source, target=target)
        self.dry_ns = START
        self.has_ended = False
        self.n_padded = 0  # bytes
        self.n_cleared = 0
        self.n_source = 0
        self.converter = Converter(source, target)
        self.expected = b""  # since the last clear, as is what was played
        self.played = b""
        self.open()

    @property
    def is_split(self) -> bool:
        return self.source.bytes_per_sample > 1 and self.n_source % 2 > 0

    def feed(self, audio: bytes) -> bytes:
        self.has_ended = False
        self.n_source += len(audio)
        self.expected += self.converter.push(audio)
        return super().feed(audio)

    def end(self) -> None:
        self.has_ended = True
        super().end()

    def begin(self) -> None:
        self.path.speech_started()
        if self.is_split:
            self.n_source += 1
            self.converter.reset()

    def clear(self) -> None:
        assert self.expected.startswith(self.played)
        self.n_cleared += len(self.expected) - len(self.played)
        self.path.clear(self.now_ns)
        self.converter.reset()
        if self.is_split:
            self.converter.push(b"\0")
        self.expected = self.played = b""
        self.dry_ns = self.now_ns
        self.has_ended = False

    def _note(self, messages: list[bytes]) -> int:
        frame_bytes = self.target.frame_bytes()
        assert all(len(message) == frame_bytes for message in messages)
        bytes_per_ms = frame_bytes / 20
        n_padded, self.n_padded = self.n_padded, round(self.stats.inserted_silence_ms * bytes_per_ms)
        n_padded = self.n_padded - n_padded
        audio = b"".join(messages)
        if n_padded > 0:
            # Only the last of what there is, and only when the assistant has finished or the provider has as good.
            assert n_padded < frame_bytes
            assert audio.endswith(self.target.silence * (n_padded // self.target.bytes_per_sample))
            assert self.path.unsent_ms == 0
            dry_ns = max(self.dry_ns, self.now_ns) + (len(messages) - 1) * 20 * MS
            assert self.has_ended or dry_ns - self.now_ns <= GUARD_NS
            audio = audio[:-n_padded]
        if messages:
            self.dry_ns = max(self.dry_ns, self.now_ns) + len(messages) * 20 * MS
        self.played += audio
        assert self.expected.startswith(self.played)
        return super()._note(messages)


STEPS = st.one_of(
    st.tuples(st.just("feed"), st.integers(1, 2000)),
    st.tuples(st.just("wait"), st.integers(0, 150)),
    st.tuples(st.sampled_from(["end", "begin", "clear"]), st.just(0)),
)
POLICIES = st.builds(
    PlayoutPolicy,
    exact_frames=st.just(True),
    lead_ms=st.sampled_from([0, 60, 19_800]),
    prebuffer_ms=st.sampled_from([0, 40, 200]),
)


@settings(max_examples=250, deadline=None)
@given(SOURCES, TARGETS, POLICIES, st.lists(STEPS, max_size=40), st.floats(0, 60))
def test_whatever_comes_goes_out_in_order_in_exact_frames_padded_only_at_the_end(
    source: AudioFormat,
    target: AudioFormat,
    policy: PlayoutPolicy,
    steps: list[tuple[str, int]],
    late_ms: float,
) -> None:
    listener = Listener(policy, source, target)
    for i, (action, n) in enumerate(steps):
        if action == "feed":
            listener.feed(loud(source, 250, seed=i)[:n])
        elif action == "wait":
            listener.wait(n, late_ms=late_ms)
        else:
            getattr(listener, action)()
    listener.wait(30_000)
    assert listener.played == listener.expected
    stats = listener.stats
    n_sent = round(stats.audio_out_ms * target.frame_bytes() / 20)
    assert n_sent % target.frame_bytes() == 0
    assert n_sent == len(listener.sizes) * target.frame_bytes()
    # Each clear, and each half sample given up, may round a sample of the source up or down.
    n_torn = 1 + sum(action in ("begin", "clear") for action, _ in steps)
    assert missing_from_ledger_ms(stats) == pytest.approx(0, abs=n_torn * 0.125 + 1e-6)


@settings(max_examples=150, deadline=None)
@given(
    SOURCES,
    TARGETS,
    st.sampled_from([0, 40, 200]),
    st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 0.999)), max_size=40),
)
def test_nothing_is_padded_while_audio_arrives_before_the_provider_runs_dry(
    source: AudioFormat, target: AudioFormat, prebuffer_ms: int, chunks: list[tuple[int, float]]
) -> None:
    policy = PlayoutPolicy(exact_frames=True, lead_ms=19_800, prebuffer_ms=prebuffer_ms)
    listener = Listener(policy, source, target)
    listener.feed(loud(source, 60))
    for i, (n, part) in enumerate(chunks):
        left_ns = max(listener.dry_ns - GUARD_NS, START + prebuffer_ms * MS) - listener.now_ns
        listener.wait(int(part * left_ns) / MS)  # rounded down: before the last moment
        listener.feed(loud(source, 250, seed=i)[:n])
    assert listener.stats.inserted_silence_ms == 0
    listener.end()
    listener.wait(30_000)
    assert listener.stats.inserted_silence_ms < 20
    assert listener.played == listener.expected


@settings(max_examples=100, deadline=None)
@given(
    SOURCES, TARGETS, st.lists(st.tuples(st.integers(1, 800), st.floats(0, 9.99)), min_size=1, max_size=40)
)
def test_live_messages_late_by_less_than_the_cushion_less_a_frame_and_the_guard_are_never_padded(
    source: AudioFormat, target: AudioFormat, chunks: list[tuple[int, float]]
) -> None:
    listener = Listener(EXACT, source, target)
    bytes_per_ms = source.frame_bytes() / 20
    n_sent = 0
    for i, (n, late_ms) in enumerate(chunks):
        at_ms = max(n_sent / bytes_per_ms + (late_ms if i else 0), (listener.now_ns - START) / MS)
        listener.wait(at_ms - (listener.now_ns - START) / MS)
        listener.feed(loud(source, 250, seed=i)[:n])
        n_sent += n
    assert listener.stats.inserted_silence_ms == 0


@pytest.mark.parametrize("source", [MULAW, PCM_8K, PCM_16K, PCM_24K], ids=str)
@pytest.mark.parametrize("target", [PCM_8K, PCM_16K, PCM_24K], ids=str)
def test_a_remainder_does_not_leak_past_a_clear(source: AudioFormat, target: AudioFormat) -> None:
    listener = Listener(EAGER, source, target)
    listener.feed(loud(source, 47))
    assert 0 < listener.path.unsent_ms < 20
    listener.clear()
    assert listener.path.unsent_ms == 0
    listener.take()
    audio = listener.feed(loud(source, 60, seed=1))
    assert listener.take() == Converter(source, target).push(audio)


def test_a_remainder_is_joined_by_the_next_utterance_while_it_waits_its_turn() -> None:
    """The end of one that is still paced is no end any more when the next has come."""
    listener = Listener(PlayoutPolicy(exact_frames=True, lead_ms=100), PCM_16K, PCM_16K)
    listener.feed(loud(PCM_16K, 310))
    listener.end()
    listener.feed(loud(PCM_16K, 310, seed=1))
    listener.wait(1000)
    assert listener.stats.inserted_silence_ms == 0
    assert listener.played == listener.expected


def test_a_remainder_at_the_end_of_speech_is_padded_in_its_turn() -> None:
    listener = Listener(PlayoutPolicy(exact_frames=True, lead_ms=100), PCM_16K, PCM_16K)
    listener.feed(loud(PCM_16K, 310))
    listener.end()
    assert listener.stats.inserted_silence_ms == 0
    listener.wait(1000)
    assert listener.stats.inserted_silence_ms == 10
    assert listener.at_ns[-1] == START + (300 - 100) * MS


# --- if we ever were wrong -----------------------------------------------------------------------


@pytest.mark.parametrize("target", [PCM_8K, PCM_16K, PCM_24K], ids=str)
def test_a_message_of_a_wrong_size_is_held_back_counted_and_survived(target: AudioFormat) -> None:
    path = PlayoutPath(target, target, policy=EAGER)
    path.open(START)
    forget_frames(path)
    frame, part, more = (loud(target, ms) for ms in (20, 13, 20.125))
    assert path.feed(frame, START) == [frame]
    assert path.feed(part, START) == []
    assert path.feed(more, START) == []
    stats = path.stats(START)
    assert (stats.wrong_size, stats.dropped_wrong_size_ms, stats.messages_out) == (2, 13 + 20.125, 1)
    # It was not sent, so the ledger does not take it for heard; and nothing is left that would be due.
    assert (path.sent_ms, path.unsent_ms, path.next_due_ns) == (20, 0, None)
    assert missing_from_ledger_ms(stats) == pytest.approx(0, abs=1e-6)
    assert path.feed(frame, START) == [frame]
    assert path.stats(START).wrong_size == 2


def test_the_pump_s_way_out_holds_a_wrong_size_back_too() -> None:
    path = PlayoutPath(PCM_16K, PCM_16K, policy=EAGER)
    path.open(START)
    forget_frames(path)
    messages = [loud(PCM_16K, ms, seed=i) for i, ms in enumerate((20, 7, 20, 33, 1, 20, 240))]
    _, n_taken, n_out = count_allocations(path, messages, False, START, 20 * MS)
    assert (n_taken, n_out) == (7, 3 * 640)
    path.due(START + 1000 * MS)
    path.due(START + 1000 * MS)
    stats = path.stats()
    assert (stats.wrong_size, stats.dropped_wrong_size_ms, stats.messages_out) == (6, 7 + 33 + 1 + 240, 3)
    assert missing_from_ledger_ms(stats) == 0


def test_a_flush_holds_a_wrong_size_back_too() -> None:
    path = PlayoutPath(PCM_16K, PCM_16K, policy=EAGER)
    forget_frames(path)
    assert path.feed(loud(PCM_16K, 120), START) == []
    path.open(START)  # the first 100 ms, in one message
    assert [len(message) for message in path.flush(START)] == [640]
    stats = path.stats(START)
    assert (stats.wrong_size, stats.dropped_wrong_size_ms, path.sent_ms) == (1, 100, 20)
    path.feed(loud(PCM_16K, 10), START)
    path.set_stalled(True)
    path.feed(loud(PCM_16K, 30), START)
    assert path.flush(START) == []
    stats = path.stats(START)
    assert (stats.dropped_wrong_size_ms, path.sent_ms) == (140, 20)
    assert missing_from_ledger_ms(stats) == 0


def test_where_any_size_goes_none_is_wrong() -> None:
    path = PlayoutPath(PCM_16K, PCM_16K, policy=PlayoutPolicy(prebuffer_ms=0))
    path.open(START)
    assert [len(message) for n in (1, 20, 33, 250) for message in path.feed(loud(PCM_16K, n), START)] == [
        32,
        640,
        1056,
        3200,
        3200,
        1600,
    ]
    assert path.stats().wrong_size == 0


def test_it_is_the_audio_of_a_message_that_must_be_a_frame() -> None:
    path = PlayoutPath(PCM_16K, PCM_16K, policy=EAGER, wrap=TEXT_OUT)
    path.open(START)
    messages = [unwrap(message) for message in path.feed(loud(PCM_16K, 50), START)]
    assert [len(audio) for audio in (*messages, *map(unwrap, path.flush(START)))] == [640, 640, 640]
    assert path.stats().wrong_size == 0


def test_the_cushion_is_a_frame_longer_as_a_remainder_is_none() -> None:
    speaker = Speaker(PlayoutPolicy(exact_frames=True, prebuffer_ms=40)).open()
    speaker.feed(loud(MULAW, 50))
    speaker.wait(59)
    assert not speaker.heard
    speaker.wait(1)
    assert speaker.heard
