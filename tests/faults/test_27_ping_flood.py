"""Pings as fast as a peer can send them while media flows: each is answered, media goes on unharmed, and its median
delay grows by 10 % at most."""

from __future__ import annotations

import asyncio
import statistics

import pytest
from fault_scene import faulty
from faulty_call import LEGS, FarEnd
from media_feeds import heard_by_vapi, noise
from scene import Scene, call_sid, media
from wire import PING, PONG, on_both_loops, until


@on_both_loops
@pytest.mark.parametrize("n_bytes", [8, 124])
async def test_a_flood_is_answered_in_order_and_media_passes_whole(n_bytes: int) -> None:
    async with faulty() as scene, scene.call() as (phone, leg):
        up, pings = noise(4000), [n.to_bytes(2, "big") * (n_bytes // 2) for n in range(500)]
        for n, ping in enumerate(pings):
            phone.frame(PING, ping)
            if n % 20 == 0:
                phone.text(media(up[n // 20 * 160 :][:160]))
        pongs: list[bytes] = []
        while pongs[-1:] != pings[-1:]:
            opcode, payload = await phone.read_frame()
            if opcode == PONG:
                pongs.append(payload)
        # Of pings that come faster than answers are taken the newest will do (RFC 6455 s. 5.5.3).
        left = iter(pings)
        assert all(pong in left for pong in pongs)
        assert await heard_by_vapi(leg, up, b"\xff") >= 0


@pytest.mark.parametrize("name", LEGS)
async def test_a_flood_that_reads_no_answers_does_not_grow_what_is_held(name: str) -> None:
    async with faulty() as scene, scene.call() as (phone, leg):
        if name == "provider":
            phone.writer.transport.pause_reading()  # type: ignore[attr-defined]
        else:
            leg.request.transport.pause_reading()  # type: ignore[union-attr]
        far = FarEnd(name, phone, leg)
        for _ in range(40):
            for _ in range(500):
                far.frame(PING, bytes(125))
            await asyncio.sleep(0.001)
        live = scene.bridge.calls[0]
        socket = live.provider if name == "provider" else live.vapi
        await asyncio.sleep(0.05)
        # What the kernel took, and less than a message of ours: 2.5 MB of answers were due.
        assert socket.write_backlog <= 64 * 1024


async def p50_us(scene: Scene, pings_per_s: int, number: int, seconds: float = 1.0) -> float:
    """Return the median time from the receipt of a call's audio to its sending, beside another's pings."""
    loop = asyncio.get_running_loop()
    async with scene.call(number) as (noisy, _), scene.call(number + 1) as (phone, _leg):
        reading = [asyncio.create_task(one.rest()) for one in (noisy, phone)]
        start_s = loop.time()
        for n in range(int(seconds * 100)):
            for _ in range(pings_per_s // 100):
                noisy.frame(PING, b"12345678")
            if n % 2:
                phone.text(media(noise(160, seed=n)))
            await asyncio.sleep(max(0.0, start_s + (n + 1) * 0.01 - loop.time()))
        live = next(one for one in scene.bridge.calls if one.call_id == call_sid(number + 1))
        summary = live.summary()
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
    await until(lambda: not scene.bridge.calls)
    assert summary.uplink is not None
    assert summary.uplink.send is not None
    assert summary.uplink.messages_in >= 40 * seconds
    return summary.uplink.send.p50_us


@pytest.mark.slow
@pytest.mark.long
async def test_the_median_delay_of_another_call_grows_by_ten_percent_at_most() -> None:
    ratios = []
    async with faulty() as scene:
        for pair in range(5):
            with_flood = await p50_us(scene, 1000, 4 * pair + 1)
            ratios.append(with_flood / await p50_us(scene, 0, 4 * pair + 3))
    print("p50 with a flood of pings to without, in pairs:", [round(ratio, 3) for ratio in ratios])
    assert statistics.median(ratios) <= 1.10
