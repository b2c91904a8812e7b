"""The playout buffer behaves as a provider's: marks when played, all at a clear, silence when dry."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.formats import AudioFormat
from vapimedia.testing import sound
from vapimedia.testing.ear import BargeIn, Ear

MULAW = AudioFormat("mulaw", 8000)
VOICE = sound.tone(MULAW, 2000)


def test_a_mark_with_nothing_queued_returns_at_once() -> None:
    assert Ear().mark("a", 1) == ["a"]


def test_a_mark_returns_when_everything_before_it_has_been_played() -> None:
    ear = Ear()
    ear.media(b"\x10" * 161)
    assert ear.mark("a", 1) == []
    assert ear.tick(2) == []
    assert ear.tick(3) == []
    assert ear.tick(4) == ["a"]
    assert (ear.marks[0].returned_ns, ear.marks[0].by_clear) == (4, False)


def test_a_clear_silences_and_returns_every_mark_in_order() -> None:
    ear = Ear()
    ear.media(VOICE)
    ear.mark("a", 1)
    ear.mark("b", 1)
    ear.tick(2)
    assert ear.clear(3) == ["a", "b"]
    ear.tick(4)
    assert ear.heard[160:] == b"\xff" * 160
    assert ear.clears[0].dropped_ms == 1980.0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=500), max_size=20))
def test_everything_queued_is_heard_once_in_order(payloads: list[bytes]) -> None:
    ear = Ear()
    for payload in payloads:
        ear.media(payload)
    data = b"".join(payloads)
    for at in range(len(data) // 160 + 1):
        ear.tick(at)
    assert ear.heard.rstrip(b"\xff") == data.rstrip(b"\xff")
    assert ear.queued_ms == 0
    assert ear.underruns == 0


@pytest.mark.parametrize("n_dry", [1, 3, 6, 10, 50])
def test_a_gap_inside_speech_is_told_however_long_it_is(n_dry: int) -> None:
    ear = Ear()
    ear.media(VOICE[:320])
    for at in range(2 + n_dry):
        ear.tick(at)
    ear.media(VOICE[:320])
    ear.tick(2 + n_dry)
    assert ear.gaps_ms == [20.0 * n_dry]
    assert ear.underruns == len(ear.gaps_inside([0])) == 1


def test_a_pause_is_a_gap_in_which_other_speech_began() -> None:
    ear = Ear()
    for _ in range(3):
        ear.media(VOICE[:320])
        for _ in range(5):
            ear.tick(len(ear.tick_ns))
    # The third speech came after tick 9 and was heard at tick 10.
    assert [(gap.begin_ns, gap.end_ns) for gap in ear.gaps] == [(1, 5), (6, 10)]
    assert ear.gaps_inside([0, 9]) == ear.gaps[:1]
    assert ear.gaps_inside([0, 4, 9]) == []


def test_a_frame_that_is_not_full_begins_a_gap() -> None:
    ear = Ear()
    ear.media(VOICE[:200])
    for at in range(3):
        ear.tick(at)
    ear.media(VOICE[:160])
    ear.tick(3)
    assert ear.gaps_ms == [35.0]


def test_neither_what_precedes_all_audio_nor_what_a_clear_made_is_a_gap() -> None:
    ear = Ear()
    ear.tick(0)
    ear.media(VOICE[:200])
    ear.tick(1)
    ear.clear(2)
    ear.tick(3)
    ear.media(VOICE[:160])
    ear.tick(4)
    assert ear.gaps == []


def test_more_than_ten_minutes_are_dropped() -> None:
    ear = Ear()
    assert ear.media(bytes(10 * 60 * 8000))
    assert not ear.media(b"x")
    assert ear.overflow_bytes == 1


def test_speech_and_quiet_are_measured_in_heard_audio() -> None:
    ear = Ear()
    ear.media(VOICE[:1600])
    for at in range(15):
        ear.tick(at)
    assert (ear.speech_ms, ear.quiet_ms) == (200.0, 100.0)


def test_silence_after_a_clear_counts_late_audio_of_the_old_turn() -> None:
    ear = Ear()
    ear.media(VOICE)
    step = 20_000_000
    for at in range(40):
        ear.tick(at * step)
        if at == 10:
            ear.clear(at * step + 5_000_000)
        if at == 12:
            ear.media(VOICE[:320])
    cleared = ear.clears[0].received_ns
    silent = ear.silent_since_ns(cleared)
    assert silent == 15 * step
    assert BargeIn(0, cleared, silent).clear_to_silence_ms == 95.0


PCM = [AudioFormat("pcm_s16le", rate) for rate in (8000, 16000, 24000)]


@pytest.mark.parametrize("fmt", [*PCM, MULAW, AudioFormat("alaw", 8000)], ids=str)
def test_every_format_is_played_in_its_own_frames(fmt: AudioFormat) -> None:
    ear = Ear(fmt)
    voice = sound.tone(fmt, 200)
    for at in range(0, len(voice), 333):
        ear.media(voice[at : at + 333])
    assert ear.queued_ms == 200.0
    for at in range(15):
        ear.tick(at)
    silent = fmt.silence * (fmt.frame_bytes() // fmt.bytes_per_sample)
    assert bytes(ear.heard) == voice + silent * 5
    assert (ear.speech_ms, ear.quiet_ms, ear.voiced) == (200.0, 100.0, [True] * 10 + [False] * 5)


@pytest.mark.parametrize("fmt", PCM, ids=str)
def test_a_gap_lasts_as_long_at_every_rate(fmt: AudioFormat) -> None:
    ear = Ear(fmt)
    frame = sound.tone(fmt, 40)[: fmt.frame_bytes()]
    for n_dry in (3, 6):
        ear.media(frame)
        for at in range(1 + n_dry):
            ear.tick(at)
    ear.media(frame)
    ear.tick(0)
    assert ear.gaps_ms == [60.0, 120.0]


@given(st.lists(st.integers(0, 2), max_size=60), st.integers(1, 5))
def test_a_buffer_of_messages_drops_what_is_beyond_and_counts_it(steps: list[int], limit: int) -> None:
    ear = Ear(PCM[1], buffer_ms=None, buffer_messages=limit)
    waiting = highest = n_dropped = 0
    for n_messages in steps:
        for _ in range(n_messages):
            is_taken = ear.media(bytes(640))
            assert is_taken == (waiting < limit)
            waiting += is_taken
            n_dropped += not is_taken
            highest = max(highest, waiting)
        ear.tick(0)
        waiting = max(0, waiting - 1)
    assert (ear.overflow_messages, ear.max_queued_messages) == (n_dropped, highest)
    assert ear.overflow_bytes == 640 * n_dropped
    assert ear.queued_ms == 20.0 * waiting


def test_a_clear_that_returns_no_marks_leaves_them_without_a_time() -> None:
    ear = Ear(PCM[1], clear_returns_marks=False)
    ear.media(bytes(640))
    ear.mark("old", 1)
    assert ear.clear(2) == []
    assert ear.mark("new", 3) == ["new"]
    assert ear.tick(4) == []
    assert [(mark.returned_ns, mark.by_clear) for mark in ear.marks] == [(None, True), (3, False)]
