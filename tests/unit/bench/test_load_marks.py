"""Marks survive whatever a bridge may do to speech, and nothing else is taken for one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia import AudioFormat
from vapimedia.audio import Converter, alaw_decode, alaw_encode, mulaw_decode, mulaw_encode

marks = pytest.importorskip("vapimedia.bench.load.marks", reason="the load generator is built on Linux only")

MULAW, PCM = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16000)
UP, DOWN = 0, 1
N_FRAMES = 40

calls = st.integers(0, 1023)
numbers = st.integers(0, 16383)
delays = st.integers(0, 400)
qualities = st.sampled_from(["telephone", "balanced", "high"])


def mulaw_stream(call: int, first: int, n: int = N_FRAMES) -> bytes:
    return b"".join(
        marks.mark_frame(call, UP, (first + i) % 16384, sample_rate=8000, mulaw=True) for i in range(n)
    )


def pcm_stream(call: int, first: int, n: int = N_FRAMES, *, sample_rate: int = 16000) -> bytes:
    return b"".join(
        marks.mark_frame(call, DOWN, (first + i) % 16384, sample_rate=sample_rate) for i in range(n)
    )


def read(pcm: bytes, call: int, direction: int, sample_rate: int, *, seed: int = 0) -> list[int | None]:
    """Return the frame numbers heard in *pcm*, which comes in chunks of any size; ``None`` is damage."""
    chance = random.Random(seed)
    decoder = marks.MarkDecoder(call=call, direction=direction, sample_rate=sample_rate)
    found: list[int | None] = []
    at = 0
    while at < len(pcm):
        size = 2 * chance.randint(1, 500)
        for one in decoder.push(pcm[at : at + size]):
            assert one is None or one[:2] == (call, direction)
            found.append(one and one[2])
        at += size
    return found


def assert_all_but_what_a_filter_holds(found: list[int | None], first: int) -> None:
    assert len(found) >= N_FRAMES - 1
    assert found == [(first + i) % 16384 for i in range(len(found))]


def interpolate(pcm: bytes, ratio: float, phase: float) -> bytes:
    """Resample by straight lines between samples, as the cheapest bridges do."""
    samples = memoryview(pcm).cast("h")
    out = []
    at = phase
    while at < len(samples) - 1:
        left = int(at)
        out.append(round(samples[left] + (at - left) * (samples[left + 1] - samples[left])))
        at += 1 / ratio
    return b"".join(one.to_bytes(2, "little", signed=True) for one in out)


@settings(max_examples=30)
@given(calls, numbers, delays, qualities, st.integers(0, 9))
def test_marks_survive_our_converter_from_phone_to_vapi(
    call: int, first: int, delay: int, quality: str, seed: int
) -> None:
    converter = Converter(MULAW, PCM, quality=quality)
    pcm = converter.push(b"\xff" * delay + mulaw_stream(call, first))
    assert_all_but_what_a_filter_holds(read(pcm, call, UP, 16000, seed=seed), first)


@settings(max_examples=30)
@given(calls, numbers, delays, qualities, st.integers(0, 9))
def test_marks_survive_our_converter_from_vapi_to_phone(
    call: int, first: int, delay: int, quality: str, seed: int
) -> None:
    converter = Converter(PCM, MULAW, quality=quality)
    mulaw = converter.push(bytes(2 * delay) + pcm_stream(call, first))
    assert_all_but_what_a_filter_holds(read(mulaw_decode(mulaw), call, DOWN, 8000, seed=seed), first)


@settings(max_examples=15)
@given(calls, numbers, st.floats(0, 8))
def test_marks_survive_straight_lines(call: int, first: int, phase: float) -> None:
    up = interpolate(mulaw_decode(mulaw_stream(call, first)), 2, phase)
    down = mulaw_encode(interpolate(pcm_stream(call, first), 0.5, phase))
    heard = read(up, call, UP, 16000), read(mulaw_decode(down), call, DOWN, 8000)
    for found in heard:
        begin, whole = first, found
        if found[0] != first:  # its beginning was cut off
            begin, whole = first + 1, found[found[0] is None :]
        assert len(whole) >= N_FRAMES - 2
        assert whole == [(begin + i) % 16384 for i in range(len(whole))]


@pytest.mark.parametrize("quality", ["VHQ", "HQ", "MQ", "LQ", "QQ"])
def test_marks_survive_soxr(quality: str) -> None:
    soxr = pytest.importorskip("soxr")
    np = pytest.importorskip("numpy")
    up = np.frombuffer(bytes(100) + mulaw_decode(mulaw_stream(7, 100)), np.int16)
    down = np.frombuffer(bytes(100) + pcm_stream(7, 100), np.int16)
    there = soxr.resample(up, 8000, 16000, quality=quality).tobytes()
    back = mulaw_decode(mulaw_encode(soxr.resample(down, 16000, 8000, quality=quality).tobytes()))
    assert_all_but_what_a_filter_holds(read(there, 7, UP, 16000), 100)
    assert_all_but_what_a_filter_holds(read(back, 7, DOWN, 8000), 100)


def test_marks_survive_alaw_on_the_way() -> None:
    pcm = alaw_decode(alaw_encode(mulaw_decode(mulaw_stream(7, 100))))
    assert_all_but_what_a_filter_holds(read(pcm, 7, UP, 8000), 100)


@settings(max_examples=30)
@given(calls, st.lists(st.tuples(st.integers(0, N_FRAMES), st.integers(80, 700)), max_size=5), qualities)
def test_silence_between_frames_damages_nothing(
    call: int, silences: list[tuple[int, int]], quality: str
) -> None:
    frames = [marks.mark_frame(call, UP, i, sample_rate=8000, mulaw=True) for i in range(N_FRAMES)]
    for at, n in sorted(silences, reverse=True):
        frames.insert(at, b"\xff" * n)
    pcm = Converter(MULAW, PCM, quality=quality).push(b"".join(frames))
    assert_all_but_what_a_filter_holds(read(pcm, call, UP, 16000), 0)


@settings(max_examples=30)
@given(calls, st.integers(1, N_FRAMES - 6), st.sampled_from([0, 37, 64, 200, 319]))
def test_silence_that_cuts_a_mark_in_two_damages_nothing(call: int, frame: int, within: int) -> None:
    pcm = pcm_stream(call, 0)
    at = 2 * (320 * frame + within)
    found = read(pcm[:at] + bytes(640) + pcm[at:], call, DOWN, 16000)
    assert_all_but_what_a_filter_holds(found, 0)


def test_a_frame_that_is_left_out_is_missing_and_nothing_else() -> None:
    pcm = mulaw_decode(mulaw_stream(7, 0))
    found = read(pcm[: 320 * 10] + pcm[320 * 11 :], 7, UP, 8000)
    assert found == [*range(10), *range(11, N_FRAMES)]


def test_damage_is_one_frame_and_reading_goes_on() -> None:
    pcm = bytearray(mulaw_decode(mulaw_stream(7, 0)))
    pcm[320 * 10 : 320 * 11] = random.Random(1).randbytes(320)
    found = read(bytes(pcm), 7, UP, 8000)
    assert found == [*range(10), None, *range(11, N_FRAMES)]


def test_a_few_samples_more_or_less_cost_no_more_than_the_frame_they_hit() -> None:
    pcm = mulaw_decode(mulaw_stream(7, 0))
    decoder = marks.MarkDecoder(call=7, direction=UP, sample_rate=8000)
    found = decoder.push(pcm[: 320 * 10 + 100] + pcm[320 * 10 + 106 :])
    numbers = [one and one[2] for one in found]
    assert [n for n in numbers if n is not None and n != 10] == [*range(10), *range(11, N_FRAMES)]
    assert decoder.slips == 1


def test_a_foreign_mark_says_whose_it_is() -> None:
    own, foreign = mulaw_decode(mulaw_stream(7, 0)), mulaw_decode(mulaw_stream(8, 50))
    decoder = marks.MarkDecoder(call=7, direction=UP, sample_rate=8000)
    found = decoder.push(own[: 320 * 10] + foreign[:320] + own[320 * 10 :])
    assert [one[0] for one in found] == [7] * 10 + [8] + [7] * (N_FRAMES - 10)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from([8000, 16000]))
def test_noise_holds_no_marks(seed: int, sample_rate: int) -> None:
    noise = random.Random(seed).randbytes(2 * sample_rate // 2)
    assert not [one for one in read(noise, 7, UP, sample_rate) if one is not None]


def test_arrival_is_that_of_the_message_with_the_mark_s_first_sample() -> None:
    pcm = Converter(MULAW, PCM).push(mulaw_stream(7, 0))
    decoder = marks.MarkDecoder(call=7, direction=UP, sample_rate=16000)
    found = [one for i in range(N_FRAMES) for one in decoder.push(pcm[640 * i : 640 * i + 640], 1000 * i)]
    assert [one[3] for one in found] == [1000 * i for i in range(len(found))]
    assert {one[4] % 320 for one in found} == {found[0][4]}
    assert found[0][4] / 16 == pytest.approx(Converter(MULAW, PCM).latency_ms, abs=0.2)
