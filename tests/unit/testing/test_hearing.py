"""The fake assistant's ear for the caller: what starts, interrupts and ends a turn."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.formats import AudioFormat
from vapimedia.testing import load_clip, sound
from vapimedia.testing.hearing import Heard, Hearing

MULAW = AudioFormat("mulaw", 8000)
SILENCE = b"\xff" * 8000


def voice(ms: int) -> bytes:
    return sound.tone(MULAW, ms)


def test_a_click_is_not_a_turn() -> None:
    assert Hearing(MULAW).push(SILENCE + voice(60) + SILENCE) == []


def test_a_short_word_is_a_turn_but_no_interruption() -> None:
    assert Heard.INTERRUPTING not in Hearing(MULAW).push(voice(140) + SILENCE)
    assert Heard.STOPPED in Hearing(MULAW).push(voice(140) + SILENCE)


def test_an_interruption_is_told_once_a_turn_before_the_turn_ends() -> None:
    found = Hearing(MULAW).push(voice(400) + SILENCE[:1600] + voice(400) + SILENCE)
    assert [what for what in found if what is not Heard.PARTIAL] == [
        Heard.STARTED,
        Heard.INTERRUPTING,
        Heard.STOPPED,
    ]


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(1, 2000), max_size=30))
def test_what_is_heard_does_not_depend_on_chunk_boundaries(cuts: list[int]) -> None:
    data = load_clip("ask_sunday", MULAW) + SILENCE
    whole = Hearing(MULAW).push(data)
    pieces, hearing, at = [], Hearing(MULAW), 0
    for cut in cuts:
        pieces += hearing.push(data[at : at + cut])
        at += cut
    pieces += hearing.push(data[at:])
    assert pieces == whole
    assert whole[-1] is Heard.STOPPED
