"""resample: whole signals."""

import math
import subprocess
import sys

import numpy as np
import pytest

from vapimedia.audio import Resampler, resample
from vapimedia.audio.resampler import resample_lines
from vapimedia.errors import ConfigError

PAIRS = [(8000, 16000), (16000, 8000), (44100, 16000), (7919, 8011), (16000, 16000)]
pairs = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
noise = np.random.default_rng(3).integers(-9000, 9000, 3000).astype(np.int16)


@pairs
@pytest.mark.parametrize("quality", ["telephone", "balanced", "high"])
def test_int16_equals_push_and_flush_without_the_delay(from_hz, to_hz, quality):
    stream = Resampler(from_hz, to_hz, quality=quality)
    expected = (stream.push(noise) + stream.flush())[2 * stream.latency_samples :]
    whole = resample(noise, from_hz, to_hz, quality=quality)
    assert whole.tobytes() == expected
    assert (whole.dtype, whole.shape) == (np.int16, (math.ceil(3000 * to_hz / from_hz),))


@pairs
def test_float32_is_the_same_signal_before_rounding(from_hz, to_hz):
    whole = resample(noise.astype(np.float32), from_hz, to_hz)
    assert whole.dtype == np.float32
    assert np.abs(whole - resample(noise, from_hz, to_hz)).max() <= 0.5


def test_float32_keeps_its_scale_and_is_not_clipped():
    small = resample(noise.astype(np.float32) / 2**15, 8000, 16000)
    large = resample(noise.astype(np.float32) * 2**10, 8000, 16000)
    assert np.array_equal(small * 2**25, large)


@pairs
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
@pytest.mark.parametrize("n_channels", [1, 2, 5])
def test_channels_are_resampled_each_for_itself(from_hz, to_hz, dtype, n_channels):
    channels = np.stack([np.roll(noise, 17 * i) for i in range(n_channels)], axis=1).astype(dtype)
    whole = resample(channels, from_hz, to_hz)
    assert whole.shape == (math.ceil(3000 * to_hz / from_hz), n_channels)
    for i in range(n_channels):
        assert np.array_equal(whole[:, i], resample(channels[:, i], from_hz, to_hz))


@pytest.mark.parametrize("view", [lambda a: a[::2], lambda a: a[::-1], lambda a: a.astype(">i2")])
def test_strides_and_byte_order_do_not_matter(view):
    given = view(noise)
    assert np.array_equal(resample(given, 8000, 16000), resample(given.astype("<i2", copy=True), 8000, 16000))


@pairs
@pytest.mark.parametrize("n_samples", [1, 2, 31, 32, 33, 64, 65, 4095, 4096, 4097, 9000])
def test_signals_of_any_length_lose_the_delay_alone(from_hz, to_hz, n_samples):
    """Shorter than the delay, and at the edges of the blocks that are worked on."""
    signal = np.resize(noise, n_samples)
    stream = Resampler(from_hz, to_hz)
    expected = (stream.push(signal) + stream.flush())[2 * stream.latency_samples :]
    assert resample(signal, from_hz, to_hz).tobytes() == expected
    two = resample(np.stack([signal, signal], axis=1), from_hz, to_hz)
    assert two[:, 0].tobytes() == two[:, 1].tobytes() == expected


@pytest.mark.parametrize("order", ["C", "F"])
def test_channels_may_lie_in_any_order_in_read_only_memory(order):
    channels = np.array(np.stack([noise, noise[::-1]], axis=1), order=order)
    channels.flags.writeable = False
    whole = resample(channels[::3], 8000, 16_000)
    assert whole.flags.c_contiguous
    assert np.array_equal(whole[:, 1], resample(noise[::-1][::3], 8000, 16_000))


def test_without_a_signal_numpy_is_not_loaded():
    code = (
        "import sys, vapimedia.audio as audio; audio.Resampler(8000, 16000).push(bytes(320));"
        "assert 'numpy' not in sys.modules; audio.resample([], 8000, 16000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "TypeError: got an array of float64" in done.stderr


@pytest.mark.parametrize("shape", [(0,), (0, 2), (5, 0)])
def test_empty_signals_stay_empty(shape):
    whole = resample(np.zeros(shape, np.int16), 8000, 16000)
    assert whole.shape == (2 * shape[0], *shape[1:])


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.uint8, np.uint16])
def test_other_types_are_refused(dtype):
    with pytest.raises(TypeError, match="int16 or float32"):
        resample(np.zeros(10, dtype), 8000, 16000)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("i2", "u2"), ("i2", "f2"), ("f4", "i4"), ("i4", "f4"), (">i2", ">i2"), ("f2", "f2")],
)
def test_lines_of_one_type_alone_are_resampled(given, wanted):
    with pytest.raises(TypeError, match=r"cannot become .* expected 'h' .* or 'f'"):
        resample_lines(np.zeros(10, given), np.zeros(20, wanted), 8000, 16000, "balanced")


@pytest.mark.parametrize("shape", [(), (2, 3, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ValueError, match="dimensions"):
        resample(np.zeros(shape, np.int16), 8000, 16000)


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError):
        resample(noise, 0, 16000)
    with pytest.raises(ConfigError):
        resample(noise, 8000, 16000, quality="best")
