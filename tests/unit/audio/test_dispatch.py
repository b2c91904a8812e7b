"""Choosing the instruction set at import."""

import os
import subprocess
import sys

import pytest

from vapimedia import audio


def import_with(name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import vapimedia.audio.dispatch as d; print(d.simd)"],
        env={**os.environ, "VAPIMEDIA_SIMD": name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_simd_names_a_known_instruction_set():
    assert audio.simd in {"avx512", "avx2", "sse2", "neon", "scalar"}


@pytest.mark.parametrize("name", ["scalar", ""])
def test_the_environment_chooses(name):
    done = import_with(name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (name or audio.simd)


def test_an_unknown_name_is_a_clear_error():
    done = import_with("mmx")
    assert done.returncode == 1
    assert "ConfigError: VAPIMEDIA_SIMD='mmx' is not available here" in done.stderr
