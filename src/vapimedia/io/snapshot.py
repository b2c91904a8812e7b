"""Everything that can be told of a bridge at one moment, as plain data: it can be sent on, and added up.

One process takes a ``Snapshot`` of its own bridge; whoever stands before several asks each for one and merges them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from vapimedia import audio
from vapimedia._version import __version__
from vapimedia.io.memory import allocated_bytes, python_blocks, resident_bytes
from vapimedia.io.pump import now_ns
from vapimedia.io.totals import PathTotals, merge_paths
from vapimedia.media import Distribution, distribution
from vapimedia.session import CallSummary

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge
    from vapimedia.io.live_call import LiveCall

__all__ = [
    "Backlog",
    "CallFigures",
    "Snapshot",
    "WorkerFigures",
    "merge",
    "retire",
    "source_of",
    "take_snapshot",
]

_SLICE = 20  # calls that are looked at before media has its turn


class MarkFigures(msgspec.Struct, frozen=True):
    """The playout marks of a call. A name is ``generation:position_ms``; empty: there was none."""

    outstanding: int
    last_sent: str
    last_played: str


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
    marks: MarkFigures
    provider_backlog_bytes: int
    """What waited to be sent to the provider, here and in the kernel, when it was looked at: once a second."""
    vapi_backlog_bytes: int


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
    allocated_bytes: int | None = None
    """Given out by the C library's allocator; ``None`` where it does not tell."""
    python_blocks: int = 0
    """Given out by Python's own allocator, which lies beside the C library's."""


class Backlog(msgspec.Struct):
    """What waited to be sent on all sockets of one kind, each looked at once a second, in 1/1024 bytes."""

    leg: str
    """``provider`` or ``vapi``."""
    where: str
    """``user``: the kernel had not taken it; ``kernel``: it had, and had not sent it."""
    sizes: Distribution


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
    backlogs: list[Backlog] = []
    restarts: int = 0
    """Workers that were started in place of others."""


def take_snapshot(bridge: Bridge, worker: int = 0) -> Snapshot:
    """Return the figures of *bridge*, which runs in this process. Costs some 15 us for each live call."""
    taking = _Taking(bridge, worker)
    while taking.go_on(_SLICE):
        pass
    return taking.snapshot()


def source_of(bridge: Bridge, worker: int = 0) -> Callable[[], Awaitable[Snapshot]]:
    """Return what ``admin_app`` asks when it serves *bridge*: snapshots for which media never waits long."""

    async def source() -> Snapshot:
        taking = _Taking(bridge, worker)
        while taking.go_on(_SLICE):  # noqa: ASYNC110  nothing is waited for: media has its turn
            await asyncio.sleep(0)
        return taking.snapshot()

    return source


class _Taking:
    """A snapshot that is being taken. It is of the moment at which this began: a call that ends meanwhile is in it
    as live, with the figures it has when it is its turn."""

    def __init__(self, bridge: Bridge, worker: int) -> None:
        book = bridge.book
        self._bridge, self._worker = bridge, worker
        self._now_ns = now_ns()
        self._left = list(book.live)
        self._totals, self._counters = book.totals.copy(), Counter(book.counters)
        self._ended, self._barge_ins = dict(book.ended_by_reason), book.barge_ins
        self._calls: list[CallFigures] = []

    def go_on(self, n_calls: int) -> bool:
        """Look at some calls; return whether there are more."""
        for live in self._left[-n_calls:]:
            figures = _figures(live, self._worker, self._now_ns)
            self._totals.add(live.session, figures)
            if figures.counters:
                self._counters.update(figures.counters)
            self._barge_ins += figures.barge_ins
            self._calls.append(figures)
        del self._left[-n_calls:]
        return bool(self._left)

    def snapshot(self) -> Snapshot:
        pump = self._bridge.pump
        own = WorkerFigures(
            worker=self._worker,
            pid=os.getpid(),
            taken_ns=self._now_ns,
            calls=len(self._calls),
            ended=sum(self._ended.values()),
            cpu_s=time.process_time(),
            memory_bytes=resident_bytes(),
            allocated_bytes=allocated_bytes(),
            python_blocks=python_blocks(),
            loop_lag=pump.lag.read(),
        )
        return Snapshot(
            version=__version__,
            simd=audio.simd,
            workers=[own],
            calls=sorted(self._calls, key=_age),
            ended=self._ended,
            counters=dict(self._counters),
            barge_ins=self._barge_ins,
            paths=self._totals.read(),
            backlogs=[Backlog(leg, where, one.read()) for (leg, where), one in pump.backlogs.items()],
        )


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
        backlogs=_merge_backlogs(one for part in parts for one in part.backlogs),
        restarts=sum(part.restarts for part in parts),
    )


def retire(snapshot: Snapshot, n_lost: int | None = None) -> Snapshot:
    """Return what stays of a process that is gone, by its last snapshot: totals, for ``merge`` with the others.

    *n_lost* calls ended with it, for the reason ``worker_lost``: those of the snapshot, unless it is known better.
    """
    ended, n_lost = snapshot.ended, len(snapshot.calls) if n_lost is None else n_lost
    if n_lost:
        ended = _sum([ended, {"worker_lost": n_lost}])
    return msgspec.structs.replace(snapshot, workers=[], calls=[], ended=ended)


def _figures(live: LiveCall, worker: int, now: int) -> CallFigures:
    summary, session = live.summary(), live.session
    marks = session.marks
    return CallFigures(
        *msgspec.structs.astuple(summary),
        worker=worker,
        age_ms=(now - summary.created_ns) / 1e6,
        state=session.state.value,
        provider_format=str(session.uplink.source),
        vapi_format=str(session.uplink.target),
        caller_dbfs=session.uplink.level_dbfs(now),
        assistant_dbfs=session.downlink.level_dbfs(now),
        marks=MarkFigures(len(marks.outstanding), marks.last_sent, marks.last_played),
        provider_backlog_bytes=live.provider.held_bytes + live.provider.unsent_bytes,
        vapi_backlog_bytes=live.vapi.held_bytes + live.vapi.unsent_bytes,
    )


def _age(call: CallFigures) -> float:
    return -call.age_ms


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    return dict(total)


def _merge_backlogs(parts: Iterable[Backlog]) -> list[Backlog]:
    found: dict[tuple[str, str], list[Distribution]] = {}
    for part in parts:
        found.setdefault((part.leg, part.where), []).append(part.sizes)
    return [Backlog(leg, where, distribution.merge(sizes)) for (leg, where), sizes in found.items()]
