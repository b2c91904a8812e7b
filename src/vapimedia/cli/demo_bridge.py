"""The bridge of the demo, alone in its process, so that its CPU time is its own.

One JSON line on standard input holds the settings. Lines on standard output say what happens: ``Ready``, a
``Moment`` for each event and, once standard input ends, ``Result``.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from vapimedia.cli.demo_lines import LeftOpen, Line, Moment, Ready, Result
from vapimedia.io.bridge import Bridge
from vapimedia.io.config import BridgeConfig
from vapimedia.io.loop import loop_name, run
from vapimedia.protocols import events as provider
from vapimedia.protocols import vapi
from vapimedia.secret import hide_received
from vapimedia.session import events as session

__all__ = ["main"]

_SETTLE_S = 1.0  # transports say goodbye to their descriptors a few loop turns after the close


class _Recorder:
    """Listen to the bridge: report events, and take the CPU time at both ends of the call."""

    def __init__(self) -> None:
        self.cpu_ns = 0
        self._status: str | None = None

    def __call__(self, call: object, event: object) -> None:
        match event:
            case session.CallStarted():
                self.cpu_ns = -time.process_time_ns()
                say("phone", "starts", f"{event.provider} media stream")
            case session.BargeIn():
                say("bridge", "barge-in", f"{event.dropped_ms:.0f} ms of the assistant's audio dropped")
            case session.CallEnded():
                self.cpu_ns += time.process_time_ns()
                say("bridge", "ends", f"{event.reason} {event.detail}".strip())
            case provider.Dtmf():
                say("caller", "presses", event.digit)
            case vapi.Transcript(role=role, transcript=text):
                say(_speaker(role), "final" if event.final else "partial", text or "")
            case vapi.SpeechUpdate(role=role, status=status):
                say(_speaker(role), "speaks" if status == "started" else "is quiet")
            case vapi.ToolCalls():
                say("assistant", "calls", ", ".join(call.name for call in event.calls))
            case vapi.UserInterrupted():
                say("caller", "interrupts")
            case vapi.StatusUpdate(status=status) if status != self._status:
                # The call socket and the webhook both say it.
                self._status = status
                say("vapi", "status", status or "")


def say(who: str, what: str, text: str = "") -> None:
    """Put a moment on the timeline, now."""
    write(Moment(time.monotonic_ns(), who, what, text))


def write(line: Line) -> None:
    try:
        sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        # The parent was killed. Standard input ends too, and with it this process: quietly.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def store_hours(call: object, args: dict[str, Any]) -> dict[str, str]:
    """Answer the demo's tool call."""
    return {"monday": "9 to 18", "tuesday": "10 to 18", "wednesday": "9 to 12", "sunday": "closed"}


async def serve(settings: BridgeConfig) -> None:
    """Run a bridge until standard input ends, then say what it measured and what it left open."""
    sockets = count_sockets()
    recorder = _Recorder()
    bridge = Bridge(settings)
    bridge.on_event(recorder)
    bridge.tool("store_hours")(store_hours)
    await bridge.start()
    write(Ready(bridge.port, bridge.admin_port))
    await asyncio.to_thread(sys.stdin.buffer.read)
    calls = len(bridge.calls)
    summaries, lag = list(bridge.summaries), bridge.loop_lag
    await bridge.close()
    await asyncio.get_running_loop().shutdown_default_executor()
    left_open = await settle(calls, sockets)
    write(
        Result(
            summaries=summaries,
            loop=loop_name(),
            cpu_ms=recorder.cpu_ns / 1e6,
            loop_lag=lag,
            left_open=left_open,
        )
    )


async def settle(calls: int, sockets_before: int) -> LeftOpen:
    """Return what is left open, after waiting a moment for it to go."""
    left = LeftOpen(calls)
    until = time.monotonic() + _SETTLE_S
    while True:
        left.tasks = len(asyncio.all_tasks()) - 1
        left.sockets = max(count_sockets() - sockets_before, 0)
        if not (left.tasks or left.sockets) or time.monotonic() >= until:
            return left
        await asyncio.sleep(0.02)


def count_sockets() -> int:
    """Return how many sockets this process holds, 0 where the system does not tell.

    Only sockets count: the loop, the random source and lazily opened files are not the bridge's to close.
    """
    folder = Path("/proc/self/fd")
    if not folder.is_dir():
        return 0
    count = 0
    for entry in folder.iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except FileNotFoundError:  # the descriptor of the listing itself
            continue
    return count


def _speaker(role: str | None) -> str:
    return "caller" if role == "user" else role or "?"


def main() -> None:
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=BridgeConfig, dec_hook=hide_received)
    run(serve(settings))


if __name__ == "__main__":
    main()
