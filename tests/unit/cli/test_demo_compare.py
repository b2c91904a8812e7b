"""The demo's comparison finds every frame that was lost, repeated or changed, and excuses padding alone."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.audio import Converter
from vapimedia.cli.demo_align import Payload
from vapimedia.cli.demo_clock import Stall, waiting_since
from vapimedia.cli.demo_compare import (
    MAX_LATE_MS,
    Direction,
    Excuses,
    Spoken,
    excuses_for,
    judge_downlink,
    judge_uplink,
)
from vapimedia.formats import AudioFormat
from vapimedia.testing import load_clip

MULAW = AudioFormat("mulaw", 8000)
PCM = AudioFormat("pcm_s16le", 16_000)
PCM8, PCM24, PCM44, PCM48 = (AudioFormat("pcm_s16le", rate) for rate in (8000, 24_000, 44_100, 48_000))
SILENT = b"\xff" * 160
MS = 1_000_000
FRAME = PCM.frame_bytes()


def voice(n_frames: float, seed: int = 1, fmt: AudioFormat = MULAW) -> bytes:
    """Return frames of noise: every one differs from every other."""
    n_samples = int(n_frames * fmt.frame_bytes()) // fmt.bytes_per_sample
    return random.Random(seed).randbytes(n_samples * fmt.bytes_per_sample)


def up(sent: bytes, received: bytes, leg: AudioFormat, vapi: AudioFormat, repaid: int = 0) -> Direction:
    excuses = Excuses(repaid=repaid, inserted=10)
    return judge_uplink(sent, received, leg_format=leg, vapi_format=vapi, excuses=excuses)


def says(audio: bytes, start_ns: int, fmt: AudioFormat = MULAW, *, is_cut: bool = False) -> Spoken:
    """Return an utterance as Vapi sends it: 50 ms every 50 ms."""
    n_bytes, n_ns = fmt.frame_bytes(50), 50 * MS
    sizes = [len(audio[at : at + n_bytes]) for at in range(0, len(audio), n_bytes)]
    messages = [(start_ns + index * n_ns, size) for index, size in enumerate(sizes)]
    return Spoken(audio, messages, start_ns, start_ns + len(audio) * n_ns // n_bytes, is_cut)


def came(audio: bytes, at_ns: int) -> Payload:
    return Payload(audio, at_ns, at_ns)


def is_good(found: Direction) -> bool:
    return damage(found) == (0, 0, 0) and found.late_ms <= MAX_LATE_MS + 40


def down(
    spoken: list[Spoken], payloads: list[Payload], vapi: AudioFormat = MULAW, leg: AudioFormat = MULAW
) -> Direction:
    return judge_downlink(spoken, payloads, vapi_format=vapi, leg_format=leg)


def damage(found: Direction) -> tuple[int, int, int]:
    return found.lost, found.duplicated, found.corrupted


# --- caller to Vapi ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "leg,vapi",
    [(MULAW, MULAW), (MULAW, PCM), (PCM, PCM), (PCM8, PCM), (PCM24, MULAW), (PCM44, PCM), (PCM48, PCM)],
)
def test_an_untouched_uplink_loses_nothing(leg: AudioFormat, vapi: AudioFormat) -> None:
    sent = voice(30, fmt=leg)
    silence = vapi.silence * (2 * vapi.frame_bytes() // vapi.bytes_per_sample)
    found = up(sent, silence + Converter(leg, vapi).push(sent), leg, vapi)
    assert damage(found) == (0, 0, 0) and found.silence_inserted == 2


@pytest.mark.parametrize("leg", [MULAW, PCM, PCM44, PCM48])
def test_a_frame_missing_from_the_uplink_is_lost(leg: AudioFormat) -> None:
    sent = voice(30, fmt=leg)
    whole = Converter(leg, PCM).push(sent)
    assert up(sent, whole[: FRAME * 10] + whole[FRAME * 11 :], leg, PCM).lost == 1


def test_silence_may_be_left_out_to_repay_what_was_inserted_and_no_more() -> None:
    sent = voice(5) + SILENT * 10 + voice(5, seed=2)
    received = voice(3) + SILENT * 4 + voice(5)[3 * 160 :] + SILENT * 6 + voice(5, seed=2)
    assert up(sent, received, MULAW, MULAW, 4).lost == 0
    assert up(sent, received, MULAW, MULAW, 1).lost == 3


def late(audio: bytes, at: int, n_silent: int) -> bytes:
    """Return *audio* as a path gives it that fills a frame up at *at*, and sends *n_silent* more, for lack of any."""
    missing = -at % FRAME
    return audio[:at] + bytes(missing + n_silent * FRAME) + audio[at:]


@pytest.mark.parametrize("at", [10 * FRAME + 20, 25 * FRAME + 20])
def test_silence_for_a_late_caller_may_break_into_a_frame(at: int) -> None:
    sent = voice(20, fmt=PCM) + bytes(10 * FRAME) + voice(20.5, 2, PCM)
    received = late(sent, at, 3)
    found = up(sent, received[: len(received) // FRAME * FRAME], PCM, PCM)
    assert damage(found) == (0, 0, 0) and found.silence_inserted == 4


def test_what_was_inserted_so_is_repaid_in_whole_frames_of_silence() -> None:
    before, after = voice(20.5, fmt=PCM) + bytes(9 * FRAME), voice(20.5, 2, PCM) + bytes(FRAME)
    sent = before + bytes(3 * FRAME) + after
    received = late(before + after, 10 * FRAME + 20, 2)
    received = received[: len(received) // FRAME * FRAME]
    assert up(sent, received, PCM, PCM, 3).lost == 0
    assert up(sent, received, PCM, PCM, 2).lost == 1


def test_a_frame_that_was_nearly_silent_may_be_left_out_to_repay() -> None:
    hiss = b"\x0e\x00" * (FRAME // 2)
    before, after = voice(20.5, fmt=PCM), bytes(60 * FRAME) + voice(20.5, 2, PCM) + bytes(FRAME)
    received = late(before + after, 10 * FRAME + 20, 1)
    found = up(before + hiss + after, received[: len(received) // FRAME * FRAME], PCM, PCM, 2)
    assert damage(found) == (0, 0, 0)


def test_a_frame_lost_beside_inserted_silence_does_not_hide() -> None:
    sent = voice(30, fmt=PCM)
    received = late(sent[: FRAME * 20] + sent[FRAME * 21 :], 10 * FRAME + 20, 3)
    found = up(sent, received[: len(received) // FRAME * FRAME], PCM, PCM)
    assert found.lost + found.corrupted > 0


# --- Vapi to caller, any size --------------------------------------------------------------------


@pytest.mark.parametrize("vapi,leg", [(MULAW, MULAW), (PCM, MULAW), (PCM, PCM48), (PCM, PCM44)])
def test_a_downlink_in_pieces_of_any_size_loses_nothing(vapi: AudioFormat, leg: AudioFormat) -> None:
    one, two = (voice(10, seed, vapi) for seed in (1, 2))
    heard = Converter(vapi, leg).push(one + two)
    payloads = [came(heard[at : at + 372], 100 + at) for at in range(0, len(heard), 372)]
    found = down([says(one, 50, vapi), says(two, 1000, vapi)], payloads, vapi, leg)
    assert damage(found) == (0, 0, 0)


def test_the_unheard_end_of_an_interrupted_utterance_is_not_lost() -> None:
    one, two = voice(10, 1), voice(10, 2)
    payloads = [came(one[: 160 * 6], 110), came(two, 210)]
    found = down([says(one, 100, is_cut=True), says(two, 200)], payloads)
    assert (found.expected, found.lost, found.corrupted) == (16, 0, 0)


def test_a_hole_in_an_interrupted_utterance_is_lost() -> None:
    one = voice(20)
    payloads = [came(one[: 160 * 3] + one[160 * 4 : 160 * 12], 110)]
    assert down([says(one, 100, is_cut=True)], payloads).lost == 1


def test_a_repeated_payload_is_duplicated() -> None:
    one = voice(10)
    payloads = [came(one[: 160 * 4], 1), came(one[160 * 3 :], 2)]
    assert down([says(one, 0)], payloads).duplicated == 1


# --- Vapi to caller, exact frames ----------------------------------------------------------------


def cut(audio: bytes, fmt: AudioFormat, *, pads: tuple[int, ...] = ()) -> list[bytes]:
    """Return *audio* as a provider of exact frames gets it: the last frame padded, and those at *pads* bytes."""
    n_frame = fmt.frame_bytes()
    frames: list[bytes] = []
    at = 0
    for until in [*pads, len(audio)]:
        while at < until:
            piece = audio[at : min(at + n_frame, until)]
            frames.append(piece + fmt.silence * ((n_frame - len(piece)) // fmt.bytes_per_sample))
            at += len(piece)
    return frames


def arrive(frames: list[bytes], start_ns: int, every_ns: int = 20 * MS) -> list[Payload]:
    return [came(frame, start_ns + (i + 1) * every_ns) for i, frame in enumerate(frames)]


def framed(spoken: list[Spoken], payloads: list[Payload], **formats: Any) -> Direction:
    formats = {"vapi_format": PCM, "leg_format": PCM} | formats
    return judge_downlink(spoken, payloads, exact_frames=True, **formats)


@pytest.mark.parametrize("vapi", [PCM, MULAW, PCM24])
@pytest.mark.parametrize("leg", [PCM, PCM8, PCM24])
def test_utterances_that_end_within_a_frame_lose_nothing(vapi: AudioFormat, leg: AudioFormat) -> None:
    converter = Converter(vapi, leg)
    spoken, payloads = [], []
    for index in range(3):
        said = voice(10.3 + index / 4, index, vapi)
        start_ns = index * 1000 * MS
        spoken.append(says(said, start_ns, vapi))
        payloads += arrive(cut(converter.push(said), leg), start_ns)
    found = framed(spoken, payloads, vapi_format=vapi, leg_format=leg)
    assert damage(found) == (0, 0, 0)
    assert (found.padded, found.padded_inside) == (3, 0)


def test_a_frame_that_is_filled_up_before_a_gap_loses_nothing_and_is_told() -> None:
    said = voice(10.5, fmt=PCM)
    frames = cut(said, PCM, pads=(FRAME * 4 + 100,))
    found = framed([says(said, 0, PCM)], arrive(frames, 0))
    assert damage(found) == (0, 0, 0) and (found.padded, found.padded_inside) == (2, 1)


def test_silence_that_breaks_into_speech_while_enough_is_queued_is_corruption() -> None:
    said = voice(10.5, fmt=PCM)
    frames = cut(said, PCM, pads=(FRAME * 8 + 100,))
    payloads = arrive(frames, 0, every_ns=1 * MS)
    assert framed([says(said, 0, PCM)], payloads).corrupted == 1
    # Unless they came in a heap because the caller's side was held up.
    heap = [Payload(one.data, 200 * MS + one.received_ns, 0) for one in payloads]
    assert framed([says(said, 0, PCM)], heap).corrupted == 0


@pytest.mark.parametrize("n_bytes", [2, 100, FRAME - 2])
def test_the_end_of_an_utterance_that_never_comes_is_lost(n_bytes: int) -> None:
    said = voice(10, fmt=PCM) + voice(1, 2, PCM)[:n_bytes]
    spoken = [says(said, 0, PCM), says(said, 1000 * MS, PCM)]
    frames = cut(said, PCM)
    payloads = arrive(frames[:-1], 0) + arrive(frames, 1000 * MS)
    assert framed(spoken, payloads).lost == 1


def test_a_quiet_end_that_never_comes_is_lost_too() -> None:
    said = voice(10, fmt=PCM) + b"\x01\x00" * 100
    found = framed([says(said, 0, PCM)], arrive(cut(said, PCM)[:-1], 0))
    assert found.lost == 1


@pytest.mark.parametrize("index", [0, 4, 9])
def test_a_frame_missing_from_exact_ones_is_lost_once(index: int) -> None:
    said = voice(10.5, fmt=PCM)
    frames = cut(said, PCM)
    del frames[index]
    assert damage(framed([says(said, 0, PCM)], arrive(frames, 0))) == (1, 0, 0)


def test_a_frame_sent_twice_is_duplicated_once() -> None:
    said = voice(10.5, fmt=PCM)
    frames = cut(said, PCM)
    frames.insert(5, frames[4])
    assert damage(framed([says(said, 0, PCM)], arrive(frames, 0))) == (0, 1, 0)


@pytest.mark.parametrize("at", [0, 4 * FRAME + 50, 10 * FRAME + 20])
def test_a_changed_sample_is_a_corrupted_frame(at: int) -> None:
    said = voice(10.5, fmt=PCM)
    changed = said[:at] + bytes([said[at] ^ 0x55]) + said[at + 1 :]
    assert damage(framed([says(said, 0, PCM)], arrive(cut(changed, PCM), 0))) == (0, 0, 1)


def test_samples_left_out_within_a_frame_do_not_hide() -> None:
    said = voice(10.5, fmt=PCM)
    shorter = said[: 5 * FRAME + 64] + said[5 * FRAME + 128 :]
    found = framed([says(said, 0, PCM)], arrive(cut(shorter, PCM), 0))
    assert found.lost + found.corrupted > 0


def test_a_conversion_that_starts_anew_with_each_utterance_is_found() -> None:
    one, two = voice(10.5, 1, MULAW), voice(10.5, 2, MULAW)
    payloads = arrive(cut(Converter(MULAW, PCM).push(one), PCM), 0)
    payloads += arrive(cut(Converter(MULAW, PCM).push(two), PCM), 1000 * MS)
    found = framed([says(one, 0), says(two, 1000 * MS)], payloads, vapi_format=MULAW)
    assert found.corrupted > 0


def test_an_interruption_starts_the_conversion_anew_and_drops_the_tail() -> None:
    one, two = voice(20, 1, MULAW), voice(10.5, 2, MULAW)
    payloads = arrive(cut(Converter(MULAW, PCM).push(one), PCM)[:12], 0)
    payloads += arrive(cut(Converter(MULAW, PCM).push(two), PCM), 1000 * MS)
    found = framed([says(one, 0, is_cut=True), says(two, 1000 * MS)], payloads, vapi_format=MULAW)
    assert damage(found) == (0, 0, 0) and found.expected == 12 + 11


# --- what a deceived verdict once took for good --------------------------------------------------

SPEECH = load_clip("monday_hours", MULAW)
SPEECH_PCM = load_clip("monday_hours", PCM)


def frames_of(audio: bytes, n_bytes: int = 160) -> list[bytes]:
    return [audio[at : at + n_bytes] for at in range(0, len(audio), n_bytes)]


def any_size(audio: bytes, start_ns: int = 0) -> list[Payload]:
    return arrive(frames_of(audio), start_ns)


@pytest.mark.parametrize("at", [160, 80])
def test_silence_among_the_callers_speech_is_excused_as_far_as_it_is_explained(at: int) -> None:
    n_silent = 10 if at == 160 else 1
    doctored = b"".join(
        frame[:at] + SILENT[:at] * n_silent + frame[at:] + SILENT[: 160 - at]
        for frame in frames_of(SPEECH)[: len(SPEECH) // 160]
    )
    found = up(SPEECH, doctored, MULAW, MULAW)
    assert found.corrupted >= found.silence_inserted - 10 > 100


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


# --- padding and loss, wherever ------------------------------------------------------------------


pieces = st.lists(
    st.one_of(
        st.integers(1, 900).map(lambda n: b"\0\0" * n),
        st.tuples(st.integers(1, 900), st.integers(0, 99)).map(
            lambda made: bytes(random.Random(made[1]).choices(range(1, 256), k=2 * made[0]))
        ),
    ),
    min_size=1,
    max_size=6,
)


audible = pieces.map(b"".join)


@settings(max_examples=150, deadline=None)
@given(audible, st.lists(st.integers(1, 4000), max_size=3))
def test_padding_anywhere_costs_nothing_even_next_to_silence(audio: bytes, pads: list[int]) -> None:
    at = tuple(sorted({2 * pad for pad in pads if 2 * pad < len(audio)}))
    found = framed([says(audio, 0, PCM)], arrive(cut(audio, PCM, pads=at), 0))
    assert damage(found) == (0, 0, 0)


@settings(max_examples=150, deadline=None)
@given(audible, st.lists(st.integers(1, 4000), max_size=2), st.data())
def test_a_lost_frame_with_sound_never_hides_behind_padding(
    audio: bytes, pads: list[int], data: st.DataObject
) -> None:
    at = tuple(sorted({2 * pad for pad in pads if 2 * pad < len(audio)}))
    frames = cut(audio, PCM, pads=at)
    loud = [index for index, frame in enumerate(frames) if any(frame)]
    if loud:
        del frames[data.draw(st.sampled_from(loud))]
        assert damage(framed([says(audio, 0, PCM)], arrive(frames, 0))) != (0, 0, 0)
