"""What fuzzing began with and what it found, tried again: the targets run over their corpora, without libFuzzer."""

from __future__ import annotations

import shlex
import subprocess
import sysconfig
from pathlib import Path

import pytest
import seeds

from vapimedia import get_include, get_library_dir

FUZZ = Path(__file__).parents[2] / "fuzz"
TARGETS = sorted(source.stem for source in (FUZZ / "targets").glob("*.c"))


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``main`` of a target's program, compiled."""
    made = tmp_path_factory.mktemp("fuzz") / "replay.o"
    compile_with("-c", str(FUZZ / "replay.c"), "-o", str(made))
    return made


def compile_with(*arguments: str) -> None:
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    try:
        built = subprocess.run(
            [*compiler, "-std=c11", "-O0", "-w", f"-I{get_include()}", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip(f"there is no C compiler: {compiler[0]}")
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_no_law_is_broken_by_what_was_found_before(target: str, replay: Path, tmp_path: Path) -> None:
    source, program = FUZZ / "targets" / f"{target}.c", tmp_path / target
    libraries = [f"-L{get_library_dir()}", "-lvm_kernels", "-lm"]
    compile_with(str(source), str(replay), "-o", str(program), *libraries)
    files = sorted(map(str, (FUZZ / "corpus" / target).iterdir()))
    ran = subprocess.run([str(program), *files], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, "\n".join(ran.stderr.splitlines()[-2:])
    assert ran.stdout == f"{len(files)}\n"


def test_the_corpora_begin_with_the_recorded_conversations() -> None:
    """What ``python fuzz/seeds.py`` would write is what stands there."""
    for target, contents in (seeds.kernels() | seeds.parsers()).items():
        found = sorted((FUZZ / "corpus" / target).glob("seed-*"))
        assert [file.read_bytes() for file in found] == contents, f"python fuzz/seeds.py: {target}"
