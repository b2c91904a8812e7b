"""Vapi to caller: a cushion, then never late; the ledger knows what was sent, played, cleared and heard."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import START, Speaker
from media_laws import (
    MS,
    MULAW,
    PCM_16K,
    TEXT_OUT,
    loud,
    missing_ms,
    silent,
    unwrap,
)

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import PlayoutPath, PlayoutPolicy

FRAME = MULAW.frame_bytes()
EXACT = PlayoutPolicy(exact_frames=True)


def test_an_utterance_starts_with_a_cushion() -> None:
    speaker = Speaker().open()
    audio = speaker.feed(loud(MULAW, 25))
    assert speaker.take() == b""
    speaker.wait(39)
    assert speaker.take() == b""
    speaker.wait(1)
    assert speaker.take() == audio


def test_a_message_is_no_cushion_itself() -> None:
    """It is played while the next one is on its way; only what lies beyond it makes up for lateness."""
    speaker = Speaker().open()
    audio = speaker.feed(loud(MULAW, 93))
    speaker.wait(39)
    assert speaker.take() == b""
    speaker.wait(1)
    assert speaker.take() == audio


def test_an_utterance_starts_at_once_when_its_cushion_is_there() -> None:
    speaker = Speaker().open()
    audio = speaker.feed(loud(MULAW, 25)) + speaker.feed(loud(MULAW, 46))
    assert speaker.take() == b""
    audio += speaker.feed(loud(MULAW, 15))
    assert speaker.take() == audio


def test_a_burst_brings_its_cushion_with_it() -> None:
    speaker = Speaker().open()
    assert speaker.feed(loud(MULAW, 140)) == speaker.take()


def test_messages_that_are_late_by_less_than_the_cushion_leave_no_gap() -> None:
    speaker = Speaker().open()
    for n, late_ms in enumerate((0, 39, 12, 30, 0, 38, 25)):
        speaker.wait(50 * n + late_ms - (speaker.now_ns - START) / MS)
        speaker.feed(loud(MULAW, 50, seed=n))
    speaker.wait(50 * 7 + 39 - (speaker.now_ns - START) / MS)
    # All that was due by now has been heard, later by the cushion and by nothing else.
    assert speaker.heard_ms == 50 * 7 - 1


def test_inside_an_utterance_audio_is_sent_on_arrival() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 200))
    speaker.take()
    for n in range(1, 20):
        speaker.wait(n)
        assert speaker.feed(loud(MULAW, n, seed=n)) == speaker.take()


def test_after_it_ran_dry_the_next_utterance_has_a_cushion_again() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 140))
    speaker.wait(140)
    speaker.take()
    speaker.feed(loud(MULAW, 20))
    assert speaker.take() == b""
    assert speaker.path.next_due_ns == speaker.now_ns + 40 * MS


def test_the_end_of_speech_needs_no_cushion() -> None:
    speaker = Speaker().open()
    audio = speaker.feed(loud(MULAW, 10))
    speaker.end()
    assert speaker.take() == audio


def test_without_a_prebuffer_nothing_waits() -> None:
    speaker = Speaker(PlayoutPolicy(prebuffer_ms=0)).open()
    assert speaker.feed(loud(MULAW, 1)) == speaker.take()


@pytest.mark.parametrize("n", [1, 159, 161, 170, 743, 800, 801, 5000])
def test_where_any_size_goes_chunks_are_sent_as_they_are(n: int) -> None:
    speaker = Speaker(PlayoutPolicy(prebuffer_ms=0)).open()
    audio = speaker.feed(loud(MULAW, 1000)[:n])
    assert speaker.sizes == [800] * (n // 800) + [n % 800] * (n % 800 > 0)
    assert speaker.take() == audio


CHUNKS = st.lists(st.tuples(st.integers(1, 900), st.integers(0, 120), st.booleans()), max_size=30)


@settings(max_examples=60, deadline=None)
@given(CHUNKS, st.integers(0, 200), st.floats(0, 15))
def test_exact_frames_are_exact_and_hold_the_audio_in_order(
    chunks: list[tuple[int, int, bool]], prebuffer_ms: int, late_ms: float
) -> None:
    speaker = Speaker(PlayoutPolicy(exact_frames=True, prebuffer_ms=prebuffer_ms)).open()
    audio = b""
    for i, (n, pause_ms, ends) in enumerate(chunks):
        audio += speaker.feed(loud(MULAW, 200, seed=i)[:n])
        speaker.wait(pause_ms, late_ms=late_ms)
        if ends:
            speaker.end()
    speaker.wait(10_000)
    assert set(speaker.sizes) <= {FRAME}
    assert speaker.heard.replace(MULAW.silence, b"") == audio
    assert len(speaker.heard) - len(audio) == speaker.stats.inserted_silence_ms * 8


def test_a_partial_frame_waits_for_the_next_chunk() -> None:
    speaker = Speaker(PlayoutPolicy(exact_frames=True, prebuffer_ms=30)).open()
    audio = speaker.feed(loud(MULAW, 50))
    speaker.wait(29)
    audio += speaker.feed(loud(MULAW, 50, seed=1))
    assert speaker.heard == audio
    assert speaker.stats.inserted_silence_ms == 0


def test_a_partial_frame_is_padded_just_before_the_provider_runs_dry() -> None:
    speaker = Speaker(PlayoutPolicy(exact_frames=True, prebuffer_ms=0)).open()
    audio = speaker.feed(loud(MULAW, 50))
    assert speaker.take() == audio[:320]
    assert speaker.path.next_due_ns == START + 30 * MS
    speaker.wait(30)
    assert speaker.take() == audio[320:] + silent(MULAW, 10)


def test_a_partial_frame_is_padded_when_speech_ends() -> None:
    speaker = Speaker(EXACT).open()
    audio = speaker.feed(loud(MULAW, 50))
    speaker.end()
    assert speaker.take() == audio + silent(MULAW, 10)
    assert speaker.stats.inserted_silence_ms == 10


def test_steady_chunks_of_any_size_are_never_padded() -> None:
    speaker = Speaker(EXACT).open()
    audio = speaker.feed(loud(MULAW, 150))
    for i in range(100):
        n = (170, 743, 200, 487)[i % 4]
        speaker.wait(n / 8, late_ms=5)
        audio += speaker.feed(loud(MULAW, 100, seed=i)[:n])
    assert speaker.stats.inserted_silence_ms == 0
    assert audio.startswith(speaker.heard)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("late_ms", [0, 3, 35])
@pytest.mark.parametrize("lead_ms", [0, 60, 1000])
def test_the_lead_is_kept_on_an_absolute_clock(exact: bool, late_ms: int, lead_ms: int) -> None:
    speaker = Speaker(PlayoutPolicy(exact_frames=exact, lead_ms=lead_ms)).open()
    audio = speaker.feed(loud(MULAW, 10_000))
    assert lead_ms <= len(speaker.heard) / 8 <= lead_ms + 20
    speaker.wait(4_000, late_ms=late_ms)
    # However late each wake-up was, it sent what had become due: a late one moves nothing that follows.
    sent_ms, passed_ms = len(speaker.heard) / 8, (speaker.now_ns - START) / MS
    if lead_ms > late_ms:
        assert passed_ms + lead_ms - late_ms - 20 <= sent_ms <= passed_ms + lead_ms + 20
    speaker.wait(30_000, late_ms=late_ms)
    assert speaker.heard == audio


def test_pacing_sends_one_frame_at_a_time() -> None:
    speaker = Speaker(PlayoutPolicy(lead_ms=200)).open()
    speaker.feed(loud(MULAW, 2000))
    speaker.take()
    speaker.wait(1000)
    assert set(speaker.sizes) == {FRAME}
    assert {b - a for a, b in zip(speaker.at_ns, speaker.at_ns[1:], strict=False)} == {20 * MS}


def test_an_unpaced_path_sends_everything_at_once() -> None:
    speaker = Speaker(PlayoutPolicy(lead_ms=0, paced=False)).open()
    assert speaker.feed(loud(MULAW, 5)) == speaker.take()
    assert speaker.feed(loud(MULAW, 100_000)) == speaker.take()


def test_early_audio_is_kept_whole_up_to_ten_seconds_and_sent_at_open() -> None:
    speaker = Speaker()
    audio = speaker.feed(loud(MULAW, 9_000)) + speaker.feed(loud(MULAW, 1000, seed=1))
    speaker.feed(loud(MULAW, 500))
    assert speaker.path.next_due_ns is None
    assert speaker.take() == b""
    speaker.wait(5000)
    speaker.open()
    assert speaker.take() == audio
    assert speaker.stats.dropped_overflow_ms == 500


def test_little_early_audio_gets_its_cushion_from_open_on() -> None:
    speaker = Speaker()
    audio = speaker.feed(loud(MULAW, 20))
    speaker.wait(1000)
    speaker.open()
    assert speaker.take() == b""
    speaker.wait(40)
    assert speaker.take() == audio


@pytest.mark.parametrize("source", [MULAW, PCM_16K], ids=str)
def test_overflow_drops_the_newest_down_to_the_sample(source: AudioFormat) -> None:
    speaker = Speaker(PlayoutPolicy(lead_ms=0, max_playout_ms=1000), source=source).open()
    audio = b"".join(speaker.feed(loud(source, 130, seed=i)) for i in range(10))
    assert speaker.stats.dropped_overflow_ms == 1300 - 1000 - speaker.path.sent_ms
    speaker.wait(10_000)
    assert speaker.heard == Converter(source, MULAW).push(audio)[: (1000 + 20) * 8]
    assert missing_ms(speaker.stats) == 0


def test_the_ledger_counts_what_the_caller_has_heard() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 500))
    assert (speaker.path.sent_ms, speaker.heard_ms, speaker.queued_ms) == (500, 0, 500)
    speaker.wait(200)
    assert (speaker.heard_ms, speaker.queued_ms) == (200, 300)
    speaker.wait(1000)
    assert (speaker.heard_ms, speaker.queued_ms) == (500, 0)


def test_a_pause_is_not_heard_as_audio() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 140))
    speaker.wait(1000)
    speaker.feed(loud(MULAW, 140))
    speaker.wait(50)
    assert speaker.heard_ms == 190


def test_clear_drops_the_queue_and_what_was_not_played() -> None:
    speaker = Speaker(PlayoutPolicy(lead_ms=200)).open()
    speaker.feed(loud(MULAW, 1000))
    speaker.wait(100)
    assert speaker.path.clear(speaker.now_ns) == 900
    assert (speaker.heard_ms, speaker.queued_ms, speaker.stats.cleared_ms) == (100, 0, 900)
    assert speaker.path.next_due_ns is None
    speaker.wait(1000)
    assert speaker.heard_ms == 100


def test_after_a_clear_an_utterance_starts_anew() -> None:
    speaker = Speaker(source=PCM_16K).open()
    speaker.feed(loud(PCM_16K, 315))
    speaker.path.clear(speaker.now_ns)
    speaker.take()
    audio = speaker.feed(loud(PCM_16K, 20, seed=1))
    assert speaker.take() == b""
    audio += speaker.feed(loud(PCM_16K, 40, seed=2))
    assert speaker.take() == b""
    speaker.wait(40)
    assert speaker.take() == Converter(PCM_16K, MULAW).push(audio)


def test_a_turn_that_begins_gives_up_half_a_sample_of_the_last() -> None:
    speaker = Speaker(source=PCM_16K).open()
    speaker.feed(loud(PCM_16K, 315) + b"\x55")
    speaker.path.clear(speaker.now_ns)
    speaker.take()
    speaker.path.speech_started()
    audio = speaker.feed(loud(PCM_16K, 200, seed=1))
    assert speaker.take() == Converter(PCM_16K, MULAW).push(audio)


def test_a_clear_without_a_time_uses_the_latest_known() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 500))
    assert speaker.path.clear() == 500
    assert speaker.path.stats().cleared_ms == 500


def test_time_never_runs_backwards() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 500))
    assert speaker.path.queued_ms(0) == 500
    assert speaker.path.heard_ms(0) == 0
    assert speaker.path.stats().queued_ms == 500


def test_a_mark_corrects_what_was_heard() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 500))
    speaker.wait(400)
    assert speaker.path.mark_played(0, 100, speaker.now_ns)
    assert (speaker.heard_ms, speaker.queued_ms) == (100, 400)
    assert speaker.path.mark_played(0, 500, speaker.now_ns)
    assert (speaker.heard_ms, speaker.queued_ms) == (500, 0)


def test_a_mark_may_say_that_the_provider_is_not_dry_yet() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 100))
    speaker.wait(150)
    speaker.take()
    speaker.feed(loud(MULAW, 10))
    assert speaker.take() == b""
    assert speaker.path.mark_played(0, 60, speaker.now_ns)
    assert len(speaker.path.due(speaker.now_ns)) == 1


def test_marks_from_before_a_clear_are_stale() -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 500))
    speaker.wait(100)
    speaker.path.clear(speaker.now_ns)
    assert speaker.path.generation == 1
    assert not speaker.path.mark_played(0, 500, speaker.now_ns)
    assert speaker.heard_ms == 100


@pytest.mark.parametrize("position_ms", [-5.0, 400.0, 802.0, 1e300, math.inf, -math.inf, math.nan])
def test_marks_at_places_that_were_never_sent_are_refused(position_ms: float) -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 500))
    speaker.path.clear(speaker.now_ns)
    speaker.feed(loud(MULAW, 300))
    assert not speaker.path.mark_played(1, position_ms, speaker.now_ns)
    assert speaker.heard_ms == 0
    assert speaker.path.mark_played(1, 800.4, speaker.now_ns)
    assert speaker.heard_ms == 300


@pytest.mark.parametrize("generation", [-1, 1, 2**64, 10**30])
def test_marks_of_generations_that_never_were_are_refused(generation: int) -> None:
    speaker = Speaker().open()
    speaker.feed(loud(MULAW, 500))
    assert not speaker.path.mark_played(generation, 100, speaker.now_ns)


def test_close_counts_what_was_queued() -> None:
    speaker = Speaker(PlayoutPolicy(lead_ms=100)).open()
    speaker.feed(loud(MULAW, 500))
    sent_ms = speaker.path.sent_ms
    speaker.path.close()
    assert speaker.path.next_due_ns is None
    assert speaker.path.due(speaker.now_ns + 1000 * MS) == []
    assert speaker.path.speech_ended(speaker.now_ns) == []
    assert speaker.stats.dropped_closed_ms == 500 - sent_ms
    speaker.wait(1000)
    assert speaker.heard_ms == sent_ms


def test_flush_is_part_of_the_ledger() -> None:
    speaker = Speaker(EXACT).open()
    speaker.feed(loud(MULAW, 30))
    speaker._note(speaker.path.flush(speaker.now_ns))
    assert set(speaker.sizes) == {FRAME}
    assert (speaker.path.sent_ms, speaker.queued_ms) == (40, 40)


def test_a_stalled_path_sends_nothing_until_it_goes_on() -> None:
    speaker = Speaker().open()
    speaker.path.set_stalled(True)
    audio = speaker.feed(loud(MULAW, 100))
    speaker.wait(200)
    assert speaker.take() == b""
    speaker.path.set_stalled(False)
    speaker.wait(0)
    assert speaker.take() == audio


def test_messages_are_wrapped() -> None:
    path = PlayoutPath(PCM_16K, MULAW, wrap=TEXT_OUT)
    path.open(START)
    audio = loud(PCM_16K, 140)
    assert b"".join(map(unwrap, path.feed(audio, START))) == Converter(PCM_16K, MULAW).push(audio)


def test_unsent_is_what_the_provider_was_not_given_yet() -> None:
    speaker = Speaker(PlayoutPolicy(prebuffer_ms=0)).open()
    speaker.feed(loud(MULAW, 100))
    assert speaker.path.unsent_ms == 0
    speaker.path.set_stalled(True)
    speaker.feed(loud(MULAW, 100))
    assert speaker.path.unsent_ms == 100
    assert speaker.path.queued_ms(speaker.now_ns) == 200
    speaker.path.close()
    assert speaker.path.unsent_ms == 0
