"""A user's own functions: whether one is async, and what is told when one fails."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from vapimedia.errors import ConfigError

__all__ = ["FAILED", "ask_user", "describe_failure", "is_async", "place_of"]

_log = logging.getLogger("vapimedia.bridge")

_OURS = str(Path(__file__).parents[1])


def is_async(function: object) -> bool:
    """Return whether calling *function* gives a coroutine; an object with an async ``__call__`` counts."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  callable() does not tell whether it is async
    )


def describe_failure(error: BaseException) -> str:
    """Return *error* for the log: its type and place, as its words may be what a caller said.

    The words of a ``ConfigError`` are ours and are told.
    """
    words = f": {error}" if isinstance(error, ConfigError) else ""
    return f"{type(error).__name__}{place_of(error)}{words}"


def place_of(error: BaseException) -> str:
    """Return file and line of the innermost frame outside of this package, as `` (shop.py, line 7)``."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not file.startswith(_OURS) and "importlib" not in file:
            place = f" ({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return place


FAILED = object()
"""What ``ask_user`` returns when the user's function gave no answer."""


async def ask_user(name: str, ask: Callable[[], Awaitable[object]], timeout_s: float) -> object:
    """Await the user's function *name*; log why and return ``FAILED`` if it raises or takes too long."""
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            return await ask()
    except (Exception, asyncio.CancelledError, SystemExit) as error:  # a user's function may raise anything
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # it is us who are cancelled, not something in the function
        if limit.expired():
            _log.error("%s took longer than %g s", name, timeout_s)
        else:
            _log.error("%s raised %s", name, describe_failure(error))
    return FAILED
