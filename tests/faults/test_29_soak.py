"""Calls come and go for long, in every way that a call can end: memory and descriptors stay where they were."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys

import pytest
from fault_scene import faulty
from scene import STOP, call_sid, media, start, stream_url
from wire import descriptors, until

from vapimedia.io.memory import allocated_bytes

N_FIRST, N_CALLS = 40, 200


@pytest.mark.slow
async def test_after_200_calls_nothing_is_held_but_what_is_remembered_of_each() -> None:
    async with faulty(max_calls=5) as scene:

        async def call(number: int) -> None:
            answer = await scene.voice(number)
            async with scene.socket(stream_url(answer)) as phone:
                phone.text(start(number))
                leg = await scene.vapi.leg(number)
                phone.text(media(b"\x10" * 160))
                await until(lambda: leg.audio)
                match number % 4:
                    case 0:
                        phone.reset()
                    case 1:
                        leg.drop()
                    case 2:
                        await leg.say({"type": "status-update", "status": "ended"})
                    case _:
                        phone.text(STOP | {"stop": {"callSid": call_sid(number)}})
                if number % 4:
                    await phone.close_code()
                    phone.close()
                await until(lambda: leg.is_over and len(scene.ended) == number)
            leg.audio.clear()

        async def settled() -> tuple[int, int, int]:
            bridge = scene.bridge
            await until(lambda: not bridge.calls and not bridge._tasks)
            await asyncio.sleep(0.1)
            gc.collect()
            live = sum(
                type(one).__name__ in ("LiveCall", "MediaSocket", "CallSession") for one in gc.get_objects()
            )
            return len(descriptors()), live, allocated_bytes() or 0

        for number in range(1, N_FIRST + 1):
            await call(number)
        before = await settled()
        for number in range(N_FIRST + 1, N_FIRST + N_CALLS + 1):
            await call(number)
        after = await settled()
        assert after[0] <= before[0] and after[1] <= before[1], (before, after)
        remembered = (after[2] - before[2]) / N_CALLS
        print(f"{before} before, {after} after: {remembered:.0f} bytes of C's allocator are kept for a call")
        assert remembered < 16_384


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(900)
def test_ten_minutes_with_churn_leave_memory_and_descriptors_where_they_were() -> None:
    """The bounds are the command's own: 1 MiB of resident memory since minute 3, and less of the allocators'."""
    done = subprocess.run(
        [sys.executable, "-m", "vapimedia", "bench", "soak", "--minutes", "10", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    rss = found["growth"]["rss_kb"]
    assert rss["end"] - rss["baseline"] <= 1024
    assert found["growth"]["allocated_kb"] is not None and found["faults"] == []
    assert sum(found["churned"]["ended"].values()) > 3000
    print({name: found[name] for name in ("growth", "p99_us", "end_ms", "notes")})
