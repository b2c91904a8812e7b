"""The demo's comparison is not deceived: doctored speech that a milder one took for good."""

from __future__ import annotations

import pytest
from demo_inputs import (
    FRAME,
    MS,
    MULAW,
    PCM,
    SILENT,
    arrive,
    came,
    cut,
    damage,
    down,
    framed,
    is_good,
    says,
    up,
    voice,
)

from vapimedia.cli.demo_align import Payload
from vapimedia.cli.demo_clock import Stall, waiting_since
from vapimedia.cli.demo_compare import Excuses, Spoken, excuses_for, judge_downlink
from vapimedia.testing import load_clip

SPEECH = load_clip("monday_hours", MULAW)
SPEECH_PCM = load_clip("monday_hours", PCM)


def frames_of(audio: bytes, n_bytes: int = 160) -> list[bytes]:
    return [audio[at : at + n_bytes] for at in range(0, len(audio), n_bytes)]


def any_size(audio: bytes, start_ns: int = 0) -> list[Payload]:
    return arrive(frames_of(audio), start_ns)


def test_10_ms_of_silence_in_every_half_frame_of_the_caller_is_corruption() -> None:
    doctored = b"".join(half + SILENT[:80] for half in frames_of(SPEECH, 80))
    assert up(SPEECH, doctored, MULAW, MULAW).corrupted > 100


def test_200_ms_of_silence_after_every_5_frames_of_the_caller_is_corruption() -> None:
    doctored = b"".join(
        frame + SILENT * (10 if index % 5 == 4 else 0) for index, frame in enumerate(frames_of(SPEECH))
    )
    assert up(SPEECH, doctored, MULAW, MULAW).corrupted > 100
    assert up(SPEECH, SILENT * 10 + SPEECH, MULAW, MULAW).corrupted == 0


def test_the_callers_own_absence_explains_silence_and_little_else_does() -> None:
    ticks = [at * MS for at in (*range(100, 1000, 20), *range(1500, 3000, 20))]
    there = excuses_for(ticks, 100 * MS, 2980 * MS, repaid_ms=100.0)
    # Away for 520 ms amid the call, and half a second for a busy machine. 200 ms are under way at the end.
    assert there == Excuses(repaid=5, unheard=10, inserted=26 + 25)
    late = excuses_for(ticks, 0, 3080 * MS, repaid_ms=0.0)
    assert late == Excuses(repaid=0, unheard=5, inserted=5 + 26 + 5 + 25)
    assert excuses_for([], 0, 0, repaid_ms=100.0) == Excuses()


def test_silence_cannot_be_repaid_that_was_never_inserted() -> None:
    sent = voice(5) + SILENT * 10 + voice(5, seed=2)
    received = voice(5) + SILENT * 2 + voice(5, seed=2)
    assert up(sent, received, MULAW, MULAW, repaid=8).lost == 8


@pytest.mark.parametrize("n_silent,every", [(10, 5), (1, 1), (1, 200)])
def test_silence_within_what_the_caller_hears_is_corruption(n_silent: int, every: int) -> None:
    doctored = b"".join(
        frame + SILENT * (n_silent if index % every == every - 1 else 0)
        for index, frame in enumerate(frames_of(SPEECH))
    )
    assert down([says(SPEECH, 0)], any_size(doctored)).corrupted >= n_silent


def test_quiet_frames_may_not_vanish_from_a_downlink_of_any_size() -> None:
    hiss = b"\xfe" * 160
    speech = voice(10) + hiss * 6 + voice(10, 2)
    found = down([says(speech, 0)], any_size(voice(10) + hiss * 4 + voice(10, 2)))
    assert found.lost == 2


@pytest.mark.parametrize("n_bytes", [320, 64])
def test_exact_frames_filled_up_with_more_silence_than_vapis_gaps_explain_are_late(n_bytes: int) -> None:
    doctored = [piece + bytes(FRAME - len(piece)) for piece in frames_of(SPEECH_PCM, n_bytes)]
    found = framed([says(SPEECH_PCM, 0, PCM)], arrive(doctored, 0))
    assert not is_good(found) and found.padded_inside > 300


