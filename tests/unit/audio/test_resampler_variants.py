"""Laws of the resampler under each instruction set, and that all of them agree on the bits."""

import contextlib
import itertools
import math
from collections.abc import Iterator

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from vapimedia.audio import Resampler, dispatch, resample

QUALITIES = ["telephone", "balanced", "high"]
# By how outputs are computed: all rounds of a phase at a time, up to 16 phases either way;
GRID = [
    (8000, 16000),
    (16000, 8000),
    (8000, 24000),
    (24000, 8000),
    (16000, 24000),
    (24000, 16000),
    (48000, 12000),
    (8000, 48000),
    (48000, 8000),
    (32000, 12000),
    (16000, 11000),
    (13000, 16000),
    (16000, 1000),
    (1000, 16000),
]
# blocks of 16 neighbours, each with a phase of its own;
LANES = [(44100, 16000), (16000, 44100), (48000, 44100), (44100, 8000), (17000, 16000), (1000, 192_000)]
# one dot product an output: few phases of a long way, primes, extremes.
DOT = [(48000, 7000), (7919, 8011), (8011, 7919), (192_000, 1000), (191_999, 1000), (1000, 191_999)]
PAIRS = GRID + LANES + DOT
KINDS = [(8000, 16000), (24000, 8000), (24000, 16000), (44100, 16000), (16000, 44100), (7919, 8011)]
# All but SSE2, which has no fused multiply-add, round alike.
FUSED = [name for name in dispatch.available if name != "sse2"]

every_pair = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
kinds = pytest.mark.parametrize(("from_hz", "to_hz"), KINDS)
qualities = pytest.mark.parametrize("quality", QUALITIES)
variants = st.sampled_from(dispatch.available)
streams = {"pair": st.sampled_from(KINDS), "quality": st.sampled_from(QUALITIES)}


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    before = dispatch.force_simd(name)
    try:
        yield
    finally:
        dispatch.force_simd(before)


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-32768, 32768, n_samples).astype("<i2")


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2")


def assert_same(got: bytes, expected: bytes, name: str) -> None:
    """Compare samples: *got* is by *name*, *expected* by the reference."""
    if name == "sse2":
        assert len(got) == len(expected)
        assert np.abs(samples(got).astype(int) - samples(expected)).max(initial=0) <= 1
    else:
        assert got == expected


