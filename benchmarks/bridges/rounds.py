"""Rounds in which every candidate takes its turn, and the figures that come of them.

Machines shared with others change their speed from minute to minute: a ratio is taken inside a round, and the
median of the rounds' ratios is what counts.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Literal

import msgspec
from bridges.candidates import Candidate
from bridges.generator import Answer, RunFailedError, run_generator

__all__ = ["Entry", "Figure", "Kind", "Plan", "Ratio", "Results", "Scenario", "run_rounds"]

Figure = Callable[[Answer], float | None]
Kind = Literal["real time", "closed loop", "idle", "barge-in", "all read", "one stalled", "most"]


class Scenario(msgspec.Struct, frozen=True):
    """What *n_calls* calls do."""

    kind: Kind
    n_calls: int

    def __str__(self) -> str:
        if self.kind == "most":
            return "most calls"
        return f"{self.n_calls} calls" if self.kind == "real time" else f"{self.n_calls} calls, {self.kind}"


@dataclass(frozen=True)
class Plan:
    """How a scenario is run: what the generator is told, for whom (all if *only* is empty) and how often."""

    scenario: Scenario
    flags: tuple[str, ...]
    n_rounds: int
    only: tuple[str, ...] = ()

    def concerns(self, candidate: Candidate) -> bool:
        # Without audio there is no loop to close, nothing to be late, and no telling how many calls were carried well.
        if not candidate.carries_audio and self.scenario.kind != "real time":
            return False
        return not self.only or candidate.name in self.only


class Entry(msgspec.Struct, frozen=True):
    """One run. *failed* says why there is no answer."""

    round: int
    scenario: Scenario
    candidate: str
    answer: Answer | None = None
    failed: str = ""


@dataclass(frozen=True)
class Ratio:
    """Of one candidate to another, round by round; or any other figure that every round has."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, ratios: Sequence[float]) -> Ratio | None:
        return cls(median(ratios), min(ratios), max(ratios)) if ratios else None

    def shown(self, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} ({self.least:.{digits}f}..{self.most:.{digits}f})"


@dataclass
class Results:
    """All runs, and a paragraph about where and how they were made."""

    how: str
    entries: list[Entry] = field(default_factory=list)

    def save(self, path: Path) -> None:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def load(cls, path: Path) -> Results:
        """Return what was saved. Raises ``msgspec.DecodeError`` if it is something else."""
        return msgspec.json.decode(path.read_bytes(), type=cls)

    def scenarios(self, kind: Kind) -> list[Scenario]:
        """Return those that were run, each once."""
        return list(dict.fromkeys(one.scenario for one in self.entries if one.scenario.kind == kind))

    def by_round(self, scenario: Scenario, candidate: str) -> dict[int, Answer]:
        return {
            entry.round: entry.answer
            for entry in self.entries
            if entry.scenario == scenario and entry.candidate == candidate and entry.answer is not None
        }

    def values(self, scenario: Scenario, candidate: str, figure: Figure) -> list[float]:
        """Return the figure of every round that has it."""
        values = [figure(answer) for answer in self.by_round(scenario, candidate).values()]
        return [value for value in values if value is not None]

    def middle(self, scenario: Scenario, candidate: str, figure: Figure) -> float | None:
        """Return the median of the rounds, None where nothing was measured."""
        values = self.values(scenario, candidate, figure)
        return median(values) if values else None

    def pairs(
        self, figure: Figure, one: tuple[Scenario, str], other: tuple[Scenario, str]
    ) -> list[tuple[float, float]]:
        """Return what the two had in equal rounds."""
        ours, theirs = self.by_round(*one), self.by_round(*other)
        both = [
            (figure(ours[number]), figure(theirs[number])) for number in sorted(ours.keys() & theirs.keys())
        ]
        return [(mine, yours) for mine, yours in both if mine is not None and yours]

    def ratio(self, scenario: Scenario, candidate: str, figure: Figure, *, to: str) -> Ratio | None:
        """Return the ratios of equal rounds, None where no round has both."""
        pairs = self.pairs(figure, (scenario, candidate), (scenario, to))
        return Ratio.of([one / other for one, other in pairs])

    def damage(self, candidate: str) -> dict[Scenario, Counter[str]]:
        """Return what was lost, doubled, changed or crossed, all rounds together. A stalled peer loses by design."""
        found: dict[Scenario, Counter[str]] = {}
        for entry in self.entries:
            if entry.candidate == candidate and entry.answer is not None and entry.answer.damage:
                found.setdefault(entry.scenario, Counter()).update(entry.answer.damage)
        return found

    def failures(self, candidate: str) -> list[str]:
        """Return one sentence a scenario that had runs without an answer, with what the last one said."""
        found: dict[Scenario, list[str]] = {}
        for entry in self.entries:
            if entry.candidate == candidate:
                found.setdefault(entry.scenario, []).append(entry.failed)
        return [
            f"{scenario}: in {len(said)} of {len(all_said)} rounds, {said[-1]}"
            for scenario, all_said in found.items()
            if (said := [one for one in all_said if one])
        ]


def run_rounds(
    candidates: Sequence[tuple[Candidate, list[str]]],
    plans: Sequence[Plan],
    *,
    how: str,
    timeout_s: float,
    save: Path | None = None,
) -> Results:
    """Run every plan once a round, its candidates one after the other, in an order that is rotated round by round."""
    results = Results(how)
    for number in range(max(plan.n_rounds for plan in plans)):
        first = number % len(candidates)
        in_turn = [*candidates[first:], *candidates[:first]]
        for plan in plans:
            for candidate, command in in_turn:
                if number >= plan.n_rounds or not plan.concerns(candidate):
                    continue
                print(f"round {number + 1}, {plan.scenario}: {candidate.title}", file=sys.stderr, flush=True)
                try:
                    answer = run_generator(command, plan.flags, timeout_s=timeout_s)
                    entry = Entry(number, plan.scenario, candidate.name, answer)
                except RunFailedError as failure:
                    print(f"  {failure}", file=sys.stderr, flush=True)
                    entry = Entry(number, plan.scenario, candidate.name, failed=str(failure))
                results.entries.append(entry)
        if save is not None:
            results.save(save)
    return results