def test_exact_frames_filled_up_in_vapis_gaps_are_not_late() -> None:
    # Vapi falls behind by 100 ms after every second: each time what is there is played, and the last frame padded.
    seconds = frames_of(SPEECH_PCM[: 4 * 32_000], 32_000 - 100)
    messages = [(index * 1100 * MS, len(one)) for index, one in enumerate(seconds)]
    spoken = Spoken(b"".join(seconds), messages, 0, 5000 * MS, is_cut=False)
    payloads = []
    for (sent_ns, _), one in zip(messages, seconds, strict=True):
        payloads += arrive(cut(one, PCM), sent_ns)
    found = framed([spoken], payloads)
    assert is_good(found) and found.padded_inside == 4


@pytest.mark.parametrize("hole_ms,is_late", [(120, False), (1000, True)])
@pytest.mark.parametrize("exact_frames", [False, True])
def test_a_hole_in_speech_makes_it_late(hole_ms: int, is_late: bool, exact_frames: bool) -> None:
    frames = cut(SPEECH_PCM, PCM)
    payloads = arrive(frames[:100], 0) + arrive(frames[100:], (2000 + hole_ms) * MS)
    found = judge_downlink(
        [says(SPEECH_PCM, 0, PCM)], payloads, vapi_format=PCM, leg_format=PCM, exact_frames=exact_frames
    )
    assert damage(found) == (0, 0, 0)
    assert hole_ms <= found.late_ms <= hole_ms + 30
    assert is_good(found) is not is_late


GREETING, GOODBYE = load_clip("greeting", MULAW), load_clip("goodbye", MULAW)
CUT_NS, LAST_NS = 5000 * MS, 20_000 * MS
HEARD = SPEECH[: 5000 * 8]


def interrupted() -> list[Spoken]:
    return [says(GREETING, 0), says(HEARD, CUT_NS, is_cut=True), says(GOODBYE, LAST_NS)]


def test_what_was_sent_just_before_an_interruption_may_be_missing() -> None:
    heard = any_size(GREETING) + any_size(HEARD[: -160 * 11], CUT_NS) + any_size(GOODBYE, LAST_NS)
    assert is_good(down(interrupted(), heard))


@pytest.mark.parametrize(
    "greeting,middle",
    [
        (GREETING[: len(GREETING) // 320 * 160], b""),
        (GREETING, b""),
        (GREETING, HEARD[: -160 * 50]),
        (GREETING[: len(GREETING) // 320 * 160], HEARD),
    ],
    ids=["a half and the whole", "the whole", "its last second", "half of the one before"],
)
def test_what_the_caller_must_have_heard_before_an_interruption_is_lost(
    greeting: bytes, middle: bytes
) -> None:
    heard = any_size(greeting) + any_size(middle, CUT_NS) + any_size(GOODBYE, LAST_NS)
    found = down(interrupted(), heard)
    n_missing = (len(GREETING) - len(greeting) + len(HEARD) - len(middle)) // 160
    assert found.lost + found.corrupted >= n_missing - 30 > 0


@pytest.mark.parametrize("n_heard", [0, 150])
def test_an_interrupted_utterance_in_exact_frames_may_not_vanish(n_heard: int) -> None:
    heard = SPEECH_PCM[: 250 * FRAME]
    payloads = arrive(cut(heard, PCM)[:n_heard], 0) + arrive(cut(SPEECH_PCM, PCM), LAST_NS)
    spoken = [says(heard, 0, PCM, is_cut=True), says(SPEECH_PCM, LAST_NS, PCM)]
    assert framed(spoken, payloads).lost >= 250 - 13 - n_heard - 20  # some frames are quiet


def test_a_stall_of_the_demo_blinds_nobody_for_the_rest_of_the_call() -> None:
    payloads, sent_ns = [], 0
    for message in frames_of(SPEECH_PCM, 1600):
        sent_ns += 50 * MS
        payloads += [came(frame, sent_ns) for frame in cut(message, PCM)]
    spoken = [says(SPEECH_PCM, 0, PCM)]
    n_early = framed(spoken, payloads).corrupted
    held_up = [Stall(1000 * MS, 1300 * MS)]
    late = [
        max(one.received_ns, 1300 * MS) if one.received_ns > 1000 * MS else one.received_ns
        for one in payloads
    ]
    heap = [
        Payload(one.data, at_ns, waiting_since(at_ns, held_up))
        for one, at_ns in zip(payloads, late, strict=True)
    ]
    assert framed(spoken, heap).corrupted > 0.8 * n_early > 50
