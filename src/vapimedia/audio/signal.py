"""Whole signals, as numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vapimedia.audio.resampler import Resampler, resample_line
from vapimedia.formats import Quality

__all__ = ["resample"]


def resample(
    array: npt.ArrayLike, from_hz: int, to_hz: int, *, quality: Quality = "balanced"
) -> npt.NDArray[Any]:
    """Return the signal at *to_hz*: ``ceil(n * to_hz / from_hz)`` samples, the delay taken out.

    *array* is int16 or float32, ``(n,)`` or ``(n, channels)``; the result has its type and number of
    dimensions. An int16 channel equals ``(push + flush)[latency_samples:]`` of a ``Resampler``, saturation
    included; float32 goes through the same filter unrounded and unclipped, whatever its scale. Raises
    ``TypeError`` for other types, ``ValueError`` for other shapes, ``ConfigError`` as ``Resampler`` does.
    """
    signal = np.asarray(array)
    native = signal.dtype.newbyteorder("=")
    if native not in (np.int16, np.float32):
        raise TypeError(f"got an array of {signal.dtype}; convert it to int16 or float32")
    if signal.ndim not in (1, 2):
        raise ValueError(f"got {signal.ndim} dimensions; a signal is (n,) or (n, channels)")

    n_tail = Resampler(from_hz, to_hz, quality=quality).latency_samples
    n_out = -(-len(signal) * to_hz // from_hz)
    is_float = native == np.float32
    lines = (signal if signal.ndim == 2 else signal[:, np.newaxis]).T
    results = np.empty((len(lines), n_out + n_tail), native)
    for line, result in zip(lines, results, strict=True):
        resample_line(np.ascontiguousarray(line, native), result, from_hz, to_hz, quality, is_float)
    whole = results[:, n_tail:].T
    return np.ascontiguousarray(whole.reshape(n_out) if signal.ndim == 1 else whole)
