"""The bridge of a fault test: real sockets, canaries for secrets, and nothing of it left afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from canaries import CANARIES, SETTINGS
from scene import Scene, Vapi, running
from wire import nothing_left

from vapimedia import Bridge

__all__ = ["elapsed_ms", "faulty", "timers"]


@asynccontextmanager
async def faulty(
    vapi: Vapi | None = None, prepare: Callable[[Bridge], object] | None = None, **changes: Any
) -> AsyncIterator[Scene]:
    """Run a bridge and a Vapi as ``scene.running`` does, with secrets that must not show.

    Expects that once both are closed no task, timer or socket is left. What a fault leaves while the bridge lives
    on is for the test to look at: ``async with wire.nothing_left(): ...`` around the call.
    """
    before = timers()
    async with nothing_left(), running(vapi, prepare, **SETTINGS | changes) as scene:
        scene.auth_token = CANARIES["Twilio's token"]
        yield scene
    for _ in range(100):  # not by `until`: it holds a timer itself
        if timers() <= before:
            break
        await asyncio.sleep(0.01)
    assert timers() <= before, "timers are left"


def timers() -> int:
    """How many timers the loop holds, where it tells (asyncio's own does, uvloop's does not)."""
    held = getattr(asyncio.get_running_loop(), "_scheduled", ())
    return sum(not one.cancelled() for one in held)


def elapsed_ms(since_s: float) -> float:
    """Milliseconds of the loop's clock since *since_s*."""
    return 1000 * (asyncio.get_running_loop().time() - since_s)
