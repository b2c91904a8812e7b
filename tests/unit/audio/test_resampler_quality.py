"""Delay and sound of the resampler, measured through int16 in and out against the promised table."""

import numpy as np
import pytest

from vapimedia.audio import Resampler, resample

#            pass edge   rejection: at  dB   ripple dB  SINAD loss dB  delay in periods of the lower rate
PROMISES = {
    "telephone": (0.85, 0.85, 90, 0.01, 1.5, 19),
    "balanced": (0.90, 0.90, 100, 0.001, 0.1, 32),
    "high": (0.91, 0.95, 100, 0.001, 0.1, 71),
}
PAIRS = [
    (8000, 16000),
    (16000, 8000),
    (8000, 24000),
    (24000, 8000),
    (24000, 16000),
    (48000, 16000),
    (44100, 16000),
    (16000, 44100),
    (7919, 8011),
]
pairs = pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
qualities = pytest.mark.parametrize("quality", list(PROMISES))
N_SAMPLES = 1 << 15


def tone(frequency_hz: float, rate_hz: int, n_samples: int = 2 * N_SAMPLES) -> np.ndarray:
    return np.round(29_000 * np.sin(2 * np.pi * frequency_hz / rate_hz * np.arange(n_samples) + 0.1)).astype(
        np.int16
    )


def settled(signal: np.ndarray) -> np.ndarray:
    """Cut the start and the end, where the filter sees the signal's edges."""
    n_kept = min(N_SAMPLES, len(signal) // 2)
    start = (len(signal) - n_kept) // 2
    return signal[start : start + n_kept].astype(float)


def fit_tone(signal: np.ndarray, frequency_hz: float, rate_hz: int) -> tuple[float, np.ndarray]:
    """Return the amplitude of the tone in *signal* and what is left without it."""
    angle = 2 * np.pi * frequency_hz / rate_hz * np.arange(len(signal))
    basis = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    weights = np.linalg.lstsq(basis, signal, rcond=None)[0]
    return float(np.hypot(*weights)), signal - basis @ weights


def sinad_db(signal: np.ndarray, frequency_hz: float, rate_hz: int) -> float:
    amplitude, rest = fit_tone(signal, frequency_hz, rate_hz)
    return 10 * np.log10(amplitude**2 / 2 / np.mean(rest**2))


def strongest_line_db(signal: np.ndarray, amplitude: float) -> float:
    """Level of the strongest spectral line, relative to a tone of *amplitude*."""
    window = np.kaiser(len(signal), 18)
    return 20 * np.log10(np.abs(np.fft.rfft(signal * window)).max() / (amplitude * window.sum() / 2))


@pairs
@qualities
def test_rejection_holds(from_hz, to_hz, quality):
    """Images of a tone at the edge (upwards), aliases of its mirror above fn (downwards)."""
    _, edge, rejection_db, *_ = PROMISES[quality]
    fn = min(from_hz, to_hz) / 2
    frequencies = [edge * fn * 0.9993] if to_hz > from_hz else [(2 - edge) * fn * 1.0007, 1.370713 * fn]
    for frequency_hz in frequencies:
        if frequency_hz >= from_hz / 2:
            continue
        out = settled(resample(tone(frequency_hz, from_hz), from_hz, to_hz, quality=quality))
        if to_hz > from_hz:
            _, out = fit_tone(out, frequency_hz, to_hz)
        assert strongest_line_db(out, 29_000) <= -rejection_db


@pairs
@qualities
def test_ripple_stays_in_bounds_to_the_pass_edge(from_hz, to_hz, quality):
    pass_edge, _, _, ripple_db, *_ = PROMISES[quality]
    fn = min(from_hz, to_hz) / 2
    for share in (0.0213, 0.251, 0.517, 0.733, 0.871, 0.949, 0.979, 0.9993):
        frequency_hz = share * pass_edge * fn
        given, _ = fit_tone(settled(tone(frequency_hz, from_hz)), frequency_hz, from_hz)
        got, _ = fit_tone(
            settled(resample(tone(frequency_hz, from_hz), from_hz, to_hz, quality=quality)),
            frequency_hz,
            to_hz,
        )
        assert abs(20 * np.log10(got / given)) <= ripple_db


@pairs
@qualities
def test_sinad_is_near_that_of_16_bits(from_hz, to_hz, quality):
    """Against an ideal resampler of the same int16 signal whose result is rounded to int16."""
    loss_db = PROMISES[quality][4]
    fn = min(from_hz, to_hz) / 2
    for share in (0.131, 0.457, 0.803):
        frequency_hz = share * fn
        given = tone(frequency_hz, from_hz)
        out = settled(resample(given, from_hz, to_hz, quality=quality))
        _, given_noise = fit_tone(settled(given), frequency_hz, from_hz)
        exact = 29_000 * np.sin(2 * np.pi * frequency_hz / to_hz * np.arange(len(out)) + 0.1)
        _, rounding = fit_tone(np.round(exact), frequency_hz, to_hz)
        # What white rounding noise of the input leaves in the band, and the rounding of the output.
        ideal_noise = np.mean(given_noise**2) * min(1, to_hz / from_hz)
        ideal_db = 10 * np.log10(29_000**2 / 2 / (ideal_noise + np.mean(rounding**2)))
        assert sinad_db(out, frequency_hz, to_hz) >= ideal_db - loss_db - 0.1  # the noise is an estimate


@pairs
@qualities
def test_delay_is_the_promised_number_of_periods(from_hz, to_hz, quality):
    resampler = Resampler(from_hz, to_hz, quality=quality)
    periods = PROMISES[quality][5]
    assert resampler.latency_ms == 1000 * resampler.latency_samples / to_hz
    exact = periods * to_hz / min(from_hz, to_hz)
    assert exact <= resampler.latency_samples < exact + 1


@pytest.mark.parametrize(("quality", "limit_ms"), [("telephone", 2.4), ("balanced", 4.1), ("high", 8.9)])
@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16000), (16000, 8000), (8000, 24000), (24000, 8000)])
def test_delay_meets_the_goals_for_telephone_rates(from_hz, to_hz, quality, limit_ms):
    assert Resampler(from_hz, to_hz, quality=quality).latency_ms <= limit_ms


@pairs
@qualities
def test_what_goes_in_comes_out_latency_samples_later(from_hz, to_hz, quality):
    """The phase of a tone, which sees a hundredth of a sample."""
    resampler = Resampler(from_hz, to_hz, quality=quality)
    frequency_hz = 0.31 * min(from_hz, to_hz) / 2
    out = np.frombuffer(resampler.push(tone(frequency_hz, from_hz, 8000)), "<i2").astype(float)
    k = np.arange(len(out))[3 * resampler.latency_samples :]
    delayed = np.exp(-1j * (2 * np.pi * frequency_hz / to_hz * (k - resampler.latency_samples) + 0.1))
    phase = np.angle((out[k] * delayed * np.kaiser(len(k), 12)).sum() * 1j)
    assert abs(phase / (2 * np.pi * frequency_hz / to_hz)) < 0.01


@qualities
@pytest.mark.parametrize("factor", [2, 3, 6])
def test_an_impulse_peaks_latency_samples_later(quality, factor):
    impulse = np.zeros(400, np.int16)
    impulse[100] = 20_000
    resampler = Resampler(8000, 8000 * factor, quality=quality)
    out = np.frombuffer(resampler.push(impulse), "<i2")
    assert int(out.argmax()) == 100 * factor + resampler.latency_samples
