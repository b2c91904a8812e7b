"""Benchmarks of one frame, 20 ms of one direction. Run: ``pytest benchmarks --benchmark-enable``.

Every benchmark asserts its result beside the time; peers stand in the same group where they are installed.
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def speech_like() -> Any:
    """Return a function: pcm_s16le noise of *n_samples*, loud and reproducible."""

    def make(n_samples: int) -> bytes:
        return np.random.default_rng(7).integers(-9000, 9000, n_samples).astype("<i2").tobytes()

    return make


@pytest.fixture
def audioop() -> Any:
    """The standard library's module, gone from Python 3.13 on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module("audioop")
        except ImportError:
            pytest.skip("audioop left the standard library in Python 3.13")


@pytest.fixture
def soxr() -> Any:
    return pytest.importorskip("soxr", reason="the peer soxr is not installed (extra: bench)")
