"""What a recording hears: the caller as it came in, the assistant as it was played, on one clock."""

from __future__ import annotations

import random

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from media_drivers import START
from media_laws import ALAW, MS, MULAW, PCM_8K, loud, silent

from vapimedia.formats import AudioFormat
from vapimedia.media import LivePath, PlayoutPath, PlayoutPolicy
from vapimedia.media.tap import Tap, read_stereo
from vapimedia.testing import sound
from vapimedia.testing.ear import Ear

Samples = npt.NDArray[np.int16]
PER_MS = 8


class Desk:
    """Both taps of a call, and what was read of them."""

    def __init__(self, fmt: AudioFormat = MULAW, *, max_ms: int = 10_000) -> None:
        self.caller = Tap(fmt, is_live=True, max_ms=max_ms)
        self.assistant = Tap(fmt, is_live=False, max_ms=max_ms)
        self.caller.begin(START)
        self.assistant.begin(START)
        self.pcm = bytearray()

    def read(self, until_ms: float) -> None:
        while pcm := read_stereo(self.caller, self.assistant, START + round(until_ms * MS)):
            self.pcm += pcm

    @property
    def left(self) -> Samples:
        return np.frombuffer(self.pcm, np.int16)[::2]

    @property
    def right(self) -> Samples:
        return np.frombuffer(self.pcm, np.int16)[1::2]


def decoded(audio: bytes, fmt: AudioFormat = MULAW) -> Samples:
    return np.asarray(sound.decode(audio, fmt), np.int16)


def at(ms: float) -> int:
    return START + round(ms * MS)


Step = st.tuples(st.sampled_from(["push", "push", "read"]), st.integers(1, 700))


@given(st.lists(Step, max_size=40))
def test_any_order_of_pushes_and_reads_loses_nothing_but_what_does_not_fit(
    steps: list[tuple[str, int]],
) -> None:
    desk, now_ms, pushed, n_kept = Desk(PCM_8K, max_ms=0), 0, b"", 0  # 1 s fits at least
    for what, ms in steps:
        if what == "push":
            audio = loud(PCM_8K, ms, seed=len(pushed))
            before_ms = desk.assistant.dropped_ms
            desk.assistant.push(audio, at(now_ms))
            n_kept += round((ms - desk.assistant.dropped_ms + before_ms) * PER_MS)
            pushed += audio
            now_ms += ms
        else:
            desk.read(now_ms)
    desk.read(now_ms)
    expected = decoded(pushed, PCM_8K)
    assert len(desk.right) == len(expected)
    heard = desk.right != 0
    assert (desk.right == expected)[heard].all()
    assert heard.sum() == n_kept == len(expected) - round(desk.assistant.dropped_ms * PER_MS)
    assert not desk.left.any()


@given(st.lists(st.integers(1, 400), min_size=1, max_size=20), st.booleans())
def test_cutting_the_stream_anywhere_changes_no_sample(sizes: list[int], is_live: bool) -> None:
    """Half samples included, as some providers' messages end in one."""
    desk, sent = Desk(PCM_8K), b""
    for n in sizes:
        audio = loud(PCM_8K, 100)[len(sent) % 1000 :][:n]
        sent += audio
        end_ms = len(sent) / 16
        (desk.caller if is_live else desk.assistant).push(audio, at(end_ms if is_live else end_ms - n / 16))
    n_whole = len(sent) // 2
    desk.read(len(sent) / 16)
    heard = desk.left if is_live else desk.right
    assert (heard[:n_whole] == np.frombuffer(sent[: 2 * n_whole], "<i2")).all()


@pytest.mark.parametrize("fmt", [MULAW, ALAW, PCM_8K], ids=str)
def test_a_caller_is_recorded_as_it_came_whatever_the_network_does(fmt: AudioFormat) -> None:
    """Jitter, and a stall whose audio comes in a burst: the speaker's own clock counts."""
    desk, line, dice = Desk(fmt), LivePath(fmt, MULAW), random.Random(1)
    line.tap = desk.caller
    speech, now_ms = loud(fmt, 4000), 0.0
    n_frame = fmt.frame_bytes()
    for number in range(200):
        sent_ms = 20.0 * (number + 1)
        now_ms = max(now_ms, sent_ms + dice.uniform(0, 30), 2240 if number >= 100 else 0)
        if number % 10 == 9:
            desk.read(now_ms - 250)
        line.feed(speech[number * n_frame :][:n_frame], at(now_ms))
    desk.read(4100)
    found = desk.left[: 4100 * PER_MS]
    first = int(np.flatnonzero(found)[0])
    assert first <= 31 * PER_MS
    assert (found[first:][: 4000 * PER_MS] == decoded(speech, fmt)).all()


def test_a_pause_of_the_provider_is_silence_for_as_long() -> None:
    desk, word = Desk(), loud(MULAW, 20)
    for arrival_ms in (20, 40, 60, 1060, 1080):
        desk.caller.push(word, at(arrival_ms))
    desk.read(1100)
    pcm = decoded(word)
    assert (desk.left[1040 * PER_MS : 1080 * PER_MS] == np.tile(pcm, 2)).all()
    assert not desk.left[60 * PER_MS : 1040 * PER_MS].any()


