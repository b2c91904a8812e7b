"""The demo's comparison finds every frame that was lost, repeated or changed, and excuses padding alone."""

from __future__ import annotations

import random

import pytest
from demo_inputs import (
    FRAME,
    MS,
    MULAW,
    PCM,
    PCM8,
    PCM24,
    PCM44,
    PCM48,
    SILENT,
    arrive,
    came,
    cut,
    damage,
    down,
    framed,
    says,
    up,
    voice,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.audio import Converter
from vapimedia.cli.demo_align import Payload
from vapimedia.formats import AudioFormat

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
