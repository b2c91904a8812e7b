"""What one open stream holds: its own word for it, and the growth of the process over many streams.

``python benchmarks/memory.py NAME FROM_HZ TO_HZ`` opens many streams in this process and prints bytes a stream.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from peers import STREAMS, MissingPeerError, frame

from vapimedia.audio import Resampler

__all__ = ["memory_table"]

_STATM = Path("/proc/self/statm")
_PAIRS = [(8000, 16_000), (16_000, 8000), (24_000, 8000), (44_100, 16_000), (48_000, 16_000), (48_000, 8000)]
_NAMES = ["vapimedia telephone", "vapimedia balanced", "vapimedia high"]
_PEERS = ["soxr HQ", "soxr VHQ", "libsamplerate medium", "PyAV"]
_FEW, _MANY = 200, 1000


def memory_table() -> list[Sequence[str]]:
    """Return the rows, the head first: bytes by ``__sizeof__`` / by the growth of the process."""
    pairs = [f"{from_hz / 1000:g} → {to_hz / 1000:g} kHz" for from_hz, to_hz in _PAIRS]
    table: list[Sequence[str]] = [["one stream", *pairs]]
    for name in _NAMES:
        said = [Resampler(*pair, quality=name.split()[1]).__sizeof__() for pair in _PAIRS]
        table.append([f"{name}, `__sizeof__`", *(_shown(n_bytes) for n_bytes in said)])
    if _STATM.exists():
        table += [
            [f"{name}, growth", *(_growth(name, *pair) for pair in _PAIRS)] for name in [*_NAMES, *_PEERS]
        ]
    return table


def _growth(name: str, from_hz: int, to_hz: int) -> str:
    command = [sys.executable, __file__, name, str(from_hz), str(to_hz)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode == 2:
        return "not installed"
    answer.check_returncode()
    return _shown(float(answer.stdout))


def _shown(n_bytes: float) -> str:
    return f"{n_bytes / 1024:.1f} KiB" if n_bytes < 20_000 else f"{n_bytes / 1024:.0f} KiB"


def _measure(name: str, from_hz: int, to_hz: int) -> float:
    """Return bytes a stream, from the slope between few and many: what all share is there by then."""
    pcm, held, grown = frame(from_hz), [], []
    for n_streams in (_FEW, _MANY):
        while len(held) < n_streams:
            push = STREAMS[name](from_hz, to_hz)
            for _ in range(10):
                push(pcm)
            held.append(push)
        gc.collect()
        grown.append(int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return (grown[1] - grown[0]) / (_MANY - _FEW)


if __name__ == "__main__":
    try:
        print(_measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
    except MissingPeerError:
        sys.exit(2)
