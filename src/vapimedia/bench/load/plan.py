"""What a load is to be, and how it is carried out: bridge and generator together."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

import msgspec

from vapimedia.bench.load.process import BridgeProcess, Meter, command_of, free_port
from vapimedia.bench.load.report import Ends, LoadReport, make_report
from vapimedia.bench.load.run import LoadRun
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

__all__ = ["FORMATS", "LoadPlan", "carry_out"]

FORMATS = (AudioFormat("pcm_s16le", 16_000), AudioFormat("mulaw", 8000))
MOST_CALLS = 1000


class LoadPlan(msgspec.Struct, kw_only=True):
    """The settings of one load; names as the flags of ``vapimedia bench calls``."""

    calls: int = 50
    seconds: float = 10.0
    closed_loop: bool = False
    window: int = 1
    bridge: str = ""
    """Command line of a bridge, with ``{port}`` and ``{vapi_url}``; empty and no *url*: ``vapimedia serve``."""
    url: str = ""
    vapi_port: int = 0
    pid: int = 0
    format: AudioFormat = FORMATS[0]
    serve_flags: list[str] = []
    pin: bool = False

    def check(self) -> None:
        """Raise ``ConfigError`` for what cannot be done."""
        if self.bridge and self.url:
            raise ConfigError("--bridge starts a bridge and --url goes to a running one; give one of them")
        if self.url and not self.vapi_port:
            raise ConfigError("--url needs --vapi-port, the port where that bridge expects Vapi's API")
        if self.pid and not self.url:
            raise ConfigError("--pid goes with --url; the processor time of other bridges is known anyway")
        if not 1 <= self.calls <= MOST_CALLS:
            raise ConfigError(f"--calls must be 1 to {MOST_CALLS}, not {self.calls}")
        if self.format not in FORMATS:
            raise ConfigError("--format must be pcm_s16le/16000 or mulaw/8000")
        if self.serve_flags and (self.bridge or self.url):
            raise ConfigError("--serve-flags are for vapimedia's own bridge")

    @property
    def name(self) -> str:
        return self.bridge or self.url or "vapimedia serve"

    @property
    def mode(self) -> str:
        return "closed-loop" if self.closed_loop else "real-time"


def carry_out(plan: LoadPlan) -> LoadReport:
    """Run the whole load. Takes its seconds and about four more. Raises ``VapimediaError`` when the bridge fails."""
    plan.check()
    run = LoadRun(vapi_port=plan.vapi_port)
    with _bridge(plan, run) as meter:
        run.begin(
            plan.calls, mulaw=plan.format.encoding == "mulaw", window=plan.window if plan.closed_loop else 0
        )
        before = meter.rss_kb() if meter else None
        run.place_calls(plan.calls)
        run.warm_up()
        span = run.count_for(plan.seconds)
        after = meter.rss_kb() if meter else None
        run.drain()
        died = run.odd_counts()["died"]
        not_ended, without_close = run.end_calls()
        return make_report(
            run,
            span,
            Ends(not_ended, without_close, died),
            bridge=plan.name,
            n_calls=plan.calls,
            mode=plan.mode,
            rss_kb={"before": before, "under_load": after},
        )


@contextlib.contextmanager
def _bridge(plan: LoadPlan, run: LoadRun) -> Iterator[Meter | None]:
    """Start the bridge of *plan* and aim *run* at it."""
    if plan.pin:
        os.sched_setaffinity(0, {1})
    if plan.url:
        run.aim(plan.url)
        meter = Meter(plan.pid) if plan.pid else None
        if meter:
            run.follow(meter.cpu_ns, lambda: None)
        yield meter
        return
    port = free_port()
    vapi_url = f"http://127.0.0.1:{run.vapi_port}"
    command = (
        command_of(plan.bridge, port=port, vapi_url=vapi_url) if plan.bridge else _serve(plan, port, vapi_url)
    )
    environ = os.environ | {"VAPI_API_KEY": "key-of-the-load"}
    with BridgeProcess(command, port=port, environ=environ, cpu=0 if plan.pin else None) as process:
        run.aim(f"ws://127.0.0.1:{port}/twilio/media")
        meter = Meter(process.pid)
        run.follow(meter.cpu_ns, process.check)
        yield meter


def _serve(plan: LoadPlan, port: int, vapi_url: str) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--admin", f"127.0.0.1:{free_port()}"]
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
