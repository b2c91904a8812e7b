"""The level meter of a path tells the RMS that numpy finds, whatever the format and however audio is cut."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_laws import ALAW, MS, MULAW, PCM_8K, PCM_16K, silent

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import LivePath, MediaPath

FLOOR_DBFS = 20 * math.log10(1 / 32768)


def dbfs(pcm: np.ndarray) -> float:
    power = np.mean(np.square(pcm.astype(np.float64)))
    return 10 * math.log10(max(power, 1.0) / 32768**2)


def tone(hz: float, amplitude: float, fmt: AudioFormat, ms: int = 1500) -> np.ndarray:
    t = np.arange(fmt.sample_rate * ms // 1000) / fmt.sample_rate
    return np.round(amplitude * np.sin(2 * np.pi * hz * t)).astype("<i2")


def heard(fmt: AudioFormat, audio: bytes, *, chunk_ms: int = 20) -> tuple[MediaPath, int]:
    """A path that took *audio* in real time, and when it had taken all of it."""
    path, step = MediaPath(fmt, fmt), fmt.frame_bytes(chunk_ms)
    now_ns = MS
    for at in range(0, len(audio), step):
        path.feed(audio[at : at + step], now_ns)
        now_ns += chunk_ms * MS
    return path, now_ns


@pytest.mark.parametrize("fmt", [PCM_8K, PCM_16K], ids=str)
@pytest.mark.parametrize("hz", [200, 400, 440, 697, 1000, 1600, 2000, 3000])
@pytest.mark.parametrize("amplitude", [32767, 1000, 30])
def test_a_tone_is_as_loud_as_numpy_finds_it(fmt: AudioFormat, hz: int, amplitude: int) -> None:
    pcm = tone(hz, amplitude, fmt)
    path, now_ns = heard(fmt, pcm.tobytes())
    assert path.level_dbfs(now_ns) == pytest.approx(dbfs(pcm), abs=0.5)


@pytest.mark.parametrize("fmt", [MULAW, ALAW], ids=str)
@pytest.mark.parametrize("amplitude", [30000, 500])
def test_g711_is_as_loud_as_what_it_stands_for(fmt: AudioFormat, amplitude: int) -> None:
    pcm = tone(440, amplitude, PCM_8K)
    path, now_ns = heard(fmt, Converter(PCM_8K, fmt).push(pcm.tobytes()))
    assert path.level_dbfs(now_ns) == pytest.approx(dbfs(pcm), abs=0.5)


@settings(max_examples=20)
@given(st.integers(1, 20_000), st.integers(0, 99), st.sampled_from([10, 20, 60, 100]))
def test_noise_is_as_loud_as_numpy_finds_it(amplitude: int, seed: int, chunk_ms: int) -> None:
    pcm = np.random.default_rng(seed).integers(-amplitude, amplitude + 1, 16_000).astype("<i2")
    path, now_ns = heard(PCM_8K, pcm.tobytes(), chunk_ms=chunk_ms)
    assert path.level_dbfs(now_ns) == pytest.approx(dbfs(pcm), abs=4)


@pytest.mark.parametrize("fmt", [MULAW, ALAW, PCM_8K], ids=str)
def test_silence_is_the_floor_and_no_audio_is_no_level(fmt: AudioFormat) -> None:
    path, now_ns = heard(fmt, silent(fmt, 500))
    quietest = FLOOR_DBFS if fmt != ALAW else dbfs(np.array([8.0]))  # A-law has no zero
    assert path.level_dbfs(now_ns) == pytest.approx(quietest)
    assert path.level_dbfs(now_ns + 1000 * MS) is None
    assert MediaPath(fmt, fmt).level_dbfs(now_ns) is None


def test_the_level_follows_within_a_second_and_starts_anew_after_a_pause() -> None:
    loud, quiet = tone(440, 20_000, PCM_8K), tone(440, 20, PCM_8K)
    path, now_ns = heard(PCM_8K, loud.tobytes())
    for at in range(0, len(quiet), 160):
        path.feed(quiet[at : at + 160].tobytes(), now_ns)
        now_ns += 20 * MS
    level = path.level_dbfs(now_ns)
    assert level is not None and level < dbfs(loud) - 40
    path.feed(loud[:160].tobytes(), now_ns + 2000 * MS)
    assert path.level_dbfs(now_ns + 2000 * MS) == pytest.approx(dbfs(loud), abs=0.5)


def test_the_level_is_that_of_the_converted_audio_and_not_of_inserted_silence() -> None:
    path, now_ns = LivePath(MULAW, PCM_16K), MS
    path.open(now_ns)
    pcm = tone(440, 8000, PCM_8K)
    mulaw = Converter(PCM_8K, MULAW).push(pcm.tobytes())
    for at in range(0, 8000, 160):
        now_ns += 20 * MS
        path.feed(mulaw[at : at + 160], now_ns)
    assert path.level_dbfs(now_ns) == pytest.approx(dbfs(pcm), abs=0.5)
    for _ in range(60):
        now_ns += 20 * MS
        path.due(now_ns)
    assert path.stats(now_ns).inserted_silence_ms > 0 and path.level_dbfs(now_ns) is None
