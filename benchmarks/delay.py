"""How much audio a streaming resampler holds back when it is fed 20 ms frames.

A stream is followed with noise. Its output is aligned to the input by cross-correlation, which gives the delay
inside the signal; what a call has not yet returned comes on top:

    held back after call n = input time given - (output time returned - delay inside the signal)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from peers import STREAMS, MissingPeerError

__all__ = ["PAIRS", "Held", "all_held", "follow", "table"]

PAIRS = [(8000, 16_000), (16_000, 8000), (24_000, 8000), (8000, 24_000), (44_100, 16_000), (48_000, 16_000)]

_N_FRAMES = 100
_FINER = 16  # the alignment resolves this part of an output sample


class Held(NamedTuple):
    """What one stream held back after each call. ``match`` is the correlation with ideal output, at best 1."""

    mean_ms: float
    worst_ms: float
    n_empty: int  # how many of the first calls returned nothing
    match: float

    def __str__(self) -> str:
        return f"{self.mean_ms:.1f} / {self.worst_ms:.1f} / {self.n_empty}"


def follow(push: Callable[[bytes], bytes], from_hz: int, to_hz: int) -> Held:
    """Feed two seconds of noise to *push*, a fresh stream."""
    n_in, n_out = (_N_FRAMES * rate // 50 for rate in (from_hz, to_hz))
    signal, ideal = _noise(n_in, n_out, band_hz=0.35 * min(from_hz, to_hz))
    pcm = signal.astype("<i2").tobytes()
    step = len(pcm) // _N_FRAMES
    parts = [push(pcm[start : start + step]) for start in range(0, len(pcm), step)]

    returned = np.cumsum([len(part) // 2 for part in parts])
    output = np.zeros(n_out)
    samples = np.frombuffer(b"".join(parts), np.int16)[:n_out]
    output[: len(samples)] = samples
    delay, match = _align(output, ideal, len(samples))

    given_s = 0.02 * np.arange(1, _N_FRAMES + 1)
    held_ms = 1000 * (given_s - (returned - delay) / to_hz)
    return Held(held_ms.mean(), held_ms.max(), int(np.count_nonzero(returned == 0)), match)


def _noise(n_in: int, n_out: int, band_hz: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the same two seconds of noise, below *band_hz*, in *n_in* and in *n_out* samples."""
    n_lines = int(band_hz * _N_FRAMES / 50)
    phases = np.random.default_rng(3).uniform(0, 2 * np.pi, n_lines)
    lines = np.concatenate([[0], np.exp(1j * phases)])
    scale = 3000 / np.sqrt(n_lines / 2)  # rms; peaks stay below full scale
    signal, ideal = (np.fft.irfft(lines * n / 2, n) * scale for n in (n_in, n_out))
    return signal, ideal


def _align(
    output: npt.NDArray[np.float64], ideal: npt.NDArray[np.float64], n_returned: int
) -> tuple[float, float]:
    """Return the delay of *output* in samples, and how well it matches there."""
    spectrum = np.fft.rfft(output) * np.conj(np.fft.rfft(ideal))
    correlation = np.fft.irfft(spectrum, _FINER * len(output)) * _FINER
    peak = int(np.argmax(correlation))
    delay = (peak if peak < len(correlation) // 2 else peak - len(correlation)) / _FINER
    # What is not returned yet, and what comes in from the end of the circle, takes no part.
    shared = ideal[: max(n_returned - max(round(delay), 0), 1)]
    energy = float(np.sqrt(np.sum(output**2) * np.sum(shared**2)))
    return delay, float(correlation[peak]) / energy if energy else 0.0


def all_held() -> dict[tuple[str, tuple[int, int]], Held | str]:
    """Follow every stream over every pair; a missing peer's entry is what installs it."""
    found: dict[tuple[str, tuple[int, int]], Held | str] = {}
    for name, opened in STREAMS.items():
        for pair in PAIRS:
            try:
                found[name, pair] = follow(opened(*pair), *pair)
            except MissingPeerError as missing:
                found[name, pair] = str(missing)
    return found


def table(found: Mapping[tuple[str, tuple[int, int]], Held | str]) -> list[Sequence[str]]:
    """Return the rows, the head first: mean / worst ms held back after a call / first calls without output."""
    head = ["20 ms frames", *(f"{from_hz / 1000:g} → {to_hz / 1000:g} kHz" for from_hz, to_hz in PAIRS)]
    names = dict.fromkeys(name for name, _ in found)
    return [head, *([name, *(str(found.get((name, pair), "")) for pair in PAIRS)] for name in names)]
