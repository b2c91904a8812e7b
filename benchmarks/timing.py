"""Time several candidates side by side: in one process, in turns, so that a busy machine meets them all alike."""

from __future__ import annotations

import statistics
import timeit
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any, NamedTuple

from peers import MissingPeerError, Row

from vapimedia.audio import dispatch

__all__ = ["Cost", "in_turns"]

_ROUND_NS = 1_000_000
_MIN_CALLS = 40  # a resampler that answers in lumps does so every few calls; a round holds several lumps
_LONG_NS = 200_000  # nothing that takes this long is lumpy
_MIN_LONG_CALLS = 3


class Cost(NamedTuple):
    """Nanoseconds of one call: the cheapest and the middle round, each the mean of its calls."""

    min_ns: float
    median_ns: float


def in_turns(
    rows: Mapping[str, Row], *, n_rounds: int, forced: Mapping[str, str] | None = None
) -> dict[str, Cost | None]:
    """Return the cost of each row, None where its peer is not installed.

    Rows named in *forced* run with that instruction set, all others with the one chosen at import.
    """
    timers: dict[str, tuple[Any, int]] = {}
    simd = {name: (forced or {}).get(name, dispatch.simd) for name in rows}
    for name, row in rows.items():
        with _running(simd[name]):
            try:
                timer = _timer(*row())
            except MissingPeerError:
                continue
            timers[name] = timer, _calls_of_a_round(timer)
    rounds: dict[str, list[float]] = {name: [] for name in timers}
    for _ in range(n_rounds):
        for name, (timer, n_calls) in timers.items():
            with _running(simd[name]):
                # What the one before left in the caches, or took from the heap, is not this one's.
                timer.timeit(1)
                rounds[name].append(timer.timeit(n_calls) / n_calls)
    return {
        name: Cost(min(rounds[name]), statistics.median(rounds[name])) if name in rounds else None
        for name in rows
    }


@contextmanager
def _running(simd: str) -> Iterator[None]:
    before = dispatch.force_simd(simd)
    try:
        yield
    finally:
        dispatch.force_simd(before)


def _timer(call: Any, *arguments: Any) -> Any:
    """Return a compiled loop around ``call(*arguments)``, all names local; timeit switches the collector off."""
    names = [f"argument_{i}" for i in range(len(arguments))]
    given = dict(zip(names, arguments, strict=True)) | {"call": call}
    return timeit.Timer(
        f"call({', '.join(names)})",
        "; ".join(f"{name} = given[{name!r}]" for name in given),
        perf_counter_ns,
        {"given": given},
    )


def _calls_of_a_round(timer: Any) -> int:
    timer.timeit(3)
    one_ns = max(min(timer.timeit(3) / 3 for _ in range(3)), 1)
    return max(round(_ROUND_NS / one_ns), _MIN_CALLS if one_ns < _LONG_NS else _MIN_LONG_CALLS)
