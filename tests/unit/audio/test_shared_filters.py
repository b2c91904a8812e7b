"""A filter is designed once in a process for its pair of rates and its quality, and kept while it is used."""

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from vapimedia.audio import Converter, Resampler, resample
from vapimedia.audio.dispatch import designed
from vapimedia.formats import AudioFormat, Quality
from vapimedia.media import MediaPath

TO_HZ = 12_000
# Rates that no other test takes to TO_HZ, each once: what was designed before would be found again.
FRESH: Iterator[int] = itertools.count(60_050, 50)
MAKERS: dict[str, Callable[[int, Quality], object]] = {
    "Resampler": lambda hz, quality: Resampler(hz, TO_HZ, quality=quality),
    "Converter": lambda hz, quality: Converter(
        AudioFormat("mulaw", hz), AudioFormat("pcm_s16le", TO_HZ), quality=quality
    ),
    "resample": lambda hz, quality: resample(np.zeros(9, np.int16), hz, TO_HZ, quality=quality),
    "MediaPath": lambda hz, quality: MediaPath(
        AudioFormat("alaw", hz), AudioFormat("mulaw", TO_HZ), quality=quality
    ),
}


def noise(n_samples: int, seed: int) -> bytes:
    return np.random.default_rng(seed).integers(-32768, 32768, n_samples).astype("<i2").tobytes()


@pytest.mark.parametrize("first", MAKERS.values(), ids=MAKERS.keys())
def test_whoever_comes_first_designs_for_all(first):
    from_hz, n_before = next(FRESH), designed()
    held = [first(from_hz, "telephone")]
    assert designed() == n_before + 1
    held += [make(from_hz, "telephone") for make in MAKERS.values()]
    assert designed() == n_before + 1


def test_equal_ratios_share_and_other_qualities_do_not():
    from_hz, n_before = next(FRESH), designed()
    held = [Resampler(from_hz, TO_HZ, quality="telephone")]
    held.append(Resampler(from_hz // 10, TO_HZ // 10, quality="telephone"))
    assert designed() == n_before + 1
    held.append(Resampler(from_hz, TO_HZ, quality="balanced"))
    held.append(Resampler(TO_HZ, from_hz, quality="telephone"))
    assert designed() == n_before + 3


def test_equal_rates_need_no_filter():
    n_before = designed()
    Resampler(next(FRESH), 16_000)
    n_one = designed()
    Resampler(16_000, 16_000)
    assert (n_one, designed()) == (n_before + 1, n_before + 1)


def test_filters_outlive_their_last_stream_for_the_next_call():
    from_hz, n_before = next(FRESH), designed()
    for _ in range(3):
        Resampler(from_hz, TO_HZ, quality="telephone").push(noise(10, 0))
    assert designed() == n_before + 1


def test_filters_in_use_stay_whatever_others_come_and_go():
    rates = [next(FRESH) for _ in range(20)]

    def open_all() -> list[Resampler]:
        return [Resampler(hz, TO_HZ, quality="telephone") for hz in rates]

    expected = [stream.push(noise(900, i)) for i, stream in enumerate(open_all())]
    held = open_all()
    started = [stream.push(noise(900, i)[:600]) for i, stream in enumerate(held)]
    for _ in range(30):
        Resampler(next(FRESH), TO_HZ, quality="telephone").push(noise(10, 0))
    n_before = designed()
    again = open_all()
    assert designed() == n_before
    assert [
        a + b.push(noise(900, i)[600:]) for i, (a, b) in enumerate(zip(started, held, strict=True))
    ] == expected
    assert [stream.push(noise(900, i)) for i, stream in enumerate(again)] == expected
