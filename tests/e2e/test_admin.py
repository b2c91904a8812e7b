"""The admin port over real calls: what /metrics, /calls, /status and ``vapimedia top`` tell of them."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from scene import STOP, Scene, call_sid, media, running
from wire import until

from vapimedia.cli import main
from vapimedia.session import CallSummary


async def metrics(scene: Scene) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by its name and labels."""
    text = (await scene.get("/metrics", admin=True)).body.decode()
    families = list(text_string_to_metric_families(text))
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def value(samples: dict[Any, float], name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def is_counter(name: str) -> bool:
    return name.endswith(("_total", "_bucket", "_count", "_sum"))


async def talk(phone: Any, leg: Any, n: int) -> None:
    """Both sides speak *n* frames."""
    begun = len(leg.audio)
    for _ in range(n):
        phone.text(media(b"\x10" * 160))
        await leg.socket.send_bytes(b"\x20" * 160)
    await until(lambda: leg.audio.count(b"\x10" * 160) and len(leg.audio) - begun >= n * 160)


async def test_metrics_never_go_back_while_calls_come_and_end() -> None:
    seen: list[dict[Any, float]] = []
    async with running() as scene:
        seen.append(await metrics(scene))
        for number in (1, 2):
            async with scene.call(number) as (phone, leg):
                await talk(phone, leg, 5)
                seen.append(await metrics(scene))
            await until(lambda: not scene.bridge.calls)
            seen.append(await metrics(scene))
    for before, after in pairwise(seen):
        for key, figure in before.items():
            if is_counter(key[0]):
                assert after[key] >= figure, key
    assert [value(one, "vapimedia_calls") for one in seen] == [0, 1, 0, 1, 0]
    last = seen[-1]
    assert value(last, "vapimedia_media_messages_total", path="uplink", direction="in") == 10
    assert value(last, "vapimedia_audio_seconds_total", path="uplink", fate="received") == pytest.approx(0.2)
    assert value(last, "vapimedia_hop_seconds_count", path="uplink", hop="send") >= 10
    assert value(last, "vapimedia_loop_lag_seconds_count", worker="0") > 0


async def test_a_live_call_tells_the_keys_of_its_summary_and_what_is_so_now() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        await talk(phone, leg, 10)
        [shown] = json.loads((await scene.get("/calls", admin=True)).body)
        status = json.loads((await scene.get("/status", admin=True)).body)
    assert set(CallSummary.__struct_fields__) <= set(shown)
    assert msgspec.convert(shown, CallSummary).call_id == call_sid()
    assert (shown["worker"], shown["state"], shown["provider_format"]) == (0, "live", "mulaw/8000")
    assert shown["age_ms"] > 0 and shown["caller_dbfs"] == pytest.approx(-6.4, abs=1)
    assert {"count", "p50_us", "p99_us", "max_us"} == set(shown["uplink"]["send"])
    assert {"gaps", "gap_ms", "queued_ms", "heard_ms"} <= set(shown["downlink"])
    assert set(shown["marks"]) == {"outstanding", "last_sent", "last_played"}
    assert "+1500" not in json.dumps(status)
    [worker] = status["workers"]
    assert (worker["calls"], worker["ended"]) == (1, 0) and worker["cpu_s"] > 0
    assert [one["call_id"] for one in status["calls"]] == [call_sid()]


async def test_top_shows_the_live_calls_of_a_running_bridge(capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as scene, scene.call() as (phone, leg):
        await talk(phone, leg, 3)
        url = f"http://127.0.0.1:{scene.bridge.admin_port}"
        assert await asyncio.to_thread(main, ["top", url, "--once"]) == 0
    head, _, row = capsys.readouterr().out.splitlines()
    assert "1 calls" in head and "0 ended" in head
    assert row.startswith(call_sid()[-10:]) and " live " in row


async def test_what_a_peer_does_not_read_is_seen_as_backlog() -> None:
    async with running() as scene, scene.call() as (_, leg):
        leg.request.transport.pause_reading()  # type: ignore[union-attr]
        [call] = scene.bridge.calls
        while call.vapi.write_backlog < 200_000:
            call.vapi.send_text(b"x" * 2048)
        await until(lambda: call.vapi.max_backlog_bytes > 0)
        assert call.vapi.held_bytes > 4096
        assert call.vapi.unsent_bytes > 0 or sys.platform != "linux"
        [shown] = json.loads((await scene.get("/calls", admin=True)).body)
        assert shown["vapi_backlog_bytes"] > 4096 and shown["provider_backlog_bytes"] == 0
        samples = await metrics(scene)
        name = "vapimedia_socket_backlog_bytes_bucket"
        total = value(samples, name, leg="vapi", where="user", le="+Inf")
        assert value(samples, name, leg="vapi", where="user", le="4096") < total
        assert value(samples, name, leg="provider", where="user", le="1") > 0
        leg.request.transport.resume_reading()  # type: ignore[union-attr]
    await until(lambda: scene.ended)
    assert scene.ended[0].summary.vapi_backlog_max_bytes > 4096


async def test_the_end_of_a_call_is_one_line_of_ids_and_figures(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vapimedia.call")
    async with running() as scene, scene.call() as (phone, leg):
        await talk(phone, leg, 10)
        phone.text(STOP)
        await until(lambda: scene.ended)
    [line] = [
        record.getMessage() for record in caplog.records if record.getMessage().startswith("call_ended ")
    ]
    assert f" call_id={call_sid()} " in line and " reason=provider_stop " in line and "\n" not in line
    for word in (
        "up_messages_in=10 ",
        "down_messages_in=10 ",
        "up_p50_ms=",
        "down_p99_ms=",
        "gaps=0 ",
        "heard_s=",
        "provider_backlog_max_bytes=0 vapi_backlog_max_bytes=0 ",
        "loop_lag_max_ms=",
    ):
        assert word in line, line
    [told] = [event.summary for event in scene.ended]
    [kept] = scene.bridge.summaries
    assert told == kept and told.loop_lag_max_ms > 0
    assert told.uplink is not None and told.uplink.send is not None


@pytest.mark.slow
async def test_no_scrape_holds_the_loop_of_two_hundred_calls_for_long() -> None:
    async with running(max_calls=300, ping_interval_s=3600) as scene, AsyncExitStack() as stack:
        for number in range(1, 201):
            phone, leg = await stack.enter_async_context(scene.call(number))
            await talk(phone, leg, 3)
        for path in ("/metrics", "/calls", "/status"):
            held_s = [await longest_hold_s(scene.get(path, admin=True)) for _ in range(10)]
            print(f"{path} {min(held_s) * 1e3:.2f} ms")
            assert min(held_s) < 0.02, "1 to 2 ms where nothing else runs"


async def longest_hold_s(work: Coroutine[Any, Any, object]) -> float:
    """How much processor time one turn of the loop took at most while it did *work*."""
    task = asyncio.create_task(work)
    longest_s, last_s = 0.0, time.thread_time()
    while not task.done():
        await asyncio.sleep(0)
        now_s = time.thread_time()
        longest_s, last_s = max(longest_s, now_s - last_s), now_s
    return longest_s
