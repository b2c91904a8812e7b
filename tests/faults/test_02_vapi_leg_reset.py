"""A TCP reset of Vapi's leg closes the provider's within 200 ms: the caller is hung up, or left to the rest of the
provider's document. Nothing is written after that to either."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from fault_scene import elapsed_ms, faulty
from faulty_call import live_call, rst, soon
from scene import ACCOUNT, call_sid, media
from wire import CLOSE, nothing_left, on_both_loops, until

BOUND_MS = 200


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
