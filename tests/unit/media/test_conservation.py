"""Whatever happens, in any order: no audio is lost that is not counted, and no wake-up is in vain."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import START, Line, Speaker
from media_laws import MS, MULAW, PCM_16K, loud, missing_from_ledger_ms, missing_ms, silent

from vapimedia.formats import AudioFormat
from vapimedia.media import PlayoutPolicy

LIVE_STEPS = st.one_of(
    st.tuples(st.sampled_from(["feed", "quiet"]), st.integers(0, 500)),
    st.tuples(st.sampled_from(["wait", "sleep"]), st.integers(0, 400)),
    st.tuples(st.sampled_from(["open", "stall", "go on", "clear", "huge"]), st.just(0)),
    st.tuples(st.just("backlog"), st.integers(0, 3000)),
)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([(MULAW, MULAW), (MULAW, PCM_16K), (PCM_16K, PCM_16K)]), st.lists(LIVE_STEPS, max_size=25)
)
def test_audio_in_is_out_or_queued_or_counted(
    pair: tuple[AudioFormat, AudioFormat], steps: list[tuple[str, int]]
) -> None:
    source, target = pair
    line = Line(source=source, target=target)
    n_out = 0
    for action, n in steps:
        if action in ("feed", "quiet"):
            line.feed((loud if action == "feed" else silent)(source, n))
        elif action == "huge":
            line.feed(loud(source, 3000))
        elif action == "wait":
            line.wait(n)
        elif action == "sleep":
            line.sleep(n)
        elif action == "open":
            line.open()
        elif action == "clear":
            line.path.clear(line.now_ns)
        elif action == "backlog":
            line.path.set_backlog(n)
        else:
            line.path.set_stalled(action == "stall")
        assert {len(frame) for frame in line.out} <= {target.frame_bytes()}
        n_out += len(line.take())
        assert missing_ms(line.stats) == 0
    assert line.stats.audio_out_ms == n_out * 1000 / (target.sample_rate * target.bytes_per_sample)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 120), st.integers(0, 120)), max_size=30))
def test_the_stream_keeps_up_with_real_time(steps: list[tuple[int, int]]) -> None:
    line = Line().open()
    for audio_ms, pause_ms in steps:
        line.wait(pause_ms)
        line.feed(loud(MULAW, audio_ms))
    line.wait(300)
    passed_ms = (line.now_ns - START) / MS
    assert line.stats.audio_out_ms > passed_ms - 20 - 0.01 * passed_ms


PLAYOUT_STEPS = st.one_of(
    st.tuples(st.sampled_from(["feed", "quiet"]), st.integers(0, 1500)),
    st.tuples(st.just("live"), st.integers(255, 270)),
    st.tuples(st.sampled_from(["wait", "late"]), st.integers(0, 400)),
    st.tuples(
        st.sampled_from(["open", "end", "begin", "clear", "stall", "go on", "flush", "close"]), st.just(0)
    ),
    st.tuples(st.sampled_from(["mark", "backlog"]), st.integers(0, 3000)),
)
POLICIES = st.builds(
    PlayoutPolicy,
    exact_frames=st.booleans(),
    lead_ms=st.sampled_from([0, 30, 200, 60_000]),
    prebuffer_ms=st.sampled_from([0, 10, 40, 200]),
    max_playout_ms=st.sampled_from([100, 1000, 120_000]),
    paced=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([MULAW, PCM_16K]), POLICIES, st.lists(PLAYOUT_STEPS, max_size=25))
def test_audio_in_is_heard_or_queued_or_counted(
    source: AudioFormat, policy: PlayoutPolicy, steps: list[tuple[str, int]]
) -> None:
    speaker = Speaker(policy, source=source)
    path, is_closed = speaker.path, False
    for action, n in steps:
        if action == "feed":
            speaker.feed(loud(source, n / 8)[: n // 4 * 4])
        elif action == "quiet":
            speaker.feed(silent(source, n // 8))
        elif action == "live":
            for chunk in range(n):
                speaker.feed((loud if chunk % 8 < 4 else silent)(source, 20))
                speaker.wait(20)
        elif action == "open":
            speaker.open()
        elif action == "end":
            speaker.end()
        elif action in ("wait", "late"):
            speaker.wait(n, late_ms=n / 30 if action == "late" else 0)
        elif action == "clear":
            path.clear(speaker.now_ns)
        elif action == "begin":
            path.speech_started()
        elif action == "backlog":
            path.set_backlog(n)
        elif action == "mark":
            path.mark_played(path.generation, n / 2, speaker.now_ns)
        elif action == "flush" and not is_closed:
            speaker._note(path.flush(speaker.now_ns))
        elif action == "close":
            path.close()
            is_closed = True
        else:
            path.set_stalled(action == "stall")
        stats = speaker.stats
        assert missing_from_ledger_ms(stats) == pytest.approx(0, abs=1e-6)
        assert 0 <= stats.heard_ms <= path.sent_ms
        assert path.sent_ms == stats.audio_out_ms == len(speaker.heard) / 8
        assert not policy.exact_frames or set(speaker.sizes) <= {160}


@settings(max_examples=100, deadline=None)
@given(POLICIES, st.lists(st.tuples(st.integers(1, 900), st.integers(0, 150)), min_size=1, max_size=12))
def test_nothing_is_due_before_next_due_and_something_is_then(
    policy: PlayoutPolicy, chunks: list[tuple[int, int]]
) -> None:
    speaker = Speaker(policy).open()
    for i, (n, pause_ms) in enumerate(chunks):
        speaker.feed(loud(MULAW, 200, seed=i)[:n])
        due_ns = speaker.path.next_due_ns
        if due_ns is not None:
            assert due_ns > speaker.now_ns
            assert speaker.path.due(due_ns - 1) == []
            assert speaker.path.next_due_ns == due_ns
        speaker.wait(pause_ms)
        assert speaker.stats.wrong_size == 0


@settings(max_examples=60, deadline=None)
@given(
    POLICIES,
    st.lists(
        st.tuples(st.sampled_from(["feed", "wait", "clear"]), st.integers(1, 900)), min_size=1, max_size=15
    ),
    st.lists(st.integers(0, 3000), min_size=1, max_size=5),
)
def test_marks_of_old_generations_never_move_the_ledger(
    policy: PlayoutPolicy, steps: list[tuple[str, int]], positions_ms: list[int]
) -> None:
    speaker = Speaker(policy).open()
    path = speaker.path
    for action, n in [*steps, ("clear", 0), ("feed", 400)]:
        if action == "feed":
            speaker.feed(loud(MULAW, n))
        elif action == "wait":
            speaker.wait(n)
        else:
            path.clear(speaker.now_ns)
        before = (speaker.stats, path.next_due_ns, path.generation, path.sent_ms)
        for old in range(path.generation):
            for position_ms in (*positions_ms, path.sent_ms):
                assert not path.mark_played(old, position_ms, speaker.now_ns)
        assert (speaker.stats, path.next_due_ns, path.generation, path.sent_ms) == before
