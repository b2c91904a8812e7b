"""A soak: calls that come and go for a long time, and what the bridge holds meanwhile. Linux only."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from operator import attrgetter
from statistics import median
from typing import Protocol

import msgspec

from vapimedia.bench.load.churn import Churn, ChurnRun
from vapimedia.bench.load.generator import now_ns
from vapimedia.bench.load.plan import LoadPlan
from vapimedia.bench.load.target import Target, target
from vapimedia.bench.soak_figures import Bounds, Growth, Sample, baseline_s, growth_of, live_growth_of
from vapimedia.errors import ConfigError

__all__ = ["SoakPlan", "SoakReport", "soak"]

_NS = 1_000_000_000
_SAMPLES = 240
_LONGEST_PAUSE_S = 10.0
_SETTLE_S = 20
"""Connections to an API are kept for 15 s by most clients, ours too."""
_REMEMBERED_CALLS = 1000
_MOST_LATE = 0.001
"""Of all frames: ``bench calls`` judges them; here a machine that stands still for a moment must not end the soak."""
_FEWER = 0.9
_FIGURES = ("rss_kb", "allocated_kb", "python_blocks", "descriptors")
_LIVE = ("allocated_kb", "python_blocks")
_DAMAGE = ("lost", "duplicated", "corrupted", "crossed")


class SoakPlan(LoadPlan, kw_only=True):
    """A load that lasts, and whose calls are replaced."""

    calls: int = 20
    seconds: float = 600.0
    churn: float = 8.0
    """Calls that end, and others that begin, per second."""
    bounds: Bounds = Bounds()

    def check(self) -> None:
        super().check()
        if not 0 <= self.churn <= self.calls:
            raise ConfigError(f"--churn must be 0 to {self.calls} calls a second, one life of a second each")
        if self.url and not self.pid:
            raise ConfigError("bench soak needs --pid with --url: it looks at the bridge's process")

    @property
    def pause_s(self) -> float:
        """Between two samples."""
        return min(_LONGEST_PAUSE_S, self.seconds / _SAMPLES)


class SoakReport(msgspec.Struct):
    """What a soak found. Memory is in KiB, of the bridge and all its children."""

    bridge: str
    calls: int
    churn: float
    seconds: float
    baseline_s: float
    growth: dict[str, Growth | None]
    descriptors_before: float | None
    descriptors_after: float | None
    """Before the first call and after the last one."""
    p99_us: dict[str, float | None]
    """Medians over the samples of each quarter, and the worst sample."""
    end_ms: dict[str, float | None]
    churned: Churn
    samples: list[Sample]
    faults: list[str]
    """Why the soak failed."""
    notes: list[str]


class Watcher(Protocol):
    """Is told each sample."""

    def __call__(self, sample: Sample) -> None: ...


def soak(plan: SoakPlan, on_sample: Watcher = lambda sample: None) -> SoakReport:
    """Run a soak. Takes its seconds and some five more. Raises ``VapimediaError`` when the bridge fails."""
    plan.check()
    run = ChurnRun(vapi_port=plan.vapi_port, times=plan.times, webhooks=not (plan.bridge or plan.url))
    with target(plan, run) as bridge, ThreadPoolExecutor(1) as beside:
        before = bridge.meter.n_descriptors() if bridge.meter is not None else None
        run.populate(plan.calls, mulaw=plan.is_mulaw)
        samples = _watch(plan, run, bridge, beside, on_sample)
        run.end_all()
        after = _settled(run, bridge, before)
    return make_report(plan, samples, run.churn, before=before, after=after)


def _settled(run: ChurnRun, bridge: Target, before: int | None) -> int | None:
    """Return how many descriptors are open once nothing more is closed."""
    after = None
    for _ in range(_SETTLE_S):
        run.pass_time(1.0)
        after = bridge.meter.n_descriptors() if bridge.meter is not None else None
        if before is None or after is None or after <= before:
            break
    return after


def _watch(
    plan: SoakPlan, run: ChurnRun, bridge: Target, beside: ThreadPoolExecutor, on_sample: Watcher
) -> list[Sample]:
    samples: list[Sample] = []
    begun, last_ns, last_cpu = now_ns(), now_ns(), _cpu_ns(bridge)
    n_ended = sum(run.churn.ended.values())
    run.forget_latencies()
    while (passed_s := (now_ns() - begun) / _NS) < plan.seconds:
        run.go_on(min(plan.pause_s, plan.seconds - passed_s), per_s=plan.churn)
        # Looking takes milliseconds, and the load goes on meanwhile.
        looking: Future[Sample] = beside.submit(_look, bridge)
        run.go_on(1.0, until=looking.done)
        sample = looking.result()
        sample.at_s, sample.calls = round((now_ns() - begun) / _NS, 2), run.n_live
        now, cpu, both = now_ns(), _cpu_ns(bridge), run.latencies()["both"]
        if cpu is not None and last_cpu is not None:
            sample.cpu_share = round((cpu - last_cpu) / (now - last_ns), 4)
        sample.p50_us, sample.p99_us = both["p50"], both["p99"]
        sample.ended = sum(run.churn.ended.values()) - n_ended
        n_ended += sample.ended
        last_ns, last_cpu = now, cpu
        run.forget_latencies()
        samples.append(sample)
        on_sample(sample)
    return samples


def _cpu_ns(bridge: Target) -> int | None:
    return bridge.meter.cpu_ns() if bridge.meter is not None else None


def _look(bridge: Target) -> Sample:
    sample = Sample(0.0, 0)
    if bridge.meter is not None:
        sample.rss_kb, sample.descriptors = bridge.meter.rss_kb(), bridge.meter.n_descriptors()
    workers = bridge.workers()
    allocated = [one.allocated_bytes for one in workers if one.allocated_bytes is not None]
    if allocated:
        sample.allocated_kb = round(sum(allocated) / 1024, 1)
    if workers:
        sample.python_blocks = sum(one.python_blocks for one in workers)
    return sample


def make_report(
    plan: SoakPlan, samples: list[Sample], churned: Churn, *, before: float | None, after: float | None
) -> SoakReport:
    """Return what the samples and the calls' ends say, and what of it is beyond the plan's bounds."""
    settled_s = baseline_s(plan.seconds)
    growth = {
        name: (live_growth_of if name in _LIVE else growth_of)(samples, attrgetter(name), from_s=settled_s)
        for name in _FIGURES
    }
    p99s = [one.p99_us for one in samples if one.p99_us is not None]
    quarters = [p99s[i * len(p99s) // 4 : (i + 1) * len(p99s) // 4] for i in range(4)]
    report = SoakReport(
        bridge=plan.name,
        calls=plan.calls,
        churn=plan.churn,
        seconds=samples[-1].at_s if samples else 0.0,
        baseline_s=settled_s,
        growth=growth,
        descriptors_before=before,
        descriptors_after=after,
        p99_us={
            **{f"quarter_{i}": median(part) if part else None for i, part in enumerate(quarters, 1)},
            "worst": max(p99s, default=None),
        },
        end_ms=_end_ms(churned.end_ms),
        churned=churned,
        samples=samples,
        faults=[],
        notes=[],
    )
    report.faults = _faults(plan, report)
    n_ended = sum(churned.ended.values())
    if n_ended < _FEWER * plan.churn * report.seconds:
        report.notes.append(
            f"{n_ended / report.seconds:.1f} calls a second were replaced, not {plan.churn:g}"
        )
    n_settled = sum(one.ended for one in samples if one.at_s <= settled_s)
    if n_settled < _REMEMBERED_CALLS and not (plan.bridge or plan.url):
        report.notes.append(
            f"serve remembers its last {_REMEMBERED_CALLS} calls, and {n_settled} had ended by second {settled_s:g}: "
            "until there are so many its memory grows"
        )
    if not report.faults and any(churned.frames[name] for name in _DAMAGE):
        report.notes.append(
            f"{_damage(churned.frames)}; what is late for long is dropped, as on a busy machine"
        )
    if growth["allocated_kb"] is None:
        report.notes.append("the bridge does not tell what its allocators have given out")
    return report


def _end_ms(taken_ms: list[float]) -> dict[str, float | None]:
    """Return the median, the 99th percentile and the longest."""
    if not taken_ms:
        return {"p50": None, "p99": None, "max": None}
    ordered = sorted(taken_ms)
    at = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "max": len(ordered) - 1}
    return {name: round(ordered[i], 1) for name, i in at.items()}


def _faults(plan: SoakPlan, report: SoakReport) -> list[str]:
    faults = []
    for name in _FIGURES:
        figure, bound = report.growth[name], getattr(plan.bounds, name)
        if figure is not None and figure.growth > bound:
            faults.append(
                f"{name} grew by {figure.growth:g} since second {report.baseline_s:g}, over {bound:g}"
            )
    before, after = report.descriptors_before, report.descriptors_after
    if before is not None and after is not None and after > before + plan.bounds.descriptors:
        faults.append(f"{after - before:g} descriptors are left after the last call")
    churned = report.churned
    for name in ("not_ended", "not_joined", "died"):
        if count := getattr(churned, name):
            faults.append(f"{count} calls {_WORDS[name]}")
    frames = churned.frames
    is_wrong = frames["duplicated"] or frames["crossed"]
    if is_wrong or frames["lost"] + frames["corrupted"] > _MOST_LATE * frames["sent"]:
        faults.append(_damage(frames))
    return faults


def _damage(frames: Counter[str]) -> str:
    return f"of {frames['sent']} frames: " + ", ".join(f"{frames[name]} {name}" for name in _DAMAGE)


_WORDS = {
    "not_ended": "did not end on both legs",
    "not_joined": "were not joined to Vapi",
    "died": "ended though nobody had ended them",
}
