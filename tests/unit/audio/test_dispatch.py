"""Choosing the instruction set at import, and by force in tests."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vapimedia import audio
from vapimedia.audio import dispatch, resample
from vapimedia.errors import ConfigError

KNOWN = ("avx512", "avx2", "sse2", "neon", "scalar")
SOURCES = Path(__file__).parents[3] / "src"
# Through these a module reaches its own table of kernels, and the filters of the process.
THROUGH_A_TABLE = re.compile(r"\b(?:vm_(?:g711|fir|converter|line|track)|push_chunk)_?\w*\(")


def import_with(name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import vapimedia.audio.dispatch as d; print(d.simd)"],
        env={**os.environ, "VAPIMEDIA_SIMD": name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_is_available_is_known_and_ends_with_the_reference():
    assert audio.simd in dispatch.available
    assert dispatch.available[-1] == "scalar"
    assert list(dispatch.available) == [name for name in KNOWN if name in dispatch.available]


@pytest.mark.parametrize("name", [*dispatch.available, ""])
def test_the_environment_chooses_and_the_best_is_chosen_without_it(name):
    done = import_with(name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (name or dispatch.available[0])


def test_an_unknown_name_is_a_clear_error_that_lists_what_there_is():
    done = import_with("mmx")
    assert done.returncode == 1
    assert "ConfigError: VAPIMEDIA_SIMD='mmx' is not available here" in done.stderr
    assert ", ".join(dispatch.available) in done.stderr


def test_force_tells_what_was_before(simd):
    assert dispatch.force_simd("scalar") == simd
    assert dispatch.force_simd(simd) == "scalar"


def test_force_reaches_the_kernels():
    """SSE2 rounds each product, which floats show; all others give the reference's bits."""
    noise = np.random.default_rng(1).standard_normal(4000).astype(np.float32)
    results = {}
    for name in dispatch.available:
        before = dispatch.force_simd(name)
        results[name] = resample(noise, 8000, 16_000)
        dispatch.force_simd(before)
    same = [name for name in results if np.array_equal(results[name], results["scalar"])]
    assert same == [name for name in dispatch.available if name != "sse2"]


def test_every_module_that_calls_kernels_is_reached(simd):
    """One that did not adopt would go on with the portable kernels, and with filters of its own."""
    users = {
        ".".join(path.relative_to(SOURCES).with_suffix("").parts)
        for path in SOURCES.rglob("*.pyx")
        if THROUGH_A_TABLE.search(path.read_text(encoding="utf-8"))
    } - {dispatch.__name__}
    if not SOURCES.exists():  # tests of an installed package
        users = set(dispatch.variants())
    for name in users:
        importlib.import_module(name)
    assert dispatch.variants() == dict.fromkeys(users, simd)
    assert {"vapimedia.audio.g711", "vapimedia.audio.stream", "vapimedia.media.path"} <= users


def test_forcing_what_is_not_there_changes_nothing():
    with pytest.raises(ConfigError, match="mmx"):
        dispatch.force_simd("mmx")
    before = dispatch.force_simd("scalar")
    assert before in dispatch.available
    dispatch.force_simd(before)
