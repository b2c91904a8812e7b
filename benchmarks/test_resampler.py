"""Resampler: one frame of 20 ms, bytes in and bytes out. Compare means: soxr returns nothing from most calls."""

import peers
import pytest
from delay import follow

from vapimedia.audio import Resampler

PAIRS = [
    (8000, 16_000),
    (16_000, 8000),
    (8000, 24_000),
    (24_000, 8000),
    (24_000, 16_000),
    (44_100, 16_000),
    (48_000, 16_000),
    (48_000, 8000),
]


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("name", peers.STREAMS)
def test_push(measure, name, from_hz, to_hz):
    result = measure(f"resample {from_hz} -> {to_hz}", name, peers.streams(from_hz, to_hz)[name])
    exact = name.startswith("vapimedia")
    assert not exact or len(result) == 2 * (to_hz // 50)
    # Linear interpolation bends the band and lets images through.
    required = 0.999 if exact or "no filter" not in name else 0.9
    assert follow(peers.STREAMS[name](from_hz, to_hz), from_hz, to_hz).match > required


@pytest.mark.parametrize("name", peers.creations(8000, 16_000))
def test_create(measure, name):
    """Ours finds its coefficients made: another stream of the same rates lives."""
    made = measure("create 8000 -> 16000", name, peers.creations(8000, 16_000)[name])
    if name == "vapimedia":
        assert made.latency_samples == Resampler(8000, 16_000).latency_samples
        made = made.push
    assert isinstance(made(peers.frame(8000)), bytes)
