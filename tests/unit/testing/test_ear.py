"""The playout buffer behaves as Twilio's: marks when played, all at a clear, silence when dry."""

from __future__ import annotations

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
    assert ear.tick(3) == ["a"]
    assert (ear.marks[0].returned_ns, ear.marks[0].by_clear) == (3, False)


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


def test_a_gap_inside_speech_is_an_underrun_and_a_pause_is_not() -> None:
    ear = Ear()
    ear.media(VOICE[:320])
    for at in range(5):
        ear.tick(at)
    ear.media(VOICE[:320])
    for at in range(30):
        ear.tick(at)
    ear.media(VOICE[:320])
    ear.tick(50)
    assert ear.gaps_ms == [60.0]
    assert ear.underruns == 1


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
