"""While the far side takes nothing, what waits for it grows no older than 200 ms: silence goes first."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import START, Line, Speaker
from media_laws import MS, MULAW, PCM_8K, PCM_16K, TEXT_OUT, loud, missing_from_ledger_ms, missing_ms, silent

from vapimedia.formats import AudioFormat
from vapimedia.media import LivePath, LivePolicy, PlayoutPath, PlayoutPolicy

EAGER = PlayoutPolicy(prebuffer_ms=0)
EXACT = PlayoutPolicy(prebuffer_ms=0, exact_frames=True)


def stalled(policy: PlayoutPolicy = EAGER, fmt: AudioFormat = MULAW) -> Speaker:
    speaker = Speaker(policy, source=fmt, target=fmt).open()
    speaker.path.set_stalled(True)
    return speaker


def talk(speaker: Speaker, ms: int, *, seed: int = 0) -> bytes:
    """Feed noise in real time; return it."""
    audio = loud(speaker.source, ms, seed=seed)
    n_chunk = speaker.source.frame_bytes()
    for at in range(0, len(audio), n_chunk):
        speaker.feed(audio[at : at + n_chunk])
        speaker.wait(20)
    return audio


# --- Vapi to caller ------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [EAGER, EXACT], ids=["any size", "exact"])
def test_after_a_stall_the_caller_hears_the_present(policy: PlayoutPolicy) -> None:
    speaker = stalled(policy)
    audio = talk(speaker, 2000)
    assert speaker.path.unsent_ms == 200
    speaker.path.set_stalled(False)
    speaker.wait(0)
    audio += talk(speaker, 500, seed=1)
    assert speaker.take() == audio[-700 * 8 :]
    assert speaker.stats.dropped_late_ms == 1800
    assert speaker.queued_ms == 200


def test_what_is_late_is_dropped_in_real_time_without_anything_coming_in() -> None:
    speaker = stalled()
    speaker.feed(loud(MULAW, 2000))
    for at_ms in range(0, 2000, 50):
        late_ms = -(-max(0, at_ms - 200) // 20) * 20  # whole frames
        assert speaker.stats.dropped_late_ms == pytest.approx(late_ms, abs=20)
        assert speaker.path.unsent_ms + speaker.stats.dropped_late_ms == 2000
        speaker.wait(50)
    speaker.wait(300)
    assert speaker.path.unsent_ms == 0
    assert speaker.path.next_due_ns is None


def test_what_is_not_due_yet_is_never_late() -> None:
    """A burst that the lead holds back: the provider has enough to play meanwhile."""
    speaker = Speaker(PlayoutPolicy(lead_ms=3000)).open()
    audio = speaker.feed(loud(MULAW, 10_000))
    speaker.path.set_stalled(True)
    speaker.wait(3000)
    assert speaker.stats.dropped_late_ms == 0
    speaker.path.set_stalled(False)
    speaker.wait(20_000)
    assert speaker.take() == audio


def test_a_stall_costs_what_it_outlasts_and_no_more() -> None:
    speaker = Speaker(PlayoutPolicy(lead_ms=1000)).open()
    speaker.feed(loud(MULAW, 10_000))
    speaker.path.set_stalled(True)
    speaker.wait(3000)
    assert 3000 - 1020 - 200 <= speaker.stats.dropped_late_ms <= 3000 - 1020 - 200 + 20
    speaker.path.set_stalled(False)
    speaker.wait(0)
    # All of it is over when it would have been, but for the 200 ms.
    assert speaker.queued_ms == pytest.approx(7000 + 200, abs=20)


def test_silence_is_dropped_first_and_words_are_kept() -> None:
    speaker = stalled()
    words = [loud(MULAW, 60, seed=seed) for seed in range(3)]
    for word in words:
        speaker.feed(word + silent(MULAW, 60))
    speaker.wait(200 + 180)
    assert speaker.stats.dropped_late_ms == 180
    speaker.path.set_stalled(False)
    speaker.wait(0)
    assert speaker.take() == b"".join(words)


def test_silence_that_is_not_due_yet_does_not_pay_for_what_is_late() -> None:
    speaker = stalled()
    speaker.feed(loud(MULAW, 1000) + silent(MULAW, 1000))
    speaker.wait(700)
    speaker.path.set_stalled(False)
    speaker.wait(0)
    assert speaker.take() == loud(MULAW, 1000)[500 * 8 :] + silent(MULAW, 1000)


def test_what_the_socket_holds_is_part_of_what_is_late() -> None:
    speaker = stalled()
    speaker.path.set_backlog(120 * 8)
    talk(speaker, 1000)
    assert speaker.path.unsent_ms == 80
    speaker.path.set_backlog(5000)
    speaker.wait(1)
    assert speaker.path.unsent_ms == 0


def test_what_the_socket_holds_was_not_heard() -> None:
    speaker = Speaker(EAGER).open()
    speaker.feed(loud(MULAW, 500))
    speaker.path.set_backlog(300 * 8)
    speaker.wait(400)
    assert (speaker.heard_ms, speaker.queued_ms) == (200, 300)
    speaker.feed(loud(MULAW, 100))
    assert (speaker.heard_ms, speaker.queued_ms) == (200, 400)
    speaker.path.clear(speaker.now_ns)
    assert (speaker.heard_ms, speaker.queued_ms) == (200, 0)
    speaker.path.set_backlog(0)
    assert (speaker.heard_ms, speaker.queued_ms) == (200, 0)


def test_the_backlog_is_told_in_bytes_on_the_wire() -> None:
    path = PlayoutPath(MULAW, MULAW, policy=EAGER, wrap=TEXT_OUT)
    path.open(START)
    messages = path.feed(loud(MULAW, 500), START)
    path.set_backlog(sum(map(len, messages)))
    assert path.queued_ms(START + 500 * MS) == pytest.approx(500)


def test_an_unpaced_path_drops_nothing_for_being_late() -> None:
    speaker = stalled(PlayoutPolicy(paced=False))
    audio = talk(speaker, 3000)
    speaker.path.set_stalled(False)
    assert b"".join(speaker.path.due(speaker.now_ns)) == audio


def test_what_waits_for_the_provider_s_start_is_not_late() -> None:
    speaker = Speaker(EAGER)
    speaker.path.set_stalled(True)
    audio = speaker.feed(loud(MULAW, 5000))
    speaker.wait(5000)
    speaker.open()
    speaker.path.set_stalled(False)
    speaker.wait(0)
    assert speaker.take() == audio


def test_a_pause_before_a_stall_is_no_lateness() -> None:
    speaker = Speaker(EAGER).open()
    speaker.feed(loud(MULAW, 20))
    speaker.wait(5000)
    speaker.take()
    speaker.path.set_stalled(True)
    audio = speaker.feed(loud(MULAW, 60))
    speaker.wait(190)
    speaker.path.set_stalled(False)
    speaker.wait(0)
    assert speaker.take() == audio


STALLS = st.lists(
    st.tuples(st.sampled_from(["feed", "quiet", "wait", "stall", "go on"]), st.integers(1, 400)), max_size=30
)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([(MULAW, EAGER), (PCM_8K, EXACT), (PCM_16K, EXACT)]), STALLS)
def test_whatever_stalls_samples_stay_whole_and_in_order(
    case: tuple[AudioFormat, PlayoutPolicy], steps: list[tuple[str, int]]
) -> None:
    fmt, policy = case
    speaker = Speaker(policy, source=fmt, target=fmt).open()
    came = b""
    for i, (action, n) in enumerate(steps):
        if action in ("feed", "quiet"):
            came += speaker.feed(loud(fmt, n, seed=i) if action == "feed" else silent(fmt, n))
        elif action == "wait":
            speaker.wait(n)
        else:
            speaker.path.set_stalled(action == "stall")
            speaker.wait(0)
        assert missing_from_ledger_ms(speaker.stats) == pytest.approx(0, abs=1e-6)
    speaker.end()
    speaker.wait(20_000)
    assert not policy.exact_frames or set(speaker.sizes) <= {fmt.frame_bytes()}
    n_sample = fmt.bytes_per_sample
    samples = iter([came[at : at + n_sample] for at in range(0, len(came), n_sample)])
    heard = [speaker.heard[at : at + n_sample] for at in range(0, len(speaker.heard), n_sample)]
    assert all(sample in samples for sample in heard if sample != fmt.silence)  # in the order they came


# --- caller to Vapi ------------------------------------------------------------------------------


def test_of_what_the_caller_said_silence_is_dropped_first() -> None:
    line = Line().open()
    line.talk(100)
    line.take()
    line.path.set_stalled(True)
    words = [loud(MULAW, 40, seed=seed) for seed in range(4)]
    for word in words:
        for part in (word[:160], word[160:], *[silent(MULAW, 20)] * 8):
            line.wait(20)
            line.feed(part)
    assert line.stats.queued_ms == 200
    assert line.stats.dropped_closed_ms == 4 * 200 - 200
    line.path.set_stalled(False)
    line.feed(silent(MULAW, 20))
    assert line.take() == b"".join(words) + silent(MULAW, 60)


def test_what_vapi_s_socket_holds_counts_in() -> None:
    line = Line(source=PCM_16K, target=PCM_16K).open()
    line.talk(100)
    line.path.set_stalled(True)
    line.path.set_backlog(150 * 32)
    line.talk(1000)
    assert line.stats.queued_ms == 40
    line.path.set_backlog(300 * 32)
    line.talk(20)
    assert line.stats.queued_ms == 0


def test_what_waits_grows_old_when_nothing_comes_any_more() -> None:
    line = Line().open()
    line.talk(100)
    line.path.set_stalled(True)
    line.talk(200)
    line.wait(60)
    assert line.stats.queued_ms == 200
    line.wait(101)
    assert line.stats.queued_ms == 80
    line.wait(200)
    assert line.stats.queued_ms == 0
    assert line.path.next_due_ns is None


def test_the_silence_of_a_key_is_kept_while_there_is_room() -> None:
    line = Line().open()
    line.talk(100)
    line.take()
    line.path.set_stalled(True)
    key = loud(MULAW, 60) + silent(MULAW, 40)
    line.path.insert(key, line.now_ns)
    line.feed(silent(MULAW, 200))
    line.path.set_stalled(False)
    line.feed(loud(MULAW, 20))
    assert line.take().startswith(key)


def test_before_vapi_is_there_silence_is_dropped_first_too() -> None:
    path = LivePath(MULAW, MULAW, policy=LivePolicy(max_backlog_ms=100))
    word = loud(MULAW, 80)
    for part in (word, silent(MULAW, 400)):
        path.feed(part, START)
    assert b"".join(path.open(START)) == word + silent(MULAW, 20)
    assert missing_ms(path.stats(START)) == 0
