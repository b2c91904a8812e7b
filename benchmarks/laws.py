"""G.711 as tables, from the rules of ITU-T G.191 and not from the kernels: their judge, and how numpy does it."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

__all__ = ["decode_table", "encode_table"]


@functools.cache
def decode_table(law: str) -> npt.NDArray[np.int16]:
    """Return the 256 samples of *law*, indexed by code."""
    expand = {"mulaw": _mulaw_sample, "alaw": _alaw_sample}[law]
    return np.array([expand(code) for code in range(256)], np.int16)


@functools.cache
def encode_table(law: str) -> npt.NDArray[np.uint8]:
    """Return the 65536 codes of *law*, indexed by the sample's bits as an unsigned number."""
    compress = {"mulaw": _mulaw_code, "alaw": _alaw_code}[law]
    samples = np.arange(65536, dtype=np.uint16).view(np.int16)
    return np.array([compress(sample) for sample in samples.tolist()], np.uint8)


def _mulaw_sample(code: int) -> int:
    code ^= 0xFF
    magnitude = ((2 * (code & 15) + 33) << (code >> 4 & 7)) - 33
    return -4 * magnitude if code & 0x80 else 4 * magnitude


def _mulaw_code(sample: int) -> int:
    magnitude = min((~sample if sample < 0 else sample) // 4 + 33, 0x1FFF)
    segment = magnitude.bit_length() - 6
    code = segment << 4 | (magnitude >> (segment + 1) & 15)
    return code ^ (0x7F if sample < 0 else 0xFF)


def _alaw_sample(code: int) -> int:
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = 2 * step + 1 if segment == 0 else (2 * step + 33) << (segment - 1)
    return 8 * magnitude if code & 0x80 else -8 * magnitude


def _alaw_code(sample: int) -> int:
    magnitude = (~sample if sample < 0 else sample) // 16
    segment = max(magnitude.bit_length() - 4, 0)
    step = magnitude & 15 if segment == 0 else magnitude >> (segment - 1) & 15
    return (segment << 4 | step) ^ (0x55 if sample < 0 else 0xD5)
