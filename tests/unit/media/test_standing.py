"""A queue that stands is worked off by leaving out silence: never speech, and never what is of use."""

from __future__ import annotations

import pytest
from media_drivers import Speaker
from media_laws import MULAW, PCM_16K, loud, silent
from media_sims import words_in

from vapimedia.formats import AudioFormat
from vapimedia.media import PlayoutPolicy

PLAIN = PlayoutPolicy(prebuffer_ms=0)


def live(speaker: Speaker, ms: int, *, is_loud: bool, chunk_ms: int = 20) -> None:
    """Vapi speaks, or is silent, in real time."""
    audio = (loud if is_loud else silent)(speaker.source, chunk_ms)
    for _ in range(ms // chunk_ms):
        speaker.wait(chunk_ms)
        speaker.feed(audio)


def standing(ms: int, policy: PlayoutPolicy = PLAIN, fmt: AudioFormat = MULAW) -> Speaker:
    """Return a path whose provider has *ms* to play before each message, and has had so for 4.9 s."""
    speaker = Speaker(policy, source=fmt, target=fmt).open()
    speaker.feed(loud(fmt, ms))
    speaker.feed(loud(fmt, 20))
    live(speaker, 4900, is_loud=True)
    return speaker


@pytest.mark.parametrize("fmt", [MULAW, PCM_16K], ids=str)
@pytest.mark.parametrize("exact", [False, True])
def test_a_queue_that_stood_for_five_seconds_is_worked_off_through_silence(
    fmt: AudioFormat, exact: bool
) -> None:
    speaker = standing(500, PlayoutPolicy(prebuffer_ms=0, exact_frames=exact), fmt)
    live(speaker, 400, is_loud=True)
    assert speaker.stats.caught_up_ms == 0
    live(speaker, 1000, is_loud=False)
    assert speaker.stats.caught_up_ms == 400
    speaker.wait(20)
    assert speaker.queued_ms == 100


def test_speech_is_never_left_out() -> None:
    speaker = standing(500)
    live(speaker, 20_000, is_loud=True)
    assert speaker.stats.caught_up_ms == 0
    assert speaker.queued_ms == 520


def test_a_queue_is_left_alone_before_it_has_stood_for_five_seconds() -> None:
    speaker = standing(500)
    live(speaker, 60, is_loud=False)
    assert speaker.stats.caught_up_ms == 0
    live(speaker, 200, is_loud=False)
    assert speaker.stats.caught_up_ms > 0


@pytest.mark.parametrize(("queue_ms", "is_worked_off"), [(300, False), (320, True)])
def test_only_above_300_ms_a_queue_stands(queue_ms: int, is_worked_off: bool) -> None:
    speaker = standing(queue_ms)
    live(speaker, 5000, is_loud=False)
    assert (speaker.stats.caught_up_ms > 0) is is_worked_off


def test_once_short_it_has_not_stood() -> None:
    speaker = standing(500)
    speaker.wait(250)  # a message is late, and the queue short
    speaker.feed(loud(MULAW, 250))
    live(speaker, 4900, is_loud=False)
    assert speaker.stats.caught_up_ms == 0


def test_a_cushion_that_was_asked_for_is_left() -> None:
    speaker = standing(500, PlayoutPolicy(prebuffer_ms=200))
    live(speaker, 5000, is_loud=False)
    assert speaker.stats.caught_up_ms == 300


@pytest.mark.parametrize("chunk_ms", [7, 30, 50, 93, 100])
def test_silence_is_left_out_whatever_the_size_of_messages(chunk_ms: int) -> None:
    speaker = standing(500)
    for i in range(1000 // chunk_ms * 5):
        live(speaker, chunk_ms, is_loud=i % 5 < 3, chunk_ms=chunk_ms)
    if chunk_ms < 20:  # no frame of 20 ms is ever there to be seen
        assert speaker.stats.caught_up_ms == 0
    else:
        excess_ms = 520 - chunk_ms - 100  # before a message
        assert excess_ms <= speaker.stats.caught_up_ms < excess_ms + 20
    n_words = len(words_in(speaker.heard)) / 8
    assert n_words == 520 + 4900 + 1000 // chunk_ms * 3 * chunk_ms


def test_what_our_own_queue_holds_counts_too() -> None:
    speaker = standing(500, PlayoutPolicy(prebuffer_ms=0, lead_ms=100))
    assert speaker.path.unsent_ms > 300
    live(speaker, 1500, is_loud=False)
    assert speaker.stats.caught_up_ms == 400


def test_speech_sent_ahead_is_no_standing_queue() -> None:
    """Bursts of 3 s, one each 3 s: on average as fast as real time, but all of it is of use."""
    speaker = Speaker(PLAIN).open()
    speaker.feed(loud(MULAW, 2000))
    for _ in range(10):
        speaker.feed(loud(MULAW, 1500))
        speaker.feed(silent(MULAW, 1500))
        speaker.wait(3000)
    assert speaker.stats.caught_up_ms == 0
    assert speaker.queued_ms == 2000


@pytest.mark.parametrize("pace", [0.8, 1.2, 1.5])
def test_audio_that_comes_faster_or_slower_than_it_is_played_is_left_as_it_is(pace: float) -> None:
    speaker = Speaker(PLAIN).open()
    speaker.feed(loud(MULAW, 20_000 if pace < 1 else 500))
    for _ in range(1000):
        speaker.wait(20 / pace)
        speaker.feed(silent(MULAW, 20))
    assert speaker.stats.caught_up_ms == 0


def test_when_nothing_comes_any_more_the_rest_is_played_as_it_is() -> None:
    speaker = standing(900, PlayoutPolicy(prebuffer_ms=0, lead_ms=40))
    live(speaker, 200, is_loud=True)
    for _ in range(45):
        speaker.feed(silent(MULAW, 20))  # behind 900 ms of speech, all at once
    caught_up_ms = speaker.stats.caught_up_ms
    speaker.wait(5000)
    assert speaker.stats.caught_up_ms == caught_up_ms == 0


def test_an_unpaced_path_leaves_nothing_out() -> None:
    speaker = standing(2000, PlayoutPolicy(paced=False))
    live(speaker, 10_000, is_loud=False)
    assert speaker.stats.caught_up_ms == 0


def test_slow_marks_do_not_cost_all_silence() -> None:
    """A mark is a while on its way back, so the ledger's queue never gets shorter than that."""
    speaker = standing(500)
    for _ in range(100):
        live(speaker, 500, is_loud=False)
        speaker.path.mark_played(0, speaker.path.sent_ms - 250, speaker.now_ns)
    assert speaker.stats.caught_up_ms <= 420 + 20


def test_after_a_clear_nothing_stands() -> None:
    speaker = standing(500)
    live(speaker, 400, is_loud=True)
    speaker.path.clear(speaker.now_ns)
    live(speaker, 1000, is_loud=False)
    assert speaker.stats.caught_up_ms == 0


def test_what_was_said_before_the_provider_s_start_is_played_whole() -> None:
    speaker = Speaker(PLAIN)
    for is_loud in (True, False, True):
        live(speaker, 3000, is_loud=is_loud)
    speaker.open()
    assert speaker.stats.caught_up_ms == 0
    assert len(speaker.take()) == 9000 * 8
    # What follows is late by as much, and that stands.
    live(speaker, 5100, is_loud=True)
    live(speaker, 2000, is_loud=False)
    assert speaker.stats.caught_up_ms > 1500


def test_a_burst_is_worked_off_in_one_go_and_not_by_what_it_began_with() -> None:
    speaker = Speaker(PLAIN).open()
    live(speaker, 2000, is_loud=True)
    for _ in range(100):  # two seconds that were held up
        speaker.feed(loud(MULAW, 20))
    live(speaker, 5200, is_loud=True)
    live(speaker, 4000, is_loud=False)
    assert speaker.queued_ms <= 300
