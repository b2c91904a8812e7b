"""An event loop that does not wait: where nothing happens on any socket, its clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["SkippingLoop", "in_skipped_time"]

# What is on its way between two sockets of this machine has arrived by then.
_QUIET_S = 0.02


class SkippingLoop(asyncio.SelectorEventLoop):
    """Real sockets, and timers that cost no time. Threads that are waited for do not hold the clock."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped_s = 0.0

    def time(self) -> float:
        return super().time() + self._skipped_s

    def _run_once(self) -> None:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]
        is_waiting = not self._ready and timers and min(timers) > self.time() + _QUIET_S
        if is_waiting and not self._selector.select(_QUIET_S):  # what it finds, the loop finds too
            self._skipped_s += max(0.0, min(timers) - self.time())
        super()._run_once()  # type: ignore[misc]  # asyncio's own, not in its stubs


def in_skipped_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a loop that skips what it would wait for."""

    @functools.wraps(test)
    def run(*given: Any, **fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=SkippingLoop) as runner:
            runner.run(test(*given, **fixtures))

    assert inspect.iscoroutinefunction(test)
    del run.__wrapped__  # type: ignore[attr-defined]  # pytest would take it for the coroutine
    run.__signature__ = inspect.signature(test)  # type: ignore[attr-defined]
    return run
