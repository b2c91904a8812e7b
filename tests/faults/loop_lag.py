"""How long an event loop is held up by whatever runs on it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["Lag", "loop_lag"]

_TURN_S = 0.001


@dataclass
class Lag:
    """``worst_ms`` is the longest time that the loop came late to a timer, ``n_turns`` how often it was looked at."""

    worst_ms: float = 0.0
    n_turns: int = 0


@asynccontextmanager
async def loop_lag() -> AsyncIterator[Lag]:
    """Measure in real time until the end of the block."""
    lag = Lag()

    async def turn() -> None:
        while True:
            due_s = time.monotonic() + _TURN_S
            await asyncio.sleep(_TURN_S)
            lag.worst_ms = max(lag.worst_ms, 1000 * (time.monotonic() - due_s))
            lag.n_turns += 1

    turning = asyncio.create_task(turn())
    try:
        yield lag
    finally:
        turning.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await turning
