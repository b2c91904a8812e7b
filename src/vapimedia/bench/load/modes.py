"""How a load is carried out: once, idle, or again and again for the highest number of calls."""

from __future__ import annotations

from vapimedia.bench.load.plan import IDLE_CALLS, MOST_CALLS, LoadPlan
from vapimedia.bench.load.report import Ends, LoadReport, make_report
from vapimedia.bench.load.run import LoadRun, Span, sid
from vapimedia.bench.load.target import Target, target
from vapimedia.errors import VapimediaError

__all__ = ["carry_out", "find_max"]

_IDLE_CYCLES = 10  # five frames a second each way
_SETTLE_S = 2.0
_BEFORE_STALL_S = 1.0
_HELD_S = 1.0
_STEP_S = 3.0
_STEPS = 10
_CLOSE_ENOUGH = 1.06
_MOST_SHARE = 0.8
_SPARE_SHARE = 0.7
_MOST_P99_US = 20_000


def carry_out(plan: LoadPlan) -> LoadReport:
    """Run the whole load. Takes its seconds and about four more. Raises ``VapimediaError`` when the bridge fails."""
    plan.check()
    run = LoadRun(vapi_port=plan.vapi_port, times=plan.times)
    with target(plan, run) as bridge:
        if plan.find_max:
            return find_max(plan, run, bridge)
        if plan.idle:
            return _idle(plan, run, bridge)
        if plan.stalled:
            return _stalled(plan, run, bridge)
        return _once(plan, run, bridge)


def _once(plan: LoadPlan, run: LoadRun, bridge: Target) -> LoadReport:
    run.begin(plan.calls, mulaw=plan.is_mulaw, window=plan.window if plan.closed_loop else 0)
    rss_kb: dict[str, float | None] = {"before": bridge.rss_kb()}
    run.place_calls(plan.calls)
    run.warm_up()
    run.interrupts = plan.barge_in
    span = run.count_for(plan.seconds)
    run.interrupts = False
    rss_kb["under_load"] = bridge.rss_kb()
    mode = "closed-loop" if plan.closed_loop else "barge-in" if plan.barge_in else "real-time"
    report = _finish(plan, run, span, mode=mode, n_calls=plan.calls, rss_kb=rss_kb)
    if plan.barge_in:
        odd = run.odd_counts()
        report.barge_in_us = run.latencies()["barge_in"] | {
            "interruptions": odd["interruptions"],
            "clears": odd["clears"],
        }
    return report


def _finish(
    plan: LoadPlan,
    run: LoadRun,
    span: Span,
    *,
    mode: str,
    n_calls: int,
    rss_kb: dict[str, float | None],
    skip: int = 0,
) -> LoadReport:
    run.drain()
    died = run.odd_counts()["died"]
    not_ended, without_close = run.end_calls()
    ends = Ends(not_ended, without_close, died)
    return make_report(
        run, span, ends, bridge=plan.name, n_calls=n_calls, mode=mode, rss_kb=rss_kb, skip=skip
    )


def _idle(plan: LoadPlan, run: LoadRun, bridge: Target) -> LoadReport:
    """Memory per call, from few calls to many: a little audio until all are there, then none."""
    few, many = IDLE_CALLS
    run.begin(many, mulaw=plan.is_mulaw)
    run.every = _IDLE_CYCLES
    rss_kb: dict[str, float | None] = {"before": bridge.rss_kb()}
    for n_calls in IDLE_CALLS:
        run.place_calls(n_calls)
        run.warm_up()
        run.sending = False
        run.pass_time(_SETTLE_S)
        rss_kb[f"at_{n_calls}"] = bridge.rss_kb()
    at_few, at_many = rss_kb[f"at_{few}"], rss_kb[f"at_{many}"]
    if at_few is not None and at_many is not None:
        rss_kb["per_call"] = round((at_many - at_few) / (many - few), 1)
    return _finish(plan, run, Span(), mode="idle", n_calls=many, rss_kb=rss_kb)


