"""A hundred interruptions in a second: after each the queue is empty within 20 ms, and all that was dropped is
counted to the sample."""

from __future__ import annotations

import asyncio

import pytest
from fault_scene import faulty
from media_feeds import noise
from media_laws import missing_from_ledger_ms
from session_fakes import INTERRUPTED, Driver
from wire import CLOSE, TEXT, Wire, on_uvloop_mostly

from vapimedia.session import BargeIn

N = 100
BYTES = 4000  # half a second: far more than is played between two interruptions


def test_in_virtual_time_each_clear_empties_the_queue_at_once_and_counts_to_the_sample() -> None:
    call = Driver().go_live()
    cleared_ms = 0.0
    for n in range(N):
        call.vapi_message(noise(BYTES, seed=n), False)
        call.advance(5)
        queued_ms = call.session.downlink.queued_ms(call.now_ns)
        assert queued_ms > 0
        call.vapi_text(INTERRUPTED)
        assert call.session.downlink.queued_ms(call.now_ns) == 0
        cleared_ms += queued_ms
        call.advance(5)
    summary = call.session.summary(call.now_ns)
    assert summary.barge_ins == summary.downlink.clears == N
    assert [command.data for command in call.without_audio(call.to_provider) if command.data == b"clear"] == [
        b"clear"
    ] * N
    assert summary.downlink.cleared_ms == pytest.approx(cleared_ms, abs=1e-6)
    assert summary.downlink.audio_in_ms == N * BYTES / 8
    assert missing_from_ledger_ms(summary.downlink) == pytest.approx(0, abs=1e-6)


async def count_clears(phone: Wire, n: int) -> int:
    """Read what the phone is told until *n* clears have come."""
    n_clears = 0
    while n_clears < n:
        opcode, payload = await phone.read_frame()
        assert opcode != CLOSE, payload
        n_clears += opcode == TEXT and b'"clear"' in payload[:60]
    return n_clears


@pytest.mark.slow
@on_uvloop_mostly
async def test_over_sockets_each_of_a_hundred_clears_a_second_leaves_nothing_queued() -> None:
    async with faulty() as scene, scene.call() as (phone, leg):
        loop = asyncio.get_running_loop()
        call = scene.bridge.calls[0]
        counting = asyncio.create_task(count_clears(phone, N))
        downlink, took_ms = call.session.downlink, []
        start_s = loop.time()
        for n in range(N):
            await asyncio.sleep(max(0.0, start_s + n * 0.01 - loop.time()))
            await leg.socket.send_bytes(noise(BYTES, seed=n))
            await leg.say({"type": "user-interrupted", "turnId": str(n)})
            said_s = loop.time()
            while downlink.stats().clears <= n:
                await asyncio.sleep(0)
            took_ms.append(1000 * (loop.time() - said_s))
            assert downlink.stats().queued_ms == 0
        assert await asyncio.wait_for(counting, 5) == N
        # A busy machine may hold up one or the other; each is a turn of the loop.
        assert sorted(took_ms)[N * 9 // 10] <= 20
        assert [event for event in scene.events if isinstance(event, BargeIn)][N - 1 :]
        summary = call.summary()
        assert summary.barge_ins == summary.downlink.clears == N
        assert summary.downlink.audio_in_ms == N * BYTES / 8
        assert missing_from_ledger_ms(summary.downlink) == pytest.approx(0, abs=1e-6)
