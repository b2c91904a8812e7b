"""A phone that sends twenty times real time gets 2 s ahead and no further: what is more is dropped, and counted to the
frame; what goes on is whole and in order. In 30 s of it the bridge grows by 5 MiB at most."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from fault_scene import elapsed_ms, faulty
from fault_talk import FRAME, SILENCE, numbered
from faulty_call import live_call
from own_bridge import own_bridge
from scene import STOP, Leg, media
from wire import Wire, frame, nothing_left, on_both_loops, until

TIMES = 20
AHEAD_MS = 2000
MOST_KB = 5 * 1024


async def flood(phone: Wire, seconds: float) -> int:
    """Send so long, in bursts of 20 ms; return how many frames."""
    loop, n_sent = asyncio.get_running_loop(), 0
    begun_s = loop.time()
    for k in range(round(seconds * 50)):
        await asyncio.sleep(begun_s + k * 0.02 - loop.time())
        texts = [json.dumps(media(numbered(n_sent + i))).encode() for i in range(TIMES)]
        phone.send(b"".join(frame(1, text) for text in texts))
        n_sent += TIMES
        await phone.writer.drain()
    return n_sent


def heard(leg: Leg) -> list[bytes]:
    """What came of it at Vapi, silence left out."""
    audio = bytes(leg.audio)
    frames = [audio[at : at + FRAME] for at in range(0, len(audio), FRAME)]
    return [one for one in frames if one != SILENCE]


def judge(n_sent: int, took_s: float, leg: Leg, uplink: dict[str, Any]) -> None:
    """Expect what must hold of what came and of what the bridge counted."""
    came, sent = heard(leg), {numbered(i): i for i in range(n_sent)}
    order = [sent[one] for one in came]  # each is one that was sent, whole
    assert order == sorted(set(order))
    assert uplink["messages_in"] == n_sent
    unread_ms = uplink["dropped_closed_ms"]  # Vapi is in this process, and may not have read for a moment
    assert uplink["dropped_flood_ms"] + unread_ms == 20 * (n_sent - len(came))
    assert uplink["dropped_overflow_ms"] == 0
    # Two seconds ahead of real time, and what real time gave meanwhile.
    assert AHEAD_MS - 100 - unread_ms <= 20 * len(came) <= AHEAD_MS + 1000 * took_s + 100


@on_both_loops
async def test_two_seconds_are_kept_and_the_rest_is_dropped_and_counted() -> None:
    async with faulty() as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid
        async with nothing_left(), live_call(scene) as (phone, leg):
            call, since_s = scene.bridge.calls[0], asyncio.get_running_loop().time()
            n_sent = await flood(phone, 0.3)
            await until(lambda: call.summary().uplink.messages_in == n_sent)
            uplink = msgspec.to_builtins(call.summary().uplink)
            phone.text(STOP)  # what was said before it has arrived when Vapi is told
            await until(lambda: leg.is_over)
            judge(n_sent, elapsed_ms(since_s) / 1000, leg, uplink)
        assert [event.reason for event in scene.ended] == ["provider_stop"]


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(180)
async def test_thirty_seconds_of_it_cost_five_mebibytes_at_most() -> None:
    async with own_bridge() as bridge:
        async with live_call(bridge.scene, 1) as (phone, leg):  # lets the first call's costs be paid
            await flood(phone, 1)
            phone.text(STOP)
            await until(lambda: leg.is_over)
        await bridge.until_over()
        before_kb = bridge.forget_peak()
        async with live_call(bridge.scene, 2) as (phone, leg):
            since_s = asyncio.get_running_loop().time()
            n_sent = await flood(phone, 30)
            async with asyncio.timeout(10):
                while (uplink := (await bridge.calls())[0]["uplink"])["messages_in"] < n_sent:
                    await asyncio.sleep(0.05)
            phone.text(STOP)
            await until(lambda: leg.is_over)
            judge(n_sent, elapsed_ms(since_s) / 1000, leg, uplink)
        grown_kb = bridge.rss_kb("VmHWM") - before_kb
        assert grown_kb <= MOST_KB
        print(f"{grown_kb} KiB more, {len(heard(leg)) * 20} ms of {n_sent * 20} ms kept")
