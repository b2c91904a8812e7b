"""What one frame costs from Python, ours against peers, beside the goals.

The goals hold on CPython 3.11 with AVX-512. With AVX2 three quarters of each ratio count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import peers
from peers import Row
from timing import Cost, in_turns

from vapimedia import audio
from vapimedia.formats import AudioFormat

__all__ = ["OPERATIONS", "Operation", "row_name", "shown_ns", "speed_table"]

_MULAW8, _PCM16 = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)
_TEN_MINUTES = 600 * 8000
_TEN_SECONDS = 10 * 8000


class Goal(NamedTuple):
    """*ours* is to be *times* faster than *peer*; handle *per_s* samples a second; take at most *at_most_us*."""

    ours: str = "vapimedia"
    peer: str = ""
    times: float = 0
    per_s: float = 0
    at_most_us: float = 0


class Operation(NamedTuple):
    """Candidates measured together, and what ours is to reach. *share* is their part of the rounds."""

    name: str
    rows: Mapping[str, Row]
    goals: Sequence[Goal]
    n_samples: int = 0  # in one call, for rates
    share: float = 1


def _resample(from_hz: int, to_hz: int, **times: float) -> Operation:
    rows = peers.streams(from_hz, to_hz)
    known = {name: row for name, row in rows.items() if "vapimedia" not in name or name.split()[1] in times}
    goals = [Goal(f"vapimedia {quality}", "soxr HQ", ratio) for quality, ratio in times.items()]
    return Operation(f"{from_hz / 1000:g} → {to_hz / 1000:g} kHz", known, goals, share=0.6)


def _convert(source: AudioFormat, target: AudioFormat) -> Operation:
    goals = [Goal(peer="audioop + soxr HQ", times=10)]
    return Operation(f"{source} → {target}", peers.conversions(source, target), goals)


def _g711(law: str, direction: str, times: float) -> Operation:
    goals = [Goal(peer="audioop", times=times)]
    return Operation(f"{law} {direction} 160", peers.g711(law, direction), goals, share=2)


def _bulk(direction: str, times: float, per_s: float) -> Operation:
    goals = [Goal("vapimedia into", "audioop", times, per_s), Goal("vapimedia", "audioop", times, per_s)]
    rows = peers.g711("mulaw", direction, _TEN_MINUTES)
    return Operation(f"mulaw {direction}, 10 min", rows, goals, _TEN_MINUTES, share=0.2)


OPERATIONS: list[Operation] = [
    _g711("mulaw", "decode", 3),
    _g711("mulaw", "encode", 13),
    _g711("alaw", "decode", 0),
    _g711("alaw", "encode", 0),
    _resample(8000, 16_000, telephone=15, balanced=10, high=5),
    _resample(16_000, 8000, telephone=15, balanced=10, high=5),
    _resample(24_000, 8000, balanced=7),
    _resample(8000, 24_000, balanced=7),
    _resample(24_000, 16_000, balanced=7),
    _resample(44_100, 16_000, balanced=3),
    _resample(48_000, 16_000, balanced=6),
    _resample(48_000, 8000, balanced=5),
    _convert(_MULAW8, _PCM16),
    _convert(_PCM16, _MULAW8),
    Operation(
        "whole signal 8 → 16 kHz, 10 s",
        peers.whole_signals(8000, 16_000, 10),
        [Goal(peer="soxr HQ", times=2.5, per_s=200e6)],
        _TEN_SECONDS,
        share=0.2,
    ),
    _bulk("decode", 4.5, 3.3e9),
    _bulk("encode", 50, 2.7e9),
    Operation(
        "open a stream 8 → 16 kHz", peers.creations(8000, 16_000), [Goal(peer="soxr HQ", at_most_us=3)]
    ),
]

_PART_OF_GOAL = {"avx512": 1.0, "avx2": 0.75}
_HEAD = [
    "20 ms frame",
    *("ours: min", "median"),
    *("peer", "min", "median"),
    *("ratio", "goal", "met", "others, min"),
]


def speed_table(*, n_rounds: int) -> Iterator[Sequence[str]]:
    """Measure everything and yield the rows, the head first. Ratios are of minima, of medians in brackets."""
    yield _HEAD
    for operation in OPERATIONS:
        costs = in_turns(operation.rows, n_rounds=max(round(n_rounds * operation.share), 5))
        for goal in operation.goals:
            yield _row(operation, goal, costs)


def _row(operation: Operation, goal: Goal, costs: Mapping[str, Cost | None]) -> Sequence[str]:
    ours, peer = costs[goal.ours], costs[goal.peer]
    assert ours is not None
    part = _PART_OF_GOAL.get(audio.simd)
    ratio, goals, met = "not installed", [], []
    if peer is not None:
        ratio = f"{peer.min_ns / ours.min_ns:.2f} ({peer.median_ns / ours.median_ns:.2f})"
    if goal.times:
        goals.append(f"≥ {goal.times * (part or 1):g}")
        met.append(peer is not None and peer.min_ns / ours.min_ns >= goal.times * (part or 1))
    if goal.per_s:
        rate = operation.n_samples / ours.min_ns * 1e9
        ratio += f"; {_shown_rate(rate)}"
        goals.append(f"≥ {_shown_rate(goal.per_s * (part or 1))}")
        met.append(rate >= goal.per_s * (part or 1))
    if goal.at_most_us:
        goals.append(f"≤ {goal.at_most_us:g} µs")
        met.append(ours.min_ns <= 1000 * goal.at_most_us)
    # Only the instruction sets that the goals were set for can miss them, and only beside their peer.
    judged = bool(met) and part is not None and (peer is not None or not goal.times)
    verdict = (
        ("yes" if all(met) else f"no ({sum(met)} of {len(met)})" if any(met) else "no") if judged else "-"
    )
    others = [
        f"{name} {shown_ns(cost.min_ns)}"
        for name, cost in costs.items()
        if cost is not None and name not in {goal.ours, goal.peer} and "vapimedia" not in name
    ]
    cells = [row_name(operation.name, goal.ours), *_shown(ours), goal.peer, *_shown(peer)]
    return [*cells, ratio, "; ".join(goals) or "-", verdict, ", ".join(others)]


def row_name(operation: str, candidate: str) -> str:
    """Return what a row is called: the operation, and which of ours where there are several."""
    return ", ".join(filter(None, [operation, candidate.removeprefix("vapimedia").strip()]))


def _shown(cost: Cost | None) -> tuple[str, str]:
    return (shown_ns(cost.min_ns), shown_ns(cost.median_ns)) if cost else ("-", "-")


def shown_ns(value_ns: float) -> str:
    """Return a duration with three digits and its unit."""
    size_ns, unit = next(
        (size, unit) for size, unit in ((1e6, "ms"), (1e3, "µs"), (0, "ns")) if value_ns >= size
    )
    value = value_ns / (size_ns or 1)
    return f"{value:.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def _shown_rate(per_s: float) -> str:
    return f"{per_s / 1e9:.3g} G/s" if per_s >= 1e9 else f"{per_s / 1e6:.3g} M/s"
