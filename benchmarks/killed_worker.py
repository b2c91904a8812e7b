"""What a killed worker costs the calls of the others: their median latency before, at once, and once it is replaced.

``python benchmarks/killed_worker.py`` takes a minute, and wants a machine with a processor to spare: starting a Python
process takes a second of one, and that is seen in the figures.
"""

from __future__ import annotations

import os
import signal
import urllib.request
from statistics import median
from typing import Any

import msgspec

from vapimedia.bench.load.churn import ChurnRun
from vapimedia.bench.load.plan import LoadPlan
from vapimedia.bench.load.run import sid
from vapimedia.bench.load.target import Target, target

N_CALLS, N_WORKERS, N_ROUNDS, N_WINDOWS = 12, 3, 5, 6
WINDOW_S, SETTLE_S = 0.5, 1.5


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

    def medians_us(self) -> list[float]:
        """Return the median latency of each of some short windows, in us."""
        medians = []
        for _ in range(N_WINDOWS):
            self.forget_latencies()
            self.go_on(WINDOW_S)
            if (p50 := self.latencies()["both"]["p50"]) is not None:
                medians.append(p50)
        return medians


def told(bridge: Target, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{bridge.admin_port}{path}", timeout=5) as answer:
        return msgspec.json.decode(answer.read())


def main() -> None:
    """Kill a worker in each of some rounds; print the least and the median of the windows' medians."""
    run = Watched(webhooks=True)
    before: list[float] = []
    at_once: list[float] = []
    after: list[float] = []
    with target(LoadPlan(calls=N_CALLS, serve_flags=["--workers", str(N_WORKERS)]), run) as bridge:
        run.populate(N_CALLS, mulaw=False)
        run.replaces = False
        run.go_on(SETTLE_S)
        for _ in range(N_ROUNDS):
            worker_of = {call["call_id"]: call["worker"] for call in told(bridge, "/calls")}
            workers = {one["worker"]: one["pid"] for one in told(bridge, "/status")["workers"]}
            doomed = min(workers)
            lost = [call for call in range(N_CALLS) if worker_of[sid("CA", run.serial(call))] == doomed]
            for call in range(N_CALLS):
                run.leave_out(call, call in lost)
            before += run.medians_us()
            os.kill(workers[doomed], signal.SIGKILL)
            at_once += run.medians_us()
            run.call_again(N_WORKERS, bridge)
            for call in lost:
                run.leave_out(call)
            after += run.medians_us()
        run.end_all()
    for name, windows in (("before", before), ("at once", at_once), ("replaced", after)):
        print(f"p50 {name}: least {min(windows):.0f}, median {median(windows):.0f} us")


if __name__ == "__main__":
    main()
