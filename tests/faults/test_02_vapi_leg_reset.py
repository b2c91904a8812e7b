"""A TCP reset of Vapi's leg closes the provider's within 200 ms: the caller is hung up, or left to the rest of the
provider's document, or gets the fallback. Nothing is written after that to either."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest
import vonage_scene
from fault_scene import elapsed_ms, faulty
from faulty_call import live_call, rst, soon
from scene import ACCOUNT, call_sid, media
from wire import CLOSE, nothing_left, on_both_loops, until

from vapimedia import Bridge, CallInfo
from vapimedia.testing import FaultProxy

BOUND_MS = 200
FALLBACK = [{"action": "talk", "text": "Our assistant is not available."}]


@on_both_loops
@pytest.mark.parametrize("policy", ["hang_up", "continue"])
async def test_the_caller_is_let_go_in_time_and_nothing_is_written_after(policy: str) -> None:
    numbers = itertools.count(1)
    async with faulty(twilio_account_sid=ACCOUNT, on_vapi_lost=policy) as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid

        async def attempt() -> float:
            scene.events.clear()
            scene.vapi.hang_ups.clear()
            scene.vapi.controls.clear()
            number = next(numbers)
            async with nothing_left(), live_call(scene, number) as (phone, leg):
                call = scene.bridge.calls[0]
                for _ in range(20):  # more than goes out at once
                    await leg.socket.send_bytes(b"\x20" * 8000)
                await phone.read_event("media")
                since_s = asyncio.get_running_loop().time()
                rst(leg)
                while (last := await phone.read_frame())[0] != CLOSE:
                    pass
                took_ms = elapsed_ms(since_s)
                assert last[1][:2] == (1000).to_bytes(2, "big")
                for _ in range(10):
                    phone.text(media(b"\x10" * 160))
                phone.close(1000)
                assert await phone.rest() == b""
                # Nor was anything tried.
                assert call.provider.unsent == call.vapi.unsent == 0
                told = [(call_sid(number), {"Status": "completed"})] if policy == "hang_up" else []
                await until(lambda: scene.vapi.controls and scene.vapi.hang_ups == told)
            assert scene.vapi.controls == [(leg.call_id, {"type": "end-call"})]
            assert [event.reason for event in scene.ended] == ["vapi_lost"]
            return took_ms

        await soon(BOUND_MS, attempt)


async def test_the_fallback_hook_runs_in_time() -> None:
    numbers = itertools.count(1)
    asked_s: list[float] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_fallback
        async def fall_back(_info: CallInfo, _status: str) -> Any:
            asked_s.append(asyncio.get_running_loop().time())
            return FALLBACK

    async with (
        vonage_scene.running(None, prepare, on_vapi_lost="continue") as scene,
        FaultProxy("127.0.0.1", scene.vapi.port) as proxy,
    ):
        scene.vapi.socket_url = proxy.url("ws")

        async def attempt() -> float:
            scene.events.clear()
            phone, number = scene.phone(caller=()), next(numbers)
            calling = asyncio.create_task(phone.run())
            connection = await proxy.connection(number)
            await until(lambda: connection.n_bytes_up > 5000)
            since_s = asyncio.get_running_loop().time()
            connection.reset("client")
            await calling
            assert phone.fallback_ncco == FALLBACK
            assert [event.reason for event in scene.ended] == ["vapi_lost"]
            assert len(asked_s) == number
            return 1000 * (asked_s[-1] - since_s)

        await soon(BOUND_MS, attempt)
