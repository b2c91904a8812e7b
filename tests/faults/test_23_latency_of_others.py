"""A worker is killed and replaced, and the median latency of the calls of the others rises by 10 % at most."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from statistics import median
from typing import Any

import msgspec
import pytest

if not sys.platform.startswith("linux"):
    pytest.skip("the load generator is built on Linux only", allow_module_level=True)
from vapimedia.bench.load.churn import ChurnRun
from vapimedia.bench.load.plan import LoadPlan
from vapimedia.bench.load.run import sid
from vapimedia.bench.load.target import Target, target

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

N_CALLS, N_WORKERS, N_ROUNDS = 12, 3, 5
WINDOW_S, SETTLE_S = 2.0, 1.5


class Watched(ChurnRun):
    """A load whose calls are replaced when it is told to: none begins at a worker whose end is not noticed yet."""

    def call_again(self, n_workers: int, bridge: Target) -> None:
        """Place calls for those that are gone, once there are so many workers."""
        for _ in range(60):
            if len(told(bridge, "/status")["workers"]) == n_workers:
                break
            self.go_on(0.5)
        self.replaces = True
        self._waiting.extend(call for call in range(N_CALLS) if call not in self._live)
        self.go_on(30, until=lambda: self.n_live == N_CALLS)
        self.replaces = False
        self.go_on(SETTLE_S)

    def median_us(self) -> float:
        """Return the median latency of the next two seconds, in us."""
        self.forget_latencies()
        self.go_on(WINDOW_S)
        p50 = self.latencies()["both"]["p50"]
        assert p50 is not None
        return p50


def told(bridge: Target, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{bridge.admin_port}{path}", timeout=5) as answer:
        return msgspec.json.decode(answer.read())


def test_a_killed_worker_leaves_the_latency_of_the_others_as_it_was() -> None:
    """Pairs of windows: before a kill and with another worker there, in turn with such pairs without a kill.

    Between, a Python process starts, which takes a second of a processor: how much that costs the others is the
    machine's affair, and only printed.
    """
    run = Watched(webhooks=True)
    at_once: dict[bool, list[float]] = {True: [], False: []}
    after: dict[bool, list[float]] = {True: [], False: []}
    with target(LoadPlan(calls=N_CALLS, serve_flags=["--workers", str(N_WORKERS)]), run) as bridge:
        run.populate(N_CALLS, mulaw=False)
        run.replaces = False
        run.go_on(SETTLE_S)
        for i in range(2 * N_ROUNDS):
            kills = i % 2 == 0
            worker_of = {call["call_id"]: call["worker"] for call in told(bridge, "/calls")}
            workers = {one["worker"]: one["pid"] for one in told(bridge, "/status")["workers"]}
            assert len(workers) == N_WORKERS
            doomed = min(workers)
            lost = [call for call in range(N_CALLS) if worker_of[sid("CA", run.serial(call))] == doomed]
            assert 0 < len(lost) < N_CALLS
            for call in range(N_CALLS):
                run.leave_out(call, call in lost)
            before_us = run.median_us()
            died = run.churn.died
            if kills:
                os.kill(workers[doomed], signal.SIGKILL)
            at_once[kills].append(run.median_us() / before_us)
            assert run.churn.died - died == (len(lost) if kills else 0)
            run.call_again(N_WORKERS, bridge)
            assert run.n_live == N_CALLS
            for call in lost:
                run.leave_out(call)
            after[kills].append(run.median_us() / before_us)
        run.end_all()
    print(
        f"p50, at once / before: {median(at_once[True]):.3f} with a kill, {median(at_once[False]):.3f} without"
    )
    killed, unharmed = median(after[True]), median(after[False])
    print(f"p50, replaced / before: {killed:.3f} with a kill, {unharmed:.3f} without; {after}")
    assert killed / unharmed <= 1.10
