"""What ``vapimedia serve`` is to reach beside the others, and whether it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bridges.candidates import OURS, C
from bridges.figures import barge_in_us, capacity, cpu_us, kb_per_call, most_calls, p50_us, p99_us, stalled_ms
from bridges.rounds import Figure, Ratio, Results, Scenario

__all__ = ["goal_table"]

_CPU_TO_C = {"real time": 1.3, "closed loop": 1.25}
_TIMES_LESS = {"real time": 3.0, "closed loop": 7.0}  # than websockets
_TO_PICOWS = 0.6
_CAPACITY_TO_C = 0.75
_LATENCY_TO_C = 1.3
_KB_PER_CALL = 64
_BARGE_IN_US = 1000
_HELD_MS = 200
_P50_RISE, _P99_RISE, _P99_RISE_US = 1.1, 0.1, 1000

Row = tuple[str, str, str, str]  # figure, goal, measured, met


def goal_table(results: Results) -> list[Sequence[str]]:
    """Return the rows of all goals that these results can judge, the head first."""
    rows = [row for part in (_cpu, _capacity, _latency, _alone, _beside_stalled) for row in part(results)]
    return [("`vapimedia serve`", "goal", "median of the rounds (least..most)", "met"), *rows]


def _row(
    figure: str, limit: float, found: Ratio | None, *, least: bool = False, unit: str = ""
) -> Iterator[Row]:
    if found is None:
        return
    met = found.median >= limit if least else found.median <= limit
    shown = found.shown(0 if unit else 2) + unit
    yield figure, f"{'≥' if least else '≤'} {limit:g}{unit}", shown, "yes" if met else "**no**"


def _cpu(results: Results) -> Iterator[Row]:
    for kind in ("real time", "closed loop"):
        for scenario in results.scenarios(kind):
            what = f"CPU per frame, {scenario}"
            yield from _row(f"{what}, to C", _CPU_TO_C[kind], results.ratio(scenario, OURS, cpu_us, to=C))
            if kind == "real time":
                to_picows = results.ratio(scenario, OURS, cpu_us, to="picows")
                yield from _row(f"{what}, to picows in plain Python", _TO_PICOWS, to_picows)
            times = results.ratio(scenario, "websockets", cpu_us, to=OURS)
            yield from _row(f"{what}, `websockets` to ours", _TIMES_LESS[kind], times, least=True)


def _capacity(results: Results) -> Iterator[Row]:
    figures: list[tuple[str, Figure]] = [("real time", capacity), ("most", most_calls)]
    for kind, figure in figures:
        for scenario in results.scenarios(kind):  # type: ignore[arg-type]  # the two kinds above
            found = results.ratio(scenario, OURS, figure, to=C)
            words = "found" if kind == "most" else f"from {scenario}"
            yield from _row(f"calls per core at 80 %, {words}, to C", _CAPACITY_TO_C, found, least=True)


def _latency(results: Results) -> Iterator[Row]:
    for scenario in results.scenarios("real time")[:1]:
        found = results.ratio(scenario, OURS, p50_us, to=C)
        yield from _row(f"latency p50, {scenario}, to C", _LATENCY_TO_C, found)


def _alone(results: Results) -> Iterator[Row]:
    for scenario in results.scenarios("idle"):
        yield from _row(
            "memory per call", _KB_PER_CALL, Ratio.of(results.values(scenario, OURS, kb_per_call)), unit=" KB"
        )
    for scenario in results.scenarios("barge-in"):
        found = Ratio.of(results.values(scenario, OURS, barge_in_us))
        yield from _row(f"barge-in p50, {scenario.n_calls} calls", _BARGE_IN_US, found, unit=" µs")


def _beside_stalled(results: Results) -> Iterator[Row]:
    for stalled in results.scenarios("one stalled"):
        beside, without = (stalled, OURS), (Scenario("all read", stalled.n_calls), OURS)
        held = Ratio.of(results.values(stalled, OURS, stalled_ms))
        yield from _row("held for a stalled peer", _HELD_MS, held, unit=" ms")
        p50 = Ratio.of([one / other for one, other in results.pairs(p50_us, beside, without)])
        yield from _row("the others' p50 beside it, to without it", _P50_RISE, p50)
        pairs = results.pairs(p99_us, beside, without)
        if pairs:
            allowed = max(_P99_RISE * median(other for _, other in pairs), _P99_RISE_US)
            rise = Ratio.of([one - other for one, other in pairs])
            yield from _row("the others' p99 beside it, rise", round(allowed), rise, unit=" µs")
