"""The bridge under test: started by us or already there, and what it can be asked."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import urllib.request
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from vapimedia.bench.load.plan import LoadPlan
from vapimedia.bench.load.process import BridgeProcess, Meter, command_of, free_port
from vapimedia.bench.load.run import LoadRun

__all__ = ["Target", "target"]

_T = TypeVar("_T")


class ToldPath(msgspec.Struct):
    dropped_late_ms: float = 0.0


class ToldCall(msgspec.Struct):
    """What is read of a call at the admin port."""

    call_id: str
    downlink: ToldPath
    provider_backlog_bytes: int = 0


class ToldWorker(msgspec.Struct):
    """What is read of a process there."""

    allocated_bytes: int | None = None
    python_blocks: int = 0


class ToldStatus(msgspec.Struct):
    workers: list[ToldWorker]


class Target(msgspec.Struct):
    """*meter* is ``None`` for a bridge whose process is not known, *admin_port* 0 for one that is not ours."""

    meter: Meter | None = None
    admin_port: int = 0

    def rss_kb(self) -> int | None:
        return self.meter.rss_kb() if self.meter is not None else None

    def calls(self) -> list[ToldCall]:
        """Return what the bridge's admin port says of its calls; nothing if it has none."""
        return self._ask("/calls", list[ToldCall]) or []

    def workers(self) -> list[ToldWorker]:
        """Return what the bridge's admin port says of its processes; nothing if it has none."""
        told = self._ask("/status", ToldStatus)
        return told.workers if told is not None else []

    def _ask(self, path: str, kind: type[_T]) -> _T | None:
        if not self.admin_port:
            return None
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=2) as answer:
                return msgspec.json.decode(answer.read(), type=kind)
        except (OSError, msgspec.DecodeError):
            return None


@contextlib.contextmanager
def target(plan: LoadPlan, run: LoadRun) -> Iterator[Target]:
    """Start the bridge of *plan*, if it is not there, and aim *run* at it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < min(hard, 65_536):  # a call has two sockets on each side, and many systems begin with 1024
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    cpus = os.sched_getaffinity(0)
    if plan.pin:
        os.sched_setaffinity(0, {1})
    try:
        if plan.url:
            run.aim(plan.url)
            meter = Meter(plan.pid) if plan.pid else None
            if meter is not None:
                run.follow(meter.cpu_ns, lambda: None)
            yield Target(meter)
            return
        port, admin_port = free_port(), 0 if plan.bridge else free_port()
        vapi_url = f"http://127.0.0.1:{run.vapi_port}"
        if plan.bridge:
            command = command_of(plan.bridge, port=port, vapi_url=vapi_url)
        else:
            command = _serve(plan, port, admin_port, vapi_url)
        environ = os.environ | {"VAPI_API_KEY": "key-of-the-load"}
        with BridgeProcess(command, port=port, environ=environ, cpu=0 if plan.pin else None) as process:
            run.aim(f"ws://127.0.0.1:{port}/twilio/media")
            meter = Meter(process.pid)
            run.follow(meter.cpu_ns, process.check)
            yield Target(meter, admin_port)
    finally:
        os.sched_setaffinity(0, cpus)


def _serve(plan: LoadPlan, port: int, admin_port: int, vapi_url: str) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--admin", f"127.0.0.1:{admin_port}"]
    what = [
        "--vapi-url",
        vapi_url,
        "--assistant-id",
        "asst_load",
        "--vapi-format",
        str(plan.format),
        "--no-auth",
    ]
    limits = ["--max-calls", "2000", "--drain-s", "1", "--log-level", "warning"]
    unpaced = ["--unpaced"] if plan.closed_loop else []
    return [sys.executable, "-m", "vapimedia", "serve", *where, *what, *limits, *unpaced, *plan.serve_flags]
