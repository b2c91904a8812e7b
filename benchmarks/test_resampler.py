"""Resampler: one frame of 20 ms, bytes in and bytes out."""

import math

import numpy as np
import pytest

from vapimedia.audio import Resampler, resample

PAIRS = [
    (8000, 16000),
    (16000, 8000),
    (8000, 24000),
    (24000, 8000),
    (24000, 16000),
    (44100, 16000),
    (48000, 16000),
    (48000, 8000),
]
pairs = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)


@pairs
@pytest.mark.parametrize("quality", ["telephone", "balanced", "high"])
def test_push(benchmark, speech_like, from_hz, to_hz, quality):
    benchmark.group = f"resample {from_hz} -> {to_hz}"
    resampler = Resampler(from_hz, to_hz, quality=quality)
    pcm = speech_like(from_hz // 50)
    assert len(benchmark(resampler.push, pcm)) == 2 * (to_hz // 50)


@pairs
def test_push_soxr_hq(benchmark, speech_like, soxr, from_hz, to_hz):
    """Compare means: soxr returns nothing from most calls and much from a few."""
    benchmark.group = f"resample {from_hz} -> {to_hz}"
    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16", quality="HQ")
    pcm = speech_like(from_hz // 50)

    def push():
        return stream.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()

    push()
    assert isinstance(benchmark(push), bytes)


@pytest.mark.benchmark(group="create 8000 -> 16000")
def test_create_with_shared_coefficients(benchmark):
    shared = Resampler(8000, 16000)
    assert benchmark(Resampler, 8000, 16000).latency_samples == shared.latency_samples


@pytest.mark.benchmark(group="create 8000 -> 16000")
def test_create_soxr_hq(benchmark, soxr):
    assert benchmark(soxr.ResampleStream, 8000, 16000, 1, dtype="int16", quality="HQ") is not None


@pytest.mark.benchmark(group="whole signal 8000 -> 16000, 10 s")
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_resample(benchmark, speech_like, dtype):
    signal = np.frombuffer(speech_like(80_000), "<i2").astype(dtype)
    assert benchmark(resample, signal, 8000, 16000).shape == (math.ceil(80_000 * 2),)


@pytest.mark.benchmark(group="whole signal 8000 -> 16000, 10 s")
def test_resample_soxr_hq(benchmark, speech_like, soxr):
    signal = np.frombuffer(speech_like(80_000), "<i2")
    assert benchmark(soxr.resample, signal, 8000, 16000, quality="HQ").shape == (160_000,)
