"""Whole signals, as numpy arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vapimedia.audio.resampler import output_length, resample_lines
from vapimedia.formats import Quality

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["resample"]


def resample(
    array: npt.ArrayLike, from_hz: int, to_hz: int, *, quality: Quality = "balanced"
) -> npt.NDArray[Any]:
    """Return the signal at *to_hz*: ``ceil(n * to_hz / from_hz)`` samples, the delay taken out.

    *array* is int16 or float32, ``(n,)`` or ``(n, channels)``; the result has its type and number of
    dimensions. An int16 channel equals ``(push + flush)[latency_samples:]`` of a ``Resampler``, saturation
    included; float32 goes through the same filter unrounded and unclipped, whatever its scale. Other threads run
    meanwhile. Raises ``TypeError`` for other types, ``ValueError`` for other shapes, ``ConfigError`` as
    ``Resampler`` does.
    """
    import numpy as np  # noqa: PLC0415  who works on bytes alone does not load it

    signal = np.asarray(array)
    native = signal.dtype.newbyteorder("=")
    if native not in (np.int16, np.float32):
        raise TypeError(f"got an array of {signal.dtype}; convert it to int16 or float32")
    if signal.ndim not in (1, 2):
        raise ValueError(f"got {signal.ndim} dimensions; a signal is (n,) or (n, channels)")
    whole = np.empty((output_length(len(signal), from_hz, to_hz), *signal.shape[1:]), native)
    resample_lines(signal.astype(native, copy=False), whole, from_hz, to_hz, quality)
    return whole
