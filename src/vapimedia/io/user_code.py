"""A user's own functions: whether one is async, and what is told when one fails."""

from __future__ import annotations

import inspect
from pathlib import Path

from vapimedia.errors import ConfigError

__all__ = ["describe_failure", "is_async", "place_of"]

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
