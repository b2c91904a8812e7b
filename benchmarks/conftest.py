"""Benchmarks of one frame, 20 ms of one direction. Run: ``pytest benchmarks``.

Every benchmark asserts its result beside the time; ours and the peers that are installed stand in one group.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The modules beside the tests, and for these runs only: their names are everyday words.
sys.path.insert(0, str(Path(__file__).parent))

import delay
import peers

HELD: pytest.StashKey[dict[tuple[str, tuple[int, int]], delay.Held]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    """Set defaults; what is given on the command line wins."""
    # A resampler may return nothing from most calls and much from a few: only means over many calls compare.
    defaults = {
        "benchmark_min_time": ("0.000005", "0.0005"),
        "benchmark_sort": ("min", "mean"),
        "benchmark_columns": (None, ["mean", "median", "min", "rounds", "iterations"]),
        "benchmark_max_time": ("1.0", "0.4"),
        "benchmark_disable_gc": (False, True),
    }
    for name, (plugins, ours) in defaults.items():
        if str(getattr(config.option, name)) == str(plugins):
            setattr(config.option, name, ours)
    config.stash[HELD] = {}


@pytest.fixture
def measure(benchmark: Any) -> Callable[[str, str, peers.Row], Any]:
    """Return a function: time one row of a group, return what the last call returned or wrote."""

    def run(group: str, name: str, row: peers.Row) -> Any:
        benchmark.group, benchmark.name = group, name
        try:
            call, *arguments = row()
        except peers.MissingPeerError as missing:
            pytest.skip(str(missing))
        result = benchmark(call, *arguments)
        return bytes(arguments[-1]) if name.endswith(" into") else result

    return run


@pytest.fixture
def speech_like() -> Any:
    """Return a function: pcm_s16le noise of *n_samples*, loud and reproducible."""
    return peers.noise


@pytest.fixture
def held(request: pytest.FixtureRequest) -> dict[tuple[str, tuple[int, int]], delay.Held]:
    """Keep what was held back, for the table at the end."""
    return request.config.stash[HELD]


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> Iterator[None]:
    """Show the delays above the times."""
    if config.stash[HELD]:
        terminalreporter.section(
            "held back after each call: mean ms / worst ms / first calls that return nothing"
        )
        rows = delay.table(config.stash[HELD])
        widths = [max(len(row[column]) for row in rows) + 2 for column in range(len(rows[0]))]
        for row in rows:
            terminalreporter.write_line(
                "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            )
    return (yield)
