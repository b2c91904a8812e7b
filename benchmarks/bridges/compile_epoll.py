"""Compile the bridge in C against the installed kernels: ``python benchmarks/bridges/compile_epoll.py FOLDER``."""

from __future__ import annotations

import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

from vapimedia import get_include, get_library_dir

__all__ = ["CompilerMissingError", "compile_epoll"]

_SOURCES = sorted(Path(__file__).with_name("epoll").glob("*.c"))


class CompilerMissingError(Exception):
    """There is no C compiler here, or no system with epoll."""


def compile_epoll(folder: Path, *flags: str) -> Path:
    """Return the program ``bridge`` made in *folder*. Raises ``CompilerMissingError`` where there can be none."""
    if not sys.platform.startswith("linux"):
        raise CompilerMissingError("epoll is Linux's")
    program = folder / "bridge"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")
    libraries = [f"-L{get_library_dir()}", "-lvm_kernels", "-lm"]
    command = [*compiler, "-O2", "-std=c11", f"-I{get_include()}", *flags, *map(str, _SOURCES)]
    try:
        subprocess.run([*command, "-o", str(program), *libraries], check=True)
    except FileNotFoundError:
        raise CompilerMissingError(f"there is no C compiler: apt-get install {compiler[0]}") from None
    return program


if __name__ == "__main__":
    print(compile_epoll(Path(sys.argv[1])))
