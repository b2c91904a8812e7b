"""Resampler: counts, chunking, silence, saturation, reset and flush. Its quality has a file of its own."""

import itertools
import math
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from vapimedia.audio import Resampler
from vapimedia.errors import StateError

QUALITIES = ["telephone", "balanced", "high"]
COMMON_RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000]
COMMON_PAIRS = [(a, b) for a in COMMON_RATES for b in COMMON_RATES]
# Small ratios, dot products (160/441, 441/80), interpolated coefficients (primes), extremes, equal rates.
PAIRS = [
    (8000, 16000),
    (16000, 8000),
    (8000, 24000),
    (24000, 16000),
    (48000, 8000),
    (44100, 16000),
    (8000, 44100),
    (7919, 8011),
    (191_999, 1000),
    (1000, 192_000),
    (16000, 16000),
]
pairs = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
qualities = pytest.mark.parametrize("quality", QUALITIES)


def noise(n_samples: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).integers(-32768, 32768, n_samples).astype("<i2").tobytes()


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2")


@pytest.mark.parametrize(("from_hz", "to_hz"), COMMON_PAIRS)
def test_every_call_returns_its_share_from_the_first_on(from_hz, to_hz):
    resampler = Resampler(from_hz, to_hz)
    n_in = n_out = 0
    for n_samples in (from_hz // 50, 1, from_hz // 50, 7, from_hz // 50):
        n_in += n_samples
        n_out += len(resampler.push(noise(n_samples))) // 2
        assert n_out == math.ceil(n_in * to_hz / from_hz)


@hypothesis.given(
    from_hz=st.integers(1000, 192_000),
    to_hz=st.integers(1000, 192_000),
    chunks=st.lists(st.integers(0, 700), max_size=6),
)
@hypothesis.settings(max_examples=30, deadline=None)
def test_output_counts_follow_the_exact_ratio_for_any_rates(from_hz, to_hz, chunks):
    resampler = Resampler(from_hz, to_hz, quality="telephone")
    n_in = n_out = 0
    for n_samples in chunks:
        n_in += n_samples
        n_new = len(resampler.push(bytes(2 * n_samples))) // 2
        n_out += n_new
        assert n_new <= resampler.max_output(n_samples)
        assert n_out == -(-n_in * to_hz // from_hz)


@hypothesis.given(
    pair=st.sampled_from(PAIRS),
    quality=st.sampled_from(QUALITIES),
    cuts=st.lists(st.integers(0, 1500), max_size=8),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_any_chunking_gives_the_same_bits(pair, quality, cuts):
    pcm = noise(1500)
    whole, parts = Resampler(*pair, quality=quality), Resampler(*pair, quality=quality)
    edges = [0, *sorted(cuts), 1500]
    pieces = [parts.push(pcm[2 * a : 2 * b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) == whole.push(pcm)
    assert parts.flush() == whole.flush()


@hypothesis.given(pair=st.sampled_from(PAIRS), cuts=st.lists(st.integers(0, 5000), max_size=8))
@hypothesis.settings(max_examples=40, deadline=None)
def test_a_split_sample_is_carried_and_counts_stay_exact(pair, cuts):
    pcm = noise(2500)
    whole, parts = Resampler(*pair), Resampler(*pair)
    edges = [0, *sorted(cuts), 5000]
    n_out = 0
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        room = bytearray(2 * parts.max_output((b - a + 1) // 2))
        n_out += parts.push_into(pcm[a:b], room) if i % 2 else len(parts.push(pcm[a:b])) // 2
        assert n_out == -(-(b // 2) * pair[1] // pair[0])
    parts.reset()
    assert b"".join(parts.push(pcm[a:b]) for a, b in itertools.pairwise(edges)) == whole.push(pcm)
    assert parts.flush() == whole.flush()


@pytest.mark.parametrize("pair", [(8000, 16_000), (16_000, 16_000)])
def test_flush_drops_half_a_sample_and_reset_forgets_it(pair):
    used, new = Resampler(*pair), Resampler(*pair)
    assert used.push(noise(9) + b"\x55") == new.push(noise(9))
    assert used.flush() == new.flush()
    for stream in (used, new):
        stream.reset()
    used.push(b"\x55")
    used.reset()
    assert used.push(noise(9)) == new.push(noise(9))


@pairs
def test_single_bytes_give_the_same_bits_as_one_call(from_hz, to_hz):
    pcm = noise(100)
    parts = Resampler(from_hz, to_hz)
    expected = Resampler(from_hz, to_hz).push(pcm)
    assert b"".join(parts.push(pcm[i : i + 1]) for i in range(200)) == expected


@pairs
def test_single_samples_give_the_same_bits_as_one_call(from_hz, to_hz):
    pcm = noise(300)
    parts = Resampler(from_hz, to_hz)
    expected = Resampler(from_hz, to_hz).push(pcm)
    assert b"".join(parts.push(pcm[i : i + 2]) for i in range(0, 600, 2)) == expected


@pairs
@qualities
def test_silence_stays_silence(from_hz, to_hz, quality):
    resampler = Resampler(from_hz, to_hz, quality=quality)
    assert not any(resampler.push(bytes(4000)) + resampler.flush())


@pairs
@qualities
@pytest.mark.parametrize("value", [32767, -32768, 12345])
def test_constant_stays_constant(from_hz, to_hz, quality, value):
    resampler = Resampler(from_hz, to_hz, quality=quality)
    n_settling = 2 * resampler.latency_samples * from_hz // to_hz + 1
    resampler.push(np.full(n_settling, value, "<i2"))
    assert set(samples(resampler.push(np.full(1000, value, "<i2"))).tolist()) <= {value}


@pairs
@qualities
def test_full_scale_saturates_and_never_wraps(from_hz, to_hz, quality):
    """A square wave overshoots at its edges: a wrapped sample would have the other sign far from any edge."""
    resampler = Resampler(from_hz, to_hz, quality=quality)
    n_half = 2 * resampler.latency_samples * from_hz // to_hz + 200
    square = np.repeat(np.array([32767, -32768, 32767], "<i2"), n_half)
    out = samples(resampler.push(square) + resampler.flush())[resampler.latency_samples :]
    middle = np.arange(len(out)) * from_hz / to_hz
    margin = 3 * max(1, from_hz / to_hz)
    for half, sign in enumerate([1, -1, 1]):
        inside = (middle > half * n_half + margin) & (middle < (half + 1) * n_half - margin)
        assert (out[inside].astype(int) * sign > 16000).all()


@pairs
@qualities
def test_two_runs_give_the_same_bits(from_hz, to_hz, quality):
    first, second = (Resampler(from_hz, to_hz, quality=quality).push(noise(2000)) for _ in range(2))
    assert first == second


@pairs
@qualities
def test_flush_returns_the_tail(from_hz, to_hz, quality):
    """The tail is what silence would push out."""
    resampler, silenced = (Resampler(from_hz, to_hz, quality=quality) for _ in range(2))
    pcm = noise(777)
    assert resampler.push(pcm) == silenced.push(pcm)
    n_tail = resampler.latency_samples
    tail = resampler.flush()
    silence = bytes(2 * (n_tail * from_hz // to_hz + from_hz // to_hz + 2))
    assert len(tail) == 2 * n_tail
    assert silenced.push(silence)[: 2 * n_tail] == tail


@pairs
@pytest.mark.parametrize("flushed", [False, True])
def test_reset_equals_a_new_object(from_hz, to_hz, flushed):
    used, new = Resampler(from_hz, to_hz), Resampler(from_hz, to_hz)
    used.push(noise(333, seed=5))
    if flushed:
        used.flush()
    used.reset()
    assert used.push(noise(500)) + used.flush() == new.push(noise(500)) + new.flush()


def test_streams_that_share_coefficients_do_not_disturb_each_other():
    alone = Resampler(8000, 16000)
    expected = [alone.push(noise(160, seed)) for seed in range(3)]
    one, other = Resampler(8000, 16000), Resampler(8000, 16000)
    got = []
    for seed in range(3):
        got.append(one.push(noise(160, seed)))
        other.push(noise(90, seed + 9))
    del other
    assert got == expected


def test_coefficients_survive_their_last_stream():
    expected = Resampler(32000, 12000).push(noise(320))
    for from_hz in range(20_000, 20_030):
        Resampler(from_hz, 12000, quality="telephone").push(noise(10))
    assert Resampler(32000, 12000).push(noise(320)) == expected


def test_equal_rates_copy_without_delay():
    resampler = Resampler(16000, 16000, quality="high")
    assert resampler.latency_samples == resampler.latency_ms == 0
    assert resampler.push(noise(500)) == noise(500)
    assert resampler.flush() == b""


def test_push_into_equals_push():
    one, other = Resampler(24000, 16000), Resampler(24000, 16000)
    for n_samples in (480, 1, 0, 77):
        out = np.zeros(other.max_output(n_samples) + 3, "<i2")
        n_out = other.push_into(noise(n_samples), out)
        assert out[:n_out].tobytes() == one.push(noise(n_samples))
        assert not out[n_out:].any()


def test_a_small_output_is_refused_and_nothing_is_taken():
    resampler, new = Resampler(8000, 16000), Resampler(8000, 16000)
    with pytest.raises(ValueError, match="holds 639 bytes, 640 are needed"):
        resampler.push_into(noise(160), bytearray(639))
    assert resampler.push(noise(160)) == new.push(noise(160))


@pairs
def test_any_buffer_at_any_alignment_gives_the_same_bits(from_hz, to_hz):
    pcm = noise(200)
    expected = Resampler(from_hz, to_hz).push(pcm)
    odd = memoryview(b"\x00" + pcm)[1:]
    out = bytearray(len(expected) + 1)
    for given in (bytearray(pcm), memoryview(pcm), samples(pcm), odd):
        assert Resampler(from_hz, to_hz).push(given) == expected
    Resampler(from_hz, to_hz).push_into(odd, memoryview(out)[1:])
    assert out[1:] == expected


def test_bulk_input_equals_frames():
    frames = Resampler(8000, 16000)
    pcm = noise(40_000)
    whole = Resampler(8000, 16000).push(pcm)
    assert whole == b"".join(frames.push(pcm[i : i + 320]) for i in range(0, 80_000, 320))


@pytest.mark.parametrize("call", ["push", "flush", "push_into"])
def test_after_flush_only_reset_is_allowed(call):
    resampler = Resampler(8000, 16000)
    resampler.flush()
    arguments = {"push": (b"",), "flush": (), "push_into": (b"", bytearray(9))}[call]
    with pytest.raises(StateError, match=r"call reset\(\)"):
        getattr(resampler, call)(*arguments)


def test_every_stream_tells_its_memory():
    for from_hz, to_hz in COMMON_PAIRS:
        limit = 2048 if max(from_hz, to_hz) <= 16_000 else 10_240
        assert sys.getsizeof(Resampler(from_hz, to_hz)) <= limit, (from_hz, to_hz)
    assert sys.getsizeof(Resampler(16_000, 8000)) > 4 * 2 * 64  # a window of floats is held at least