def n_enough(from_hz: int, to_hz: int) -> int:
    """Inputs for a few hundred outputs, and for more than one piece of a stream."""
    return max(1500 * from_hz // to_hz, 400) if from_hz > to_hz else max(4000 * from_hz // to_hz, 100)


# --- the same bits ---


@every_pair
@qualities
def test_all_give_the_same_samples(from_hz, to_hz, quality):
    pcm = noise(n_enough(from_hz, to_hz))
    with using("scalar"):
        expected = resample(pcm, from_hz, to_hz, quality=quality).tobytes()
    assert len(set(samples(expected).tolist())) > 50
    for name in dispatch.available:
        with using(name):
            assert_same(resample(pcm, from_hz, to_hz, quality=quality).tobytes(), expected, name)


@every_pair
@qualities
def test_all_give_the_same_floats(from_hz, to_hz, quality):
    signal = np.random.default_rng(1).uniform(-1, 1, n_enough(from_hz, to_hz)).astype(np.float32)
    with using("scalar"):
        expected = resample(signal, from_hz, to_hz, quality=quality)
    for name in dispatch.available:
        with using(name):
            got = resample(signal, from_hz, to_hz, quality=quality)
        if name == "sse2":
            assert np.abs(got - expected).max() < 3e-6
        else:
            assert got.tobytes() == expected.tobytes()


@kinds
def test_every_length_at_every_address_gives_the_same_bits(simd, from_hz, to_hz):
    """One stream takes 0..67 samples at each offset 0..15 of bytes, and writes no byte beside its own."""
    lengths = [(n, offset) for offset in range(16) for n in range(68)]
    pcm = noise(sum(n for n, _ in lengths)).tobytes()
    with using("scalar"):
        expected = Resampler(from_hz, to_hz).push(pcm)
    resampler = Resampler(from_hz, to_hz)
    room = resampler.max_output(67) * 2
    given, out = bytearray(16 + 2 * 67), bytearray(b"\xa5" * (32 + room))
    done, got = 0, []
    for n, offset in lengths:
        given[offset : offset + 2 * n] = pcm[done : done + 2 * n]
        done += 2 * n
        start = 15 - offset
        n_out = 2 * resampler.push_into(
            memoryview(given)[offset : offset + 2 * n], memoryview(out)[start : start + room]
        )
        got.append(bytes(out[start : start + n_out]))
        out[start : start + n_out] = b"\xa5" * n_out
    assert_same(b"".join(got), expected, simd)
    assert out == b"\xa5" * len(out)


@kinds
def test_a_stream_of_every_length_gives_the_same_bits(simd, from_hz, to_hz):
    """To the end: what a few samples become is mostly tail."""
    pcm = noise(67).tobytes()
    for n in range(68):
        stream = Resampler(from_hz, to_hz, quality="telephone")
        got = stream.push(pcm[: 2 * n]) + stream.flush()
        with using("scalar"):
            stream.reset()
            assert_same(got, stream.push(pcm[: 2 * n]) + stream.flush(), simd)


@kinds
@pytest.mark.parametrize("kind", ["<i2", "<f4"])
def test_columns_and_odd_addresses_of_arrays_give_the_same_bits(simd, from_hz, to_hz, kind):
    signal = noise(500).astype(kind)
    expected = resample(signal, from_hz, to_hz)
    odd = np.frombuffer(b"\x00" + signal.tobytes(), np.uint8)[1:].view(kind)
    beside = np.stack([noise(500, 7).astype(kind), signal, noise(500, 8).astype(kind)], axis=1)
    assert resample(odd, from_hz, to_hz).tobytes() == expected.tobytes()
    assert resample(beside, from_hz, to_hz)[:, 1].tobytes() == expected.tobytes()
    assert resample(signal[::-1][::-1], from_hz, to_hz).tobytes() == expected.tobytes()


@kinds
@qualities
def test_samples_are_the_floats_rounded_to_even_and_saturated(simd, from_hz, to_hz, quality):
    pcm = np.concatenate([noise(1000), np.repeat(np.where(noise(100) > 0, 32767, -32768).astype("<i2"), 10)])
    floats = resample(pcm.astype(np.float32), from_hz, to_hz, quality=quality)
    assert np.abs(floats).max() > 33_000
    expected = np.clip(np.rint(floats), -32768, 32767).astype("<i2")
    assert resample(pcm, from_hz, to_hz, quality=quality).tobytes() == expected.tobytes()


@hypothesis.given(
    **streams, parts=st.lists(st.tuples(st.integers(0, 400), st.sampled_from(FUSED)), min_size=1, max_size=8)
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_a_change_in_mid_stream_goes_on_with_the_same_bits(pair, quality, parts):
    pcm = noise(sum(n for n, _ in parts)).tobytes()
    changing, steady = Resampler(*pair, quality=quality), Resampler(*pair, quality=quality)
    got, done = b"", 0
    for n, name in parts:
        with using(name):
            got += changing.push(pcm[done : done + 2 * n])
        done += 2 * n
    with using("scalar"):
        assert got == steady.push(pcm)
    assert changing.flush() == steady.flush()


@kinds
def test_what_lies_in_memory_from_before_is_not_heard(simd, from_hz, to_hz):
    """Coefficients of zero meet what stands beside the samples: zero times no number is no zero."""
    n_chunks = (1, 20, 160, 441, 900)
    pcm = noise(sum(n_chunks)).tobytes()
    outcomes = []
    for value in (0, np.nan):
        left_behind = np.full(n_enough(from_hz, to_hz), value, np.float32)
        stream, out, done = Resampler(from_hz, to_hz), [], 0
        for n in n_chunks:
            resample(left_behind, from_hz, to_hz)
            out.append(stream.push(pcm[done : done + 2 * n]))
            done += 2 * n
        resample(left_behind, from_hz, to_hz)
        outcomes.append([*out, stream.flush()])
    assert outcomes[0] == outcomes[1]


# --- streams ---


@hypothesis.given(**streams, name=variants, cuts=st.lists(st.integers(0, 3000), max_size=8))
@hypothesis.settings(max_examples=40, deadline=None)
def test_any_chunking_gives_the_same_bits_and_exact_counts(pair, quality, name, cuts):
    """Bytes are cut anywhere, in the middle of a sample too."""
    pcm = noise(1500).tobytes()
    with using(name):
        whole, parts = Resampler(*pair, quality=quality), Resampler(*pair, quality=quality)
        got = b""
        for start, stop in itertools.pairwise([0, *sorted(cuts), 3000]):
            got += parts.push(pcm[start:stop])
            assert len(got) == 2 * math.ceil(stop // 2 * pair[1] / pair[0])
        assert got == whole.push(pcm)
        assert parts.flush() == whole.flush()


@hypothesis.given(**streams, name=variants, n_samples=st.integers(0, 900))
@hypothesis.settings(max_examples=40, deadline=None)
def test_the_tail_is_what_silence_pushes_out(pair, quality, name, n_samples):
    pcm = noise(n_samples).tobytes()
    with using(name):
        flushed, silenced = Resampler(*pair, quality=quality), Resampler(*pair, quality=quality)
        assert flushed.push(pcm) == silenced.push(pcm)
        tail = flushed.flush()
        assert len(tail) == 2 * flushed.latency_samples
        n_silent = (flushed.latency_samples + 1) * pair[0] // pair[1] + 1
        assert silenced.push(bytes(2 * n_silent))[: len(tail)] == tail


@hypothesis.given(
    **streams,
    name=variants,
    n_before=st.integers(0, 900),
    n_samples=st.integers(0, 900),
    is_flushed=st.booleans(),
)
@hypothesis.settings(max_examples=40, deadline=None)
def test_after_reset_the_same_samples_give_the_same_bits(
    pair, quality, name, n_before, n_samples, is_flushed
):
    pcm = noise(n_samples).tobytes()
    with using(name):
        used, new = Resampler(*pair, quality=quality), Resampler(*pair, quality=quality)
        used.push(noise(n_before, seed=5))
        if is_flushed:
            used.flush()
        used.reset()
        assert used.push(pcm) + used.flush() == new.push(pcm) + new.flush()


# --- levels ---


@every_pair
@qualities
def test_silence_stays_silence(from_hz, to_hz, quality):
    resampler = Resampler(from_hz, to_hz, quality=quality)
    for name in dispatch.available:
        with using(name):
            assert not any(resampler.push(bytes(600 + 2 * n_enough(from_hz, to_hz))) + resampler.flush()), (
                name
            )
        resampler.reset()


@every_pair
@qualities
def test_constant_stays_constant_and_full_scale_never_wraps(from_hz, to_hz, quality):
    """Steps from one constant to another overshoot: wrapped, a sample would have the other sign.

    Constants are exact where the filter sees no step.
    """
    n_reach = -(-Resampler(from_hz, to_hz, quality=quality).latency_samples * from_hz // to_hz)
    n_step = 2 * n_reach + max(40, 8 * from_hz // to_hz)
    period = max(1, from_hz / to_hz)
    values = [32767, -32768, 12345]
    steps = np.repeat(np.array(values, "<i2"), n_step)
    for name in dispatch.available:
        with using(name):
            out = resample(steps, from_hz, to_hz, quality=quality).astype(int)
        moment = np.arange(len(out)) * from_hz / to_hz
        for number, value in enumerate(values):
            since, until = moment - number * n_step, (number + 1) * n_step - moment
            settled = out[(since > n_reach) & (until > n_reach)]
            assert len(settled) > 2
            assert (settled == value).all(), name
            if abs(value) > 32_000:
                assert (out[(since > 3 * period) & (until > 3 * period)] * np.sign(value) > 16_000).all(), (
                    name
                )
