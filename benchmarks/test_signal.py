"""resample(): a whole signal of ten seconds in one call, arrays in and out."""

import numpy as np
import peers
import pytest

PAIRS = [(8000, 16_000), (16_000, 8000), (44_100, 16_000), (48_000, 16_000)]
SECONDS = 10


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("name", peers.whole_signals(8000, 16_000, 1))
def test_resample(measure, name, from_hz, to_hz):
    row = peers.whole_signals(from_hz, to_hz, SECONDS)[name]
    result = measure(f"whole signal {from_hz} -> {to_hz}, 10 s", name, row)
    n_samples = SECONDS * to_hz
    assert len(result) == n_samples if "vapimedia" in name else abs(len(result) - n_samples) <= 1

    # A tone comes out as the same tone, without delay.
    call, signal = row()
    tone = 9000 * np.sin(2 * np.pi * 1000 * np.arange(SECONDS * from_hz) / from_hz)
    expected = 9000 * np.sin(2 * np.pi * 1000 * np.arange(n_samples) / to_hz)
    middle = slice(n_samples // 4, n_samples // 2)
    error = np.asarray(call(tone.astype(signal.dtype)))[middle] - expected[middle]
    assert np.sqrt(np.mean(error**2)) < 9