def _stalled(plan: LoadPlan, run: LoadRun, bridge: Target) -> LoadReport:
    """Some phones stop reading; the figures are the others'."""
    run.begin(plan.calls, mulaw=plan.is_mulaw)
    rss_kb: dict[str, float | None] = {"before": bridge.rss_kb()}
    run.place_calls(plan.calls, n_deaf=plan.stalled)
    run.set_apart(plan.stalled)
    run.warm_up()
    own_bytes = 0
    told: dict[str, float | None] = {}

    def resume() -> None:
        nonlocal own_bytes, told
        told = _what_the_bridge_says(bridge, plan.stalled)
        own_bytes = sum(run.resume(call) for call in range(plan.stalled))

    def stall() -> None:
        for call in range(plan.stalled):
            run.stall(call)

    events = [(_BEFORE_STALL_S, stall)]
    if plan.stall_s:
        events.append((_BEFORE_STALL_S + plan.stall_s, resume))
    span = run.count_for(plan.seconds, events)
    rss_kb["under_load"] = bridge.rss_kb()
    if not plan.stall_s:
        resume()
        run.pass_time(_HELD_S)
    report = _finish(plan, run, span, mode="real-time", n_calls=plan.calls, rss_kb=rss_kb, skip=plan.stalled)
    held_frames, ages = run.odd_counts()["held_frames"], run.latencies()
    report.stalled = {
        "calls": plan.stalled,
        "stall_s": plan.stall_s or plan.seconds - _BEFORE_STALL_S,
        "own_bytes": own_bytes,
        "held_frames": held_frames,
        "held_ms_per_call": round(held_frames * 20 / plan.stalled, 1),
        **{f"held_age_ms_{name}": ages["held_ms"][name] for name in ("p50", "p99", "max")},
        **{f"after_ms_{name}": ages["after_ms"][name] for name in ("p50", "p99", "max")},
        "lost": sum(int(down["lost"] or 0) for _, down in run.totals()[: plan.stalled]),
        **told,
    }
    return report


def _what_the_bridge_says(bridge: Target, n_stalled: int) -> dict[str, float | None]:
    """Return what the admin port says just before the phones read again; ``None`` where there is none."""
    stalled = {sid("CA", call) for call in range(n_stalled)}
    calls = [call for call in bridge.calls() if call.call_id in stalled]
    return {
        "bridge_backlog_bytes_max": max((call.provider_backlog_bytes for call in calls), default=None),
        "bridge_dropped_late_ms": sum(call.downlink.dropped_late_ms for call in calls) if calls else None,
    }


def find_max(plan: LoadPlan, run: LoadRun, bridge: Target) -> LoadReport:
    """Search for the most calls that go well.

    The next number is what the last one's costs promise, between the highest that was well and the lowest that was not.
    """
    best: LoadReport | None = None
    steps: list[dict[str, float | None]] = []
    well, ill, n_calls = 0, MOST_CALLS + 1, plan.calls
    while len(steps) < _STEPS and well * _CLOSE_ENOUGH < ill - 1:
        report = _step(plan, run, bridge, n_calls)
        if not _is_well(report) and (report.cpu_share or 0) < _SPARE_SHARE:
            report = _step(plan, run, bridge, n_calls)  # something else may have been in the way
        is_well = _is_well(report)
        p99 = report.latency_us["both"]["p99"]
        steps.append(
            {
                "calls": n_calls,
                "cpu_share": report.cpu_share,
                "p99_us": p99,
                "damaged": report.damaged,
                "generator_cpu_share": report.generator["cpu_share"],
                "well": is_well,
            }
        )
        if is_well:
            well, best = n_calls, report
        else:
            ill = n_calls
        n_calls = _next(well, ill, report)
    if best is None:
        raise VapimediaError(f"the bridge does not carry {ill} calls well; begin lower, with --calls")
    best.sustained_calls, best.steps, best.mode = well, steps, "find-max"
    return best


def _step(plan: LoadPlan, run: LoadRun, bridge: Target, n_calls: int) -> LoadReport:
    run.begin(n_calls, mulaw=plan.is_mulaw)
    run.place_calls(n_calls)
    run.warm_up()
    span = run.count_for(_STEP_S)
    return _finish(plan, run, span, mode="real-time", n_calls=n_calls, rss_kb={"under_load": bridge.rss_kb()})


def _is_well(report: LoadReport) -> bool:
    p99 = report.latency_us["both"]["p99"]
    is_soon = p99 is not None and p99 < _MOST_P99_US
    return is_soon and not report.failed and (report.cpu_share or 0) <= _MOST_SHARE


def _next(well: int, ill: int, report: LoadReport) -> int:
    """Return the number of calls to try next."""
    promised = report.calls * _MOST_SHARE / report.cpu_share if report.cpu_share else 2 * report.calls
    if ill > MOST_CALLS:  # nothing was too much yet
        return max(min(int(promised), 3 * report.calls, MOST_CALLS), well + 1)
    low, high = well + (ill - well) // 4, ill - (ill - well + 3) // 4
    return min(max(int(promised), low, well + 1), high, ill - 1) if well else max(ill // 2, 1)
