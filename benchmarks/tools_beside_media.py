"""What tool calls cost the calls that stream beside them: ``python benchmarks/tools_beside_media.py``.

In turns, 50 calls stream alone, and beside webhooks that ask for three tools each, in Vapi's three spellings: one
waits in a task, one in a thread, and one is later than its deadline. Ends with exit code 1 if an answer was wrong,
late, or out of order, or a frame was damaged.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parent))

from bridges.generator import Answer, RunFailedError, pinning, run_generator
from readme import machine, markdown, write

from vapimedia.bench.load.process import BridgeProcess, free_port

DEADLINE_S = 1.0
GRACE_S = 0.25
"""What an answer may take beyond the deadline of its slowest tool: HTTP, a machine that is busy."""
HERE = str(Path(__file__).resolve().parent)
TOOLS = ("in_a_task", "in_a_thread", "too_late")


@dataclass
class Told:
    """What became of the webhooks of one run."""

    asked: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    times_ms: list[float] = field(default_factory=list)


def tool_call(spelling: int, call_id: str, name: str, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the entries of ``toolCallList`` and ``toolWithToolCallList`` in one of the three spellings."""
    arguments = {"number": number}
    if spelling == 0:
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": call_id, "type": "function", "function": function}
        return call, {"type": "function", "function": {"name": name}, "toolCall": call}
    if spelling == 1:
        inner = {"id": call_id, "type": "function", "function": {"name": name, "parameters": arguments}}
        return {"id": call_id, "name": name, "arguments": arguments}, {"name": name, "toolCall": inner}
    call = {"id": call_id, "name": name, "parameters": arguments}
    return call, {"name": name, "toolCall": {"id": call_id, "parameters": arguments}}


def webhook(number: int, n_calls: int, *, with_late: bool) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Return one webhook's body, and the entries that must come back."""
    names = TOOLS if with_late else TOOLS[:2]
    names = names[number % len(names) :] + names[: number % len(names)]
    calls, tools, expected = [], [], []
    for place, name in enumerate(names):
        call_id = f"call_{number}_{place}"
        call, tool = tool_call((number + place) % 3, call_id, name, number)
        calls.append(call)
        tools.append(tool)
        said = {
            "in_a_task": {"result": f'{{"answer":{number}}}'},
            "in_a_thread": {"result": f"the answer is {number}"},
            "too_late": {"error": f"the tool took longer than {DEADLINE_S:g} s"},
        }[name]
        expected.append({"name": name, "toolCallId": call_id, **said})
    message = {
        "type": "tool-calls",
        "timestamp": time.time_ns() // 1_000_000 + number,
        "call": {"id": f"load-{number % n_calls}", "type": "vapi.websocketCall", "status": "in-progress"},
        "toolCallList": calls,
        "toolWithToolCallList": tools,
    }
    return {"message": message}, expected


async def ask(http: aiohttp.ClientSession, url: str, number: int, n_calls: int, told: Told) -> None:
    """Post one webhook and judge the answer."""
    with_late = number % 4 == 0
    body, expected = webhook(number, n_calls, with_late=with_late)
    begun = time.monotonic()
    told.asked += 1
    try:
        async with http.post(url, json=body) as answer:
            said = await answer.json()
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        told.wrong[type(error).__name__] += 1
        return
    took_s = time.monotonic() - begun
    told.times_ms.append(took_s * 1000)
    if status != 200 or said != {"results": expected}:
        told.wrong["answer"] += 1
    if took_s > (DEADLINE_S if with_late else 0.05) + GRACE_S:
        told.wrong["late"] += 1


