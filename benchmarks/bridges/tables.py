"""From rounds to the tables of ``README.md``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bridges.candidates import CANDIDATES, OURS, C, Candidate
from bridges.figures import (
    capacity,
    cpu_us,
    kb_per_call,
    most_calls,
    p50_us,
    p99_us,
)
from bridges.goals import goal_table
from bridges.rounds import Figure, Results, Scenario

__all__ = ["damage_of_ours", "sections"]

Table = list[Sequence[str]]


def sections(results: Results) -> Iterator[tuple[str, str, Table]]:
    """Yield title, how to read it, table."""
    real_time, closed = results.scenarios("real time"), results.scenarios("closed loop")
    goals = goal_table(results)
    if len(goals) > 1:
        yield (
            "Bridges: goals",
            "Ratios are taken inside a round; the median of the rounds is judged.",
            goals,
        )
    yield (
        "Bridges: CPU per frame",
        "User and system time of the bridge's process for one frame of one direction: the median of the rounds, and "
        "the ratio to the bridge in C, median (least..most) of the rounds' ratios.",
        _with_ratios(results, [*real_time, *closed], "CPU per frame", cpu_us, "{:.1f} µs"),
    )
    yield (
        "Bridges: calls per core",
        "How many calls fill 80 % of one core: from the CPU time of a frame, and the ratio to the bridge in C"
        + (". *Found*: the most that were carried so, by trying." if results.scenarios("most") else "."),
        _capacity_table(results),
    )
    yield (
        "Bridges: latency",
        "One way, p50 / p99 of both directions together. The codec's delay (uplink / downlink) lies in the sound and "
        "comes on top.",
        _latency_table(results, real_time),
    )
    if results.scenarios("idle"):
        yield "Bridges: memory", "Growth of the resident set for one more idle call.", _memory_table(results)
    yield (
        "Bridges: damage",
        "Frames that did not arrive once and as they were, all rounds together. A bridge that is overloaded is behind "
        "at the end of a call, and loses what it still holds.",
        _damage_table(results),
    )


def damage_of_ours(results: Results) -> list[str]:
    """Return one sentence for each scenario in which ours damaged a frame or gave no answer."""
    lines = [f"{scenario}: {_kinds(counts)}" for scenario, counts in results.damage(OURS).items()]
    return lines + results.failures(OURS)


def _measured(results: Results) -> list[Candidate]:
    there = {entry.candidate for entry in results.entries}
    return [candidate for candidate in CANDIDATES if candidate.name in there]


def _cell(shape: str, *values: float | None) -> str:
    return "-" if None in values else shape.format(*values)


def _to_c(results: Results, scenario: Scenario, candidate: Candidate, figure: Figure) -> str:
    ratio = results.ratio(scenario, candidate.name, figure, to=C)
    return "-" if ratio is None else "1" if candidate.name == C else ratio.shown()


def _with_ratios(
    results: Results, scenarios: Sequence[Scenario], head: str, figure: Figure, shape: str
) -> Table:
    table: Table = [[head, *(cell for one in scenarios for cell in (str(one), "to C"))]]
    for candidate in _measured(results):
        row = [candidate.title]
        for scenario in scenarios:
            row.append(_cell(shape, results.middle(scenario, candidate.name, figure)))
            row.append(_to_c(results, scenario, candidate, figure))
        table.append(row)
    return table


def _capacity_table(results: Results) -> Table:
    table = _with_ratios(
        results, results.scenarios("real time"), "calls per core at 80 %", capacity, "{:.0f}"
    )
    for scenario in results.scenarios("most"):
        found = _with_ratios(results, [scenario], "", most_calls, "{:.0f}")
        table = [[*row, *more[1:]] for row, more in zip(table, found, strict=True)]
        table[0] = [*table[0][:-2], "found", "to C"]
    return table


def _latency_table(results: Results, scenarios: Sequence[Scenario]) -> Table:
    if not scenarios:
        return [["Nothing was measured in real time."]]
    heads = [cell for one in scenarios for cell in (str(one), "p50 to C")]
    table: Table = [["one-way latency", *heads, "codec delay"]]
    for candidate in _measured(results):
        if not candidate.carries_audio:
            continue
        row = [candidate.title]
        for scenario in scenarios:
            middles = [results.middle(scenario, candidate.name, figure) for figure in (p50_us, p99_us)]
            row.append(_cell("{:.0f} / {:.0f} µs", *middles))
            row.append(_to_c(results, scenario, candidate, p50_us))
        delays = [
            results.middle(
                scenarios[0], candidate.name, lambda answer, way=way: answer.codec_delay_ms.get(way)
            )
            if scenarios
            else None
            for way in ("uplink", "downlink")
        ]
        table.append([*row, _cell("{:.1f} / {:.1f} ms", *delays)])
    return table


def _memory_table(results: Results) -> Table:
    (scenario, *_) = results.scenarios("idle")
    rows = [
        [one.title, _cell("{:.0f} KB", results.middle(scenario, one.name, kb_per_call))]
        for one in _measured(results)
        if one.carries_audio
    ]
    return [["memory", "per call"], *rows]


def _damage_table(results: Results) -> Table:
    table: Table = [["bridge", "frames sent", "damaged", "no answer"]]
    for candidate in _measured(results):
        if not candidate.carries_audio:
            continue
        answers = [one.answer for one in results.entries if one.candidate == candidate.name and one.answer]
        damage = [
            f"{scenario}: {_kinds(counts)}" for scenario, counts in results.damage(candidate.name).items()
        ]
        failures = results.failures(candidate.name)
        sent = sum(answer.frames.sent for answer in answers)
        table.append(
            [candidate.title, f"{sent:,}", "; ".join(damage) or "none", "; ".join(failures) or "none"]
        )
    return table


def _kinds(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
