"""Instructions of one frame, counted by ``valgrind --tool=callgrind``: the same figure on a busy machine.

A count is the difference of two processes that handle N and 2 N frames, divided by N, less the empty loop's.
valgrind emulates AVX2 at most, and the package chooses by what it is shown. Only the modules in question are
loaded, past the packages' ``__init__``: everything runs some fifty times slower than usual.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from speed import row_name

__all__ = ["instruction_table"]

_N_FRAMES = 1000

# What the counted process runs: argv holds the modules' files, the preparation, the statement and the count.
_LOOP = """
import sys
from importlib.util import spec_from_file_location
from types import ModuleType
_, files, prepare, statement, n_frames = sys.argv
files = eval(files)
class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, files[name]) if name in files else None
for package in ("vapimedia", "vapimedia.audio"):
    sys.modules[package] = ModuleType(package)
    sys.modules[package].__path__ = []
sys.meta_path.insert(0, Finder)
scope = {}
exec(prepare, scope)
exec(f"def run(repeats, call, chunk):\\n    for _ in repeats: {statement}", scope)
scope["run"](range(int(n_frames)), scope.get("call"), scope.get("chunk"))
"""
_MODULES = [
    "vapimedia._cyutility",
    "vapimedia.errors",
    "vapimedia.formats",
    *(
        f"vapimedia.audio.{name}"
        for name in ("dispatch", "stream", "g711", "resampler", "converter", "slicer")
    ),
]
_NOISE = "chunk = bytes((i * i * 7919 >> 5) & 255 for i in range({n_bytes}))\n"


class _Case(NamedTuple):
    """*prepare* defines ``call`` and ``chunk``; *module* is a peer's, "" for ours."""

    name: str
    who: str
    n_bytes: int
    prepare: str
    statement: str = "call(chunk)"
    module: str = ""


def _g711(direction: str, n_bytes: int) -> list[_Case]:
    name, theirs = f"mulaw {direction} 160", "ulaw2lin" if direction == "decode" else "lin2ulaw"
    return [
        _Case(name, "vapimedia", n_bytes, f"from vapimedia.audio.g711 import mulaw_{direction} as call"),
        _Case(name, "audioop", n_bytes, f"from audioop import {theirs} as call", "call(chunk, 2)", "audioop"),
    ]


def _resample(from_hz: int, to_hz: int, *qualities: str) -> list[_Case]:
    name, n_bytes = f"{from_hz / 1000:g} → {to_hz / 1000:g} kHz", from_hz // 25
    opened = "from vapimedia.audio.resampler import Resampler\ncall = Resampler({}, {}, quality={!r}).push"
    soxr = f"""
import numpy, soxr
stream = soxr.ResampleStream({from_hz}, {to_hz}, 1, dtype="int16", quality="HQ")
call = lambda pcm: stream.resample_chunk(numpy.frombuffer(pcm, numpy.int16)).tobytes()
"""
    ours = [_Case(name, f"vapimedia {q}", n_bytes, opened.format(from_hz, to_hz, q)) for q in qualities]
    return [*ours, _Case(name, "soxr HQ", n_bytes, soxr, module="soxr")]


def _convert(source: str, target: str, n_bytes: int) -> _Case:
    prepare = f"""
from vapimedia.formats import AudioFormat
from vapimedia.audio.converter import Converter
call = Converter(AudioFormat.parse({source!r}), AudioFormat.parse({target!r})).push
"""
    return _Case(f"{source} → {target}", "vapimedia", n_bytes, prepare)


_SLICE = """
from vapimedia.formats import AudioFormat
from vapimedia.audio.slicer import FrameSlicer
slicer = FrameSlicer(AudioFormat("mulaw", 8000))
slicer.push(bytes(100))
call = slicer.push
"""
_CASES = [
    *_g711("decode", 160),
    *_g711("encode", 320),
    *_resample(8000, 16_000, "telephone", "balanced", "high"),
    *_resample(16_000, 8000, "telephone", "balanced", "high"),
    *_resample(24_000, 8000, "balanced"),
    *_resample(8000, 24_000, "balanced"),
    *_resample(24_000, 16_000, "balanced"),
    *_resample(44_100, 16_000, "balanced"),
    *_resample(48_000, 16_000, "balanced"),
    *_resample(48_000, 8000, "balanced"),
    _convert("mulaw/8000", "pcm_s16le/16000", 160),
    _convert("pcm_s16le/16000", "mulaw/8000", 640),
    _Case("slice 160 bytes, straddling", "vapimedia", 160, _SLICE),
]


def instruction_table(*, with_peers: bool) -> list[Sequence[str]]:
    """Return the rows, the head first; a single cell with the reason where nothing can be counted."""
    if shutil.which("valgrind") is None:
        return [["valgrind is not installed: apt-get install valgrind"]]
    cases = [case for case in _CASES if not case.module or (with_peers and _is_installed(case.module))]
    _files()  # found once, not by every thread
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        empty, *counts = pool.map(_count, [_Case("", "", 0, "", "pass"), *cases])
    found = {
        (case.name, case.who): f"{count - empty:,.0f}" for case, count in zip(cases, counts, strict=True)
    }
    theirs = {case.name: f"{case.who} {found[case.name, case.who]}" for case in cases if case.module}
    rows = [
        [row_name(case.name, case.who), found[case.name, case.who], theirs.get(case.name, "-")]
        for case in cases
        if not case.module
    ]
    return [["20 ms frame", f"ours, {_simd()}", "peer"], *rows]


def _simd() -> str:
    """Return which instruction set the package chooses under valgrind."""
    case = _Case("simd", "vapimedia", 0, "from vapimedia.audio.dispatch import simd; print(simd)", "pass")
    return _run(case, 0).stdout.strip()


def _count(case: _Case) -> float:
    once, twice = (_collected(_run(case, n_frames)) for n_frames in (_N_FRAMES, 2 * _N_FRAMES))
    return (twice - once) / _N_FRAMES


def _run(case: _Case, n_frames: int) -> subprocess.CompletedProcess[str]:
    files = {} if case.module or not case.name else _files()
    prepare = _NOISE.format(n_bytes=case.n_bytes) + case.prepare
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        sys.executable,
        "-S",
        "-c",
        _LOOP,
    ]
    environment = {
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join(sys.path),
        "OPENBLAS_NUM_THREADS": "1",
    }
    # The package is to choose among what valgrind shows it.
    inherited = {name: value for name, value in os.environ.items() if name != "VAPIMEDIA_SIMD"}
    answer = subprocess.run(
        [*command, repr(files), prepare, case.statement, str(n_frames)],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise RuntimeError(f"{case.name} of {case.who} could not be counted:\n{answer.stderr}")
    return answer


def _collected(answer: subprocess.CompletedProcess[str]) -> int:
    (count,) = re.findall(r"Collected : (\d+)", answer.stderr)
    return int(count)


@functools.cache
def _files() -> dict[str, str]:
    """Where the modules are, wherever the package is installed."""
    specs = {name: importlib.util.find_spec(name) for name in _MODULES}
    return {name: spec.origin for name, spec in specs.items() if spec is not None and spec.origin}


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
