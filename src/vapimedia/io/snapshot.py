"""Everything that can be told of a bridge at one moment, as plain data: it can be sent on, and added up.

One process takes a ``Snapshot`` of its own bridge; whoever stands before several asks each for one and merges them.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vapimedia import audio
from vapimedia._version import __version__
from vapimedia.io.pump import now_ns
from vapimedia.io.totals import PathTotals, merge_paths
from vapimedia.media import Distribution
from vapimedia.session import CallSummary

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge
    from vapimedia.io.live_call import LiveCall

__all__ = ["CallFigures", "Snapshot", "WorkerFigures", "merge", "retire", "source_of", "take_snapshot"]

_SUMMARY_FIELDS = CallSummary.__struct_fields__
_STATM = Path("/proc/self/statm")


class CallFigures(CallSummary, frozen=True, kw_only=True):
    """One live call: its summary so far, and what is so just now. Holds ids and figures, neither numbers nor words."""

    worker: int
    age_ms: float
    """Since the bridge heard of the call."""
    state: str
    """``waiting``, ``connecting``, ``live``, ``ending`` (``vapimedia.session.State``)."""
    provider_format: str
    vapi_format: str
    caller_dbfs: float | None
    """How loud the caller was in the last few tenths of a second: RMS against full scale; ``None``: no audio came."""
    assistant_dbfs: float | None
    """The same of what came from Vapi, which may be ahead of what is heard."""


class WorkerFigures(msgspec.Struct):
    """One process."""

    worker: int
    pid: int
    taken_ns: int
    """When, on this machine's monotonic clock."""
    calls: int
    ended: int
    cpu_s: float
    """Processor time used so far."""
    memory_bytes: int | None
    """Resident; ``None`` where the system does not tell."""
    loop_lag: Distribution
    """How late the media timer was, in ns."""


class Snapshot(msgspec.Struct):
    """A bridge, or several together, at one moment."""

    version: str
    simd: str
    workers: list[WorkerFigures]
    calls: list[CallFigures]
    """Those that live, oldest first."""
    ended: dict[str, int]
    """Calls that ended, by reason."""
    counters: dict[str, int]
    """What was dropped, unknown, malformed or stale, by a word; live calls included."""
    barge_ins: int
    paths: dict[str, PathTotals]
    """``uplink`` (caller to Vapi) and ``downlink``."""
    restarts: int = 0
    """Workers that were started in place of others."""


def take_snapshot(bridge: Bridge, worker: int = 0) -> Snapshot:
    """Return the figures of *bridge*, which runs in this process. Costs a few us for each live call."""
    book, now = bridge.book, now_ns()
    totals, counters, calls = book.totals.copy(), Counter(book.counters), []
    for live in book.live:
        figures = _figures(live, worker, now)
        totals.add(live.session, figures)
        counters.update(figures.counters)
        calls.append(figures)
    calls.sort(key=_age)
    return Snapshot(
        version=__version__,
        simd=audio.simd,
        workers=[
            WorkerFigures(
                worker=worker,
                pid=os.getpid(),
                taken_ns=now,
                calls=len(calls),
                ended=sum(book.ended_by_reason.values()),
                cpu_s=time.process_time(),
                memory_bytes=_resident_bytes(),
                loop_lag=bridge.pump.lag.read(),
            )
        ],
        calls=calls,
        ended=dict(book.ended_by_reason),
        counters=dict(counters),
        barge_ins=book.barge_ins + sum(call.barge_ins for call in calls),
        paths=totals.read(),
    )


def source_of(bridge: Bridge) -> Callable[[], Awaitable[Snapshot]]:
    """Return what ``admin_app`` asks when it serves *bridge* alone."""

    async def source() -> Snapshot:
        return take_snapshot(bridge)

    return source


def merge(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Return what one bridge with all their calls would tell. Raises ``ValueError`` when there are none."""
    parts = list(snapshots)
    if not parts:
        raise ValueError("there is no snapshot to merge")
    return Snapshot(
        version=parts[0].version,
        simd=parts[0].simd,
        workers=sorted((one for part in parts for one in part.workers), key=lambda one: one.worker),
        calls=sorted((call for part in parts for call in part.calls), key=_age),
        ended=_sum(part.ended for part in parts),
        counters=_sum(part.counters for part in parts),
        barge_ins=sum(part.barge_ins for part in parts),
        paths=merge_paths(part.paths for part in parts),
        restarts=sum(part.restarts for part in parts),
    )


def retire(snapshot: Snapshot) -> Snapshot:
    """Return what stays of a process that is gone, by its last snapshot: totals, for ``merge`` with the others.

    Its calls count as ended, for the reason ``worker_lost``.
    """
    ended = snapshot.ended
    if snapshot.calls:
        ended = _sum([ended, {"worker_lost": len(snapshot.calls)}])
    return msgspec.structs.replace(snapshot, workers=[], calls=[], ended=ended)


def _figures(call: LiveCall, worker: int, now: int) -> CallFigures:
    summary, session = call.summary(), call.session
    return CallFigures(
        **{name: getattr(summary, name) for name in _SUMMARY_FIELDS},
        worker=worker,
        age_ms=(now - summary.created_ns) / 1e6,
        state=session.state.value,
        provider_format=str(session.uplink.source),
        vapi_format=str(session.uplink.target),
        caller_dbfs=session.uplink.level_dbfs(now),
        assistant_dbfs=session.downlink.level_dbfs(now),
    )


def _age(call: CallFigures) -> float:
    return -call.age_ms


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def _resident_bytes() -> int | None:
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:  # not Linux
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