async def ask_for(url: str, rate: float, n_calls: int, told: Told, done: asyncio.Event) -> None:
    """Post *rate* webhooks a second, on an absolute clock, until *done*."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as http,
        asyncio.TaskGroup() as posts,
    ):
        begun, number = time.monotonic(), 0
        while not done.is_set():
            posts.create_task(ask(http, url, number, n_calls, told))
            number += 1
            await asyncio.sleep(max(0.0, begun + number / rate - time.monotonic()))


async def run(options: argparse.Namespace, *, with_tools: bool) -> tuple[Answer, Told]:
    """Load one bridge of its own, alone or beside webhooks."""
    port, vapi_port = free_port(), free_port()
    flags, _ = pinning()
    command = [sys.executable, "-m", "vapimedia", "serve", "--no-auth", "--log-level", "error"]
    command += ["--port", str(port), "--admin", "127.0.0.1:0", "--vapi-url", f"http://127.0.0.1:{vapi_port}"]
    command += ["--assistant-id", "asst_load", "--vapi-format", "pcm_s16le/16000", "--drain-s", "1"]
    command += ["--app", "tools_app:bridge", "--tool-timeout-s", str(DEADLINE_S)]
    path = os.pathsep.join(part for part in (HERE, os.environ.get("PYTHONPATH", "")) if part)
    environ = os.environ | {"VAPI_API_KEY": "key-of-the-load", "PYTHONPATH": path}
    told, done = Told(), asyncio.Event()
    with BridgeProcess(command, port=port, environ=environ, cpu=0 if flags else None) as bridge:
        load = ["--url", f"ws://127.0.0.1:{port}/twilio/media", "--vapi-port", str(vapi_port)]
        load += ["--pid", str(bridge.pid), "--calls", str(options.calls), "--seconds", str(options.seconds)]
        webhooks = f"http://127.0.0.1:{port}/vapi/webhook"
        loading = asyncio.create_task(
            asyncio.to_thread(run_generator, [], [*load, *flags], timeout_s=options.seconds + 60)
        )
        async with asyncio.TaskGroup() as group:
            if with_tools:
                await asyncio.sleep(1.5)  # the calls are being placed
                group.create_task(ask_for(webhooks, options.rate, options.calls, told, done))
            answer = await asyncio.wait_for(loading, None)
            done.set()
    return answer, told


def p50_us(answer: Answer) -> float:
    return answer.latency_us["both"]["p50"] or 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=8, help="of one run")
    parser.add_argument("--rate", type=float, default=20, help="webhooks a second")
    parser.add_argument("--print", action="store_true", help="leave README.md alone")
    options = parser.parse_args()
    if pinning()[0]:
        os.sched_setaffinity(0, {1})
        # We share the generator's processor, and must not delay what it times. Children are not idle.
        os.sched_setscheduler(0, os.SCHED_IDLE | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    rows: list[tuple[float, float, float, float]] = []
    times_ms: list[float] = []
    wrong: Counter[str] = Counter()
    n_asked = 0
    for number in range(options.rounds):
        found: dict[bool, Answer] = {}
        for with_tools in (False, True) if number % 2 == 0 else (True, False):
            try:
                found[with_tools], told = asyncio.run(run(options, with_tools=with_tools))
            except RunFailedError as error:
                print(f"no answer: {error}", file=sys.stderr)
                return 1
            wrong.update(told.wrong)
            wrong.update(found[with_tools].damage)
            n_asked += told.asked
            times_ms += told.times_ms
        alone, beside = found[False], found[True]
        p99s = [one.latency_us["both"]["p99"] or 0.0 for one in (alone, beside)]
        rows.append((p50_us(alone), p50_us(beside), p99s[0], p99s[1]))
        print(
            f"round {number + 1}: p50 {rows[-1][0]:.0f} -> {rows[-1][1]:.0f} us ({rows[-1][1] / rows[-1][0]:.3f}), "
            f"p99 {p99s[0]:.0f} -> {p99s[1]:.0f} us",
            file=sys.stderr,
            flush=True,
        )
    table = [("", "alone", "beside tool calls", "ratio, median of the rounds")]
    for name, at in (("p50", 0), ("p99", 2)):
        alone_us, beside_us = (statistics.median(row[at + i] for row in rows) for i in (0, 1))
        ratio = statistics.median(row[at + 1] / row[at] for row in rows)
        table.append((f"latency {name}", f"{alone_us:.0f} µs", f"{beside_us:.0f} µs", f"{ratio:.2f}"))
    told_text = (
        ", ".join(f"{count} {word}" for word, count in wrong.items()) or "none wrong, late or out of order"
    )
    median_ms = statistics.median(times_ms) if times_ms else 0.0
    text = (
        f"{machine(['vapimedia', 'picows', 'uvloop', 'aiohttp'])} {options.calls} calls, {options.rounds} rounds of "
        f"{options.seconds:g} s, {options.rate:g} webhooks a second.\n\n{markdown(table)}\n"
        f"{n_asked} webhooks: {told_text}; median {median_ms:.0f} ms, slowest {max(times_ms, default=0):.0f} ms "
        f"(tools take 50 ms, or {DEADLINE_S * 1000:.0f} ms where one is late).\n"
    )
    if options.print:
        print(text)
    else:
        write("tools", text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
