"""What outlives a call for a moment: closing handshakes, and requests that something hangs on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from vapimedia.io.live_call import LiveCall

__all__ = ["Leftovers"]

_T = TypeVar("_T")

_CLOSE_GRACE_S = 1.0
_GOING_AWAY = 1001  # RFC 6455 s. 7.4.1


class Leftovers:
    """The tasks that run beside everything else, and the calls that are over but not gone."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()
        self._calls: set[LiveCall] = set()

    def run(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run *work* beside everything else."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def add(self, call: LiveCall) -> None:
        """Remember a call that is over until nothing of it is left."""
        self._calls = {one for one in self._calls if not one.is_gone}
        self._calls.add(call)

    async def settle(self, timeout_s: float) -> None:
        """Give the closing handshakes a moment and the last requests *timeout_s*, then cut what is left."""
        until = time.monotonic() + timeout_s
        # A call that is still being made, here or there, would run on without us.
        while unfinished := [task for call in self._calls for task in call.unfinished]:
            await asyncio.wait(unfinished, timeout=max(0.0, until - time.monotonic()))
            if time.monotonic() >= until:
                break
        if not await _until(self._has_settled, _CLOSE_GRACE_S):
            for call in self._calls:  # a provider that was to close first has not
                call.provider.close(_GOING_AWAY)
                call.vapi.close(_GOING_AWAY)
            await _until(self._is_disconnected, _CLOSE_GRACE_S)
        for call in self._calls:
            call.provider.abort()
            call.vapi.abort()
        for task in self._others():
            task.cancel()
        await asyncio.gather(*self._others(), return_exceptions=True)
        self._calls.clear()

    def _has_settled(self) -> bool:
        return not self._others() and all(call.is_gone for call in self._calls)

    def _is_disconnected(self) -> bool:
        return not any(call.provider.is_connected or call.vapi.is_connected for call in self._calls)

    def _others(self) -> set[asyncio.Task[Any]]:
        return self.tasks - {asyncio.current_task()}


async def _until(condition: Callable[[], bool], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while not condition():
        if time.monotonic() >= until:
            return False
        await asyncio.sleep(0.01)
    return True
