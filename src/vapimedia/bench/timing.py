"""Time one case: many single calls, the clock's own cost taken off, the collector switched off meanwhile."""

from __future__ import annotations

import gc
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from time import perf_counter_ns

import msgspec

from vapimedia.bench.cases import CASES, Case
from vapimedia.errors import ConfigError
from vapimedia.io.config_sources import suggest

__all__ = ["Timing", "load_budgets", "measure", "measure_all"]

_WARM_UP = 200


class Timing(msgspec.Struct, frozen=True):
    """What one frame cost in one case. The verdict is about the median: the tail is the machine's."""

    name: str
    n_calls: int
    median_us: float
    p99_us: float
    budget_us: float

    @property
    def over(self) -> bool:
        return self.median_us > self.budget_us


def measure(case: Case, *, n_calls: int = 3000, budget_us: float | None = None) -> Timing:
    """Time *case*. Takes about *n_calls* times the case's cost."""
    call = case.make()
    for _ in range(_WARM_UP):
        call()
    collected = gc.isenabled()
    gc.disable()
    try:
        clock_ns = _percentile(_time_each(lambda: None, n_calls), 50)
        costs_ns = _time_each(call, n_calls)
    finally:
        if collected:
            gc.enable()
    median_ns, p99_ns = (max(_percentile(costs_ns, q) - clock_ns, 0) for q in (50, 99))
    budget = case.budget_us if budget_us is None else budget_us
    return Timing(case.name, n_calls, median_ns / 1000, p99_ns / 1000, budget)


def measure_all(
    cases: Iterable[Case] = CASES, *, n_calls: int = 3000, budgets: Mapping[str, float] | None = None
) -> list[Timing]:
    """Time every case, with budgets of *budgets* where it names one."""
    limits = budgets or {}
    return [measure(case, n_calls=n_calls, budget_us=limits.get(case.name)) for case in cases]


def load_budgets(file: Path) -> dict[str, float]:
    """Read ``[budget_us]`` of a TOML file: case name to microseconds. Raises ``ConfigError``."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        table = msgspec.convert(document, _BudgetFile).budget_us
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(
            f"{file.name} is not a table [budget_us] of case names and numbers: {error}"
        ) from None
    known = [case.name for case in CASES]
    for name, limit in table.items():
        if name not in known:
            raise ConfigError(f"unknown case {name!r} in {file.name}{suggest(name, known)}")
        if not limit > 0:
            raise ConfigError(f"the budget of {name} in {file.name} must be above 0 microseconds")
    return table


class _BudgetFile(msgspec.Struct, forbid_unknown_fields=True):
    budget_us: dict[str, float]


def _time_each(call: Callable[[], object], n_calls: int) -> list[int]:
    costs = []
    for _ in range(n_calls):
        started = perf_counter_ns()
        call()
        costs.append(perf_counter_ns() - started)
    return sorted(costs)


def _percentile(ordered: Sequence[int], q: int) -> int:
    return ordered[min(len(ordered) * q // 100, len(ordered) - 1)]
