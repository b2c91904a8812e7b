"""What one frame costs from Python, ours against peers, beside the goals.

The goals hold on CPython 3.11 with AVX-512, and eased with AVX2. Where AVX-512 was chosen, AVX2 is forced in the same
rounds too, to stand beside the same peers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import peers
from peers import Row
from timing import Cost, in_turns

from vapimedia.audio import dispatch
from vapimedia.formats import AudioFormat

__all__ = ["OPERATIONS", "Operation", "avx2_table", "measure_all", "row_name", "shown_ns", "speed_table"]

_MULAW8, _PCM16 = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)
_TEN_MINUTES = 600 * 8000
_TEN_SECONDS = 10 * 8000


class Goal(NamedTuple):
    """*ours* is to be *times* faster than *peer*; handle *per_s* samples a second; take *at_most_ns*."""

    ours: str = "vapimedia"
    peer: str = ""
    times: float = 0
    per_s: float = 0
    at_most_ns: float = 0

    def eased(self, simd: str) -> Goal | None:
        """Return the goal with *simd*, None where there is none. What no kernel takes part in stays as it is."""
        if simd not in _EASED:
            return None
        share, longer = _EASED[simd]
        return self._replace(
            times=self.times * share,
            per_s=self.per_s * share,
            at_most_ns=self.at_most_ns * (longer if self.times else 1),
        )


_EASED = {"avx512": (1.0, 1.0), "avx2": (0.75, 1.35)}  # of a ratio or a rate, of a time


class Operation(NamedTuple):
    """Candidates measured together, and what ours is to reach. *share* is their part of the rounds."""

    name: str
    rows: Mapping[str, Row]
    goals: Sequence[Goal]
    n_samples: int = 0  # in one call, for rates
    share: float = 1


def _resample(from_hz: int, to_hz: int, **goals_of: tuple[float, float]) -> Operation:
    """Each quality's goal is how many times faster than soxr, and at most how many nanoseconds."""
    rows = peers.streams(from_hz, to_hz)
    known = {
        name: row for name, row in rows.items() if "vapimedia" not in name or name.split()[1] in goals_of
    }
    goals = [
        Goal(f"vapimedia {quality}", "soxr HQ", times, at_most_ns=at_most_ns)
        for quality, (times, at_most_ns) in goals_of.items()
    ]
    return Operation(f"{from_hz / 1000:g} → {to_hz / 1000:g} kHz", known, goals, share=0.6)


def _convert(source: AudioFormat, target: AudioFormat) -> Operation:
    goals = [Goal(peer="audioop + soxr HQ", times=10, at_most_ns=720)]
    return Operation(f"{source} → {target}", peers.conversions(source, target), goals)


def _g711(law: str, direction: str, times: float = 0, at_most_ns: float = 0) -> Operation:
    goals = [Goal(peer="audioop", times=times, at_most_ns=at_most_ns)]
    return Operation(f"{law} {direction} 160", peers.g711(law, direction), goals, share=2)


def _bulk(direction: str, times: float, per_s: float) -> Operation:
    goals = [Goal("vapimedia into", "audioop", times, per_s), Goal("vapimedia", "audioop", times, per_s)]
    rows = peers.g711("mulaw", direction, _TEN_MINUTES)
    return Operation(f"mulaw {direction}, 10 min", rows, goals, _TEN_MINUTES, share=0.2)


OPERATIONS: list[Operation] = [
    _g711("mulaw", "decode", 3, 70),
    _g711("mulaw", "encode", 13, 85),
    _g711("alaw", "decode"),
    _g711("alaw", "encode"),
    _resample(8000, 16_000, telephone=(15, 470), balanced=(10, 700), high=(5, 1450)),
    _resample(16_000, 8000, telephone=(15, 470), balanced=(10, 700), high=(5, 1450)),
    _resample(24_000, 8000, balanced=(7, 1100)),
    _resample(8000, 24_000, balanced=(7, 1100)),
    _resample(24_000, 16_000, balanced=(7, 1100)),
    _resample(44_100, 16_000, balanced=(3, 5000)),
    _resample(48_000, 16_000, balanced=(6, 1700)),
    _resample(48_000, 8000, balanced=(5, 1800)),
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
        "open a stream 8 → 16 kHz", peers.creations(8000, 16_000), [Goal(peer="soxr HQ", at_most_ns=3000)]
    ),
]

