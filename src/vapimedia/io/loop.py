"""Run a coroutine on the fastest event loop that is installed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["loop_name", "run"]

T = TypeVar("T")

_log = logging.getLogger("vapimedia.io")

_LAST_S = 2.0
"""What is left of a user's tasks has so long to end when it is cancelled."""


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run *main* to its end on uvloop, or on asyncio's own loop where uvloop is not installed (Windows).

    Tasks that are left are cancelled. One that does not end then is left where it is, and the loop with it.
    """
    runner = asyncio.Runner(loop_factory=_loop_factory(), debug=debug)
    n_left = 0

    async def end_well() -> T:
        nonlocal n_left
        try:
            return await main
        finally:
            n_left = await _end_others()

    try:
        return runner.run(end_well())
    finally:
        if not n_left:  # closing would wait for them, however long
            runner.close()


async def _end_others() -> int:
    """Cancel every other task; return how many of them go on."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if not others:
        return 0
    _, left = await asyncio.wait(others, timeout=_LAST_S)
    if left:
        _log.error("tasks that do not end when they are cancelled are left behind: %d", len(left))
    return len(left)


def loop_name() -> str:
    """Return the name of the loop that ``run`` uses."""
    return "asyncio" if _loop_factory() is None else "uvloop"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415  not a dependency on every platform
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
