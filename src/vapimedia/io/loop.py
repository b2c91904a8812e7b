"""Run a coroutine on the fastest event loop that is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

__all__ = ["loop_name", "run"]

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T], *, debug: bool | None = None) -> T:
    """Run *main* to its end on uvloop, or on asyncio's own loop where uvloop is not installed (Windows)."""
    with asyncio.Runner(loop_factory=_loop_factory(), debug=debug) as runner:
        return runner.run(main)


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