_HEAD = ["20 ms frame", "ours: min", "median", "peer", "min", "median", "ratio", "goal", "met", "others, min"]
_AVX2_HEAD = ["20 ms frame", "ours, avx2: min", "median", "peer", "ratio", "goal", "met"]
_WITH_AVX2 = dispatch.simd == "avx512" and "avx2" in dispatch.available

Measured = Sequence[tuple[Operation, Mapping[str, Cost | None]]]


def measure_all(*, n_rounds: int) -> Measured:
    """Measure everything; the tables are made of what is returned."""
    measured = []
    for operation in OPERATIONS:
        avx2 = {
            _avx2(goal): operation.rows[goal.ours] for goal in operation.goals if goal.times and _WITH_AVX2
        }
        costs = in_turns(
            {**operation.rows, **avx2},
            n_rounds=max(round(n_rounds * operation.share), 5),
            forced=dict.fromkeys(avx2, "avx2"),
        )
        measured.append((operation, costs))
    return measured


def speed_table(measured: Measured) -> list[Sequence[str]]:
    """Return the rows, the head first. Ratios are of minima, of medians in brackets."""
    rows = [_row(operation, goal, costs) for operation, costs in measured for goal in operation.goals]
    return [_HEAD, *rows]


def avx2_table(measured: Measured) -> list[Sequence[str]]:
    """Return the rows of what was measured with AVX2 too, the head first; none where AVX-512 was not chosen."""
    table: list[Sequence[str]] = [_AVX2_HEAD]
    for operation, costs in measured:
        for goal in operation.goals:
            ours, peer = costs.get(_avx2(goal)), costs[goal.peer]
            if ours is not None:
                cells = [row_name(operation.name, goal.ours), *_shown(ours), goal.peer]
                table.append([*cells, *_judged(operation, goal, ours, peer, "avx2")])
    return table if len(table) > 1 else []


def _avx2(goal: Goal) -> str:
    return f"{goal.ours}, avx2"


def _row(operation: Operation, goal: Goal, costs: Mapping[str, Cost | None]) -> Sequence[str]:
    ours, peer = costs[goal.ours], costs[goal.peer]
    assert ours is not None
    others = [
        f"{name} {shown_ns(cost.min_ns)}"
        for name, cost in costs.items()
        if cost is not None and name not in {goal.ours, goal.peer} and "vapimedia" not in name
    ]
    cells = [row_name(operation.name, goal.ours), *_shown(ours), goal.peer, *_shown(peer)]
    return [*cells, *_judged(operation, goal, ours, peer, dispatch.simd), ", ".join(others)]


def _judged(
    operation: Operation, goal: Goal, ours: Cost, peer: Cost | None, simd: str
) -> tuple[str, str, str]:
    """Return the ratio, the goal with *simd* and whether it is met, or what of it is not."""
    eased = goal.eased(simd)
    aim = eased or goal
    ratio, met = "not installed", {}
    if peer is not None:
        ratio = f"{peer.min_ns / ours.min_ns:.2f} ({peer.median_ns / ours.median_ns:.2f})"
    if aim.times:
        met[f"≥ {aim.times:g}"] = peer is not None and peer.min_ns / ours.min_ns >= aim.times
    if aim.per_s:
        rate = operation.n_samples / ours.min_ns * 1e9
        ratio += f"; {_shown_rate(rate)}"
        met[f"≥ {_shown_rate(aim.per_s)}"] = rate >= aim.per_s
    if aim.at_most_ns:
        met[f"≤ {shown_ns(aim.at_most_ns)}"] = ours.min_ns <= aim.at_most_ns
    # Only the instruction sets that the goals were set for can miss them, and only beside their peer.
    judged = bool(met) and eased is not None and (peer is not None or not goal.times)
    missed = [name for name, reached in met.items() if not reached]
    verdict = "yes" if not missed else "no" if len(missed) == len(met) else f"no: {'; '.join(missed)}"
    return ratio, "; ".join(met) or "-", verdict if judged else "-"


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
