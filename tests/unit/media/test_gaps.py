"""A gap is counted when the caller heard a hole inside an utterance: by the ledger, and never for a pause."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import Speaker
from media_laws import MULAW, loud

from vapimedia.media import PathStats, PlayoutPolicy


def say(speaker: Speaker, ms: int, *, every_ms: int = 20) -> None:
    for _ in range(ms // every_ms):
        speaker.feed(loud(MULAW, every_ms))
        speaker.wait(every_ms)


def gaps(stats: PathStats) -> tuple[int, float]:
    return stats.gaps, stats.gap_ms


def test_speech_in_time_has_no_gap() -> None:
    speaker = Speaker().open()
    say(speaker, 2000)
    assert gaps(speaker.stats) == (0, 0)


def test_a_message_later_than_the_cushion_is_one_gap_until_audio_goes_on() -> None:
    speaker = Speaker().open()
    say(speaker, 400)
    speaker.wait(200)  # 40 ms of it are covered by the cushion
    say(speaker, 400)
    n_gaps, gap_ms = gaps(speaker.stats)
    assert n_gaps == 1
    assert gap_ms == pytest.approx(200 - 40 + 40)  # and the new cushion was waited for


def test_a_pause_between_utterances_is_no_gap() -> None:
    speaker = Speaker().open()
    for pause_ms in (200, 900, 5000):
        speaker.path.speech_started()
        say(speaker, 400)
        speaker.end()
        speaker.wait(pause_ms)
    assert gaps(speaker.stats) == (0, 0)


def test_a_start_alone_tells_a_new_utterance_too() -> None:
    speaker = Speaker().open()
    for _ in range(3):
        say(speaker, 400)
        speaker.wait(300)
        speaker.path.speech_started()
    assert gaps(speaker.stats) == (0, 0)


def test_more_than_a_second_is_a_pause_whatever_was_said() -> None:
    speaker = Speaker().open()
    say(speaker, 400)
    speaker.wait(1200)
    say(speaker, 400)
    assert gaps(speaker.stats) == (0, 0)


def test_what_follows_a_clear_has_no_gap_before_it() -> None:
    speaker = Speaker().open()
    say(speaker, 400)
    speaker.path.clear(speaker.now_ns)
    speaker.wait(300)
    say(speaker, 400)
    assert gaps(speaker.stats) == (0, 0)


def test_waiting_for_the_provider_is_no_gap() -> None:
    speaker = Speaker()
    speaker.feed(loud(MULAW, 100))
    speaker.wait(700)
    speaker.open()
    say(speaker, 400)
    assert gaps(speaker.stats) == (0, 0)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 300), min_size=1, max_size=40))
def test_gaps_are_what_a_clock_that_plays_the_same_audio_counts(waits_ms: list[int]) -> None:
    """Without a cushion audio is sent as it comes: a plain clock tells when the caller hears nothing."""
    speaker = Speaker(PlayoutPolicy(prebuffer_ms=0)).open()
    expected = []
    dry_ms = 0
    for at, wait_ms in zip(accumulate([0, *waits_ms]), [*waits_ms, 0], strict=True):
        if at > dry_ms:
            expected.append(at - dry_ms)
        dry_ms = max(dry_ms, at) + 100
        speaker.feed(loud(MULAW, 100))
        speaker.wait(wait_ms)
    assert speaker.stats.gaps == len(expected)
    assert speaker.stats.gap_ms == pytest.approx(sum(expected))