def test_a_caller_s_clock_that_is_fast_moves_nothing_for_long() -> None:
    desk, word, pause = Desk(), loud(MULAW, 20), silent(MULAW, 20)
    for number in range(15_000):  # five minutes at 1000 ppm: 300 ms in all
        desk.caller.push(word if number % 100 == 0 else pause, at((number + 1) * 19.98))
        if number % 50 == 0:
            desk.read(number * 19.98 - 250)
    desk.read(15_000 * 19.98)
    words = np.flatnonzero((desk.left[1:] != 0) & (desk.left[:-1] == 0))
    assert len(words) >= 145
    assert abs(words[-1] / PER_MS - 14_900 * 19.98) <= 85


def play(path: PlayoutPath, said: dict[int, bytes], cleared: set[int], n_ticks: int) -> tuple[Ear, Desk]:
    """A phone that plays in ticks of 20 ms, and audio and clears that come at ticks: both clocks are one."""
    ear, desk = Ear(MULAW), Desk()
    path.tap = desk.assistant
    path.open(START)
    for tick in range(n_ticks):
        now_ns = at(20 * tick)
        if tick in cleared:
            path.clear(now_ns)
            ear.clear(now_ns)
        for message in path.feed(said[tick], now_ns) if tick in said else path.due(now_ns):
            ear.media(message)
        ear.tick(now_ns)
        if tick % 10 == 0:
            desk.read(20 * tick - 250)
    desk.read(20 * n_ticks)
    return ear, desk


@pytest.mark.parametrize("lead_ms", [60_000, 400])
def test_the_assistant_is_recorded_as_the_caller_hears_it(lead_ms: int) -> None:
    """Ahead of time, in real time, after pauses, and cut off."""
    said = {
        3: loud(MULAW, 1000, seed=1),  # at once, and played in real time
        120: loud(MULAW, 3000, seed=2),  # cut after 600 ms
        200: loud(MULAW, 500, seed=3),
        **{tick: loud(MULAW, 20, seed=tick) for tick in range(300, 340)},
        345: loud(MULAW, 2000, seed=4),  # cut by the next
        360: loud(MULAW, 200, seed=5),
    }
    path = PlayoutPath(MULAW, MULAW, policy=PlayoutPolicy(prebuffer_ms=0, lead_ms=lead_ms))
    ear, desk = play(path, said, {150, 360}, 400)
    assert (desk.right == decoded(bytes(ear.heard))).all()
    assert not desk.right[150 * 160 : 200 * 160].any()
    assert path.stats().clears == 2


def test_marks_that_come_back_late_leave_no_hole_in_a_word() -> None:
    path, desk = PlayoutPath(MULAW, MULAW), Desk()
    path.tap = desk.assistant
    path.open(START)
    said = [loud(MULAW, 50, seed=number) for number in range(60)]
    for number, chunk in enumerate(said):
        now_ms = 50 * number
        path.feed(chunk, at(now_ms))
        if number % 20 == 19:  # 35 ms late
            path.mark_played(path.generation, now_ms - 75, at(now_ms))
    desk.read(3200)
    first = int(np.flatnonzero(desk.right)[0])
    assert (desk.right[first:][: 3000 * PER_MS] == decoded(b"".join(said))).all()


def test_messages_of_nothing_and_tiny_ones_are_bounded_by_the_room_that_they_take() -> None:
    desk = Desk(max_ms=0)
    for number in range(40_000):
        desk.assistant.push(b"\x10", at(0))
        desk.assistant.push(b"", at(0))
        desk.assistant.cut(at(60_000 + number))
    assert 39_000 <= desk.assistant.dropped_ms * PER_MS <= 39_700
    desk.read(100)
    assert 300 <= np.count_nonzero(desk.right) <= 1000


def test_a_cut_of_what_was_lost_leaves_later_samples_whole() -> None:
    desk, audio = Desk(PCM_8K, max_ms=0), loud(PCM_8K, 100)
    desk.caller.push(bytes(16_304), at(1019))
    desk.caller.push(b"\x01", at(1019))  # of a sample, and lost
    desk.caller.cut(at(5000))
    desk.read(1100)
    desk.caller.push(audio[1:], at(1200))
    desk.read(1200)
    assert (desk.left[1101 * PER_MS :] == decoded(audio, PCM_8K)[-99 * PER_MS :]).all()


@pytest.mark.parametrize("at_ns", [-(2**63), 2**63 - 1])
def test_no_moment_is_out_of_reach(at_ns: int) -> None:
    desk = Desk()
    desk.caller.begin(-(2**63))
    desk.assistant.push(b"\x10" * 160, at_ns, begins=True)
    assert len(read_stereo(desk.caller, desk.assistant, 0)) == 4 * 2000
