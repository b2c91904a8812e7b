"""A peer that is gone without a word, its connection still open, is found by pings within ``ping_interval_s``, which is
20 s at most unless set otherwise; then the call ends as it does after a reset."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from fault_scene import elapsed_ms, faulty
from faulty_call import LEGS, proxied_call, soon
from scene import media
from wire import Wire, nothing_left, on_uvloop_first, until

from vapimedia import BridgeConfig
from vapimedia.io.heartbeat import Beat, Heartbeat

INTERVAL_S = 0.25
AFTER_MS = 200
REASONS = {"provider": "provider_reset", "vapi": "vapi_lost"}


async def talk(phone: Wire) -> None:
    """Be a phone that is there."""
    while True:
        phone.text(media(b"\x10" * 160))
        await asyncio.sleep(0.02)


@on_uvloop_first
@pytest.mark.parametrize("leg_name", LEGS)
async def test_a_peer_that_went_silent_is_found_in_time_and_the_call_ends(leg_name: str) -> None:
    numbers = itertools.count(1)
    async with faulty(ping_interval_s=INTERVAL_S) as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid

        async def attempt() -> float:
            scene.events.clear()
            scene.vapi.controls.clear()
            async with (
                nothing_left(),
                proxied_call(scene, leg_name, next(numbers)) as (phone, leg, connection),
            ):
                phone.text(media(b"\x10" * 160))
                await until(lambda: b"\x10" * 160 in leg.audio)
                since_s = asyncio.get_running_loop().time()
                connection.half_open()
                if leg_name == "provider":
                    await until(lambda: leg.is_over)
                else:
                    talking = asyncio.create_task(talk(phone))
                    assert await phone.close_code() == 1000
                    talking.cancel()
                took_ms = elapsed_ms(since_s)
                await until(lambda: not scene.bridge.calls)
            assert [event.reason for event in scene.ended] == [REASONS[leg_name]]
            assert leg.texts == ([{"type": "end-call"}] if leg_name == "provider" else [])
            return took_ms

        await soon(1000 * INTERVAL_S + AFTER_MS, attempt)


def test_the_interval_that_nobody_set_finds_a_peer_within_20_s() -> None:
    interval_s = BridgeConfig().ping_interval_s
    assert interval_s <= 20
    heart, ms = Heartbeat(interval_s), 1_000_000
    heart.start(ms)
    looks = ((at_ms, heart.beat(at_ms * ms)) for at_ms in range(2, 30_000, 40))  # as often as the pump does
    gone_ms = next(at_ms for at_ms, beat in looks if beat == Beat.BEAT_GONE)
    assert gone_ms <= 20_000
