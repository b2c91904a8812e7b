"""A user's own functions: whether one is async, how it is run with a deadline, what is told when it fails."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from vapimedia.errors import ConfigError
from vapimedia.io.call_log import NOBODY, CallLog
from vapimedia.io.user_threads import UserThreads

__all__ = [
    "FAILED",
    "LateError",
    "Runner",
    "UserCodeError",
    "ask_user",
    "check_answers",
    "check_streams",
    "describe_failure",
    "is_async",
    "is_our_cancelling",
    "place_in",
    "place_of",
]

_log = logging.getLogger("vapimedia.bridge")

_THREADS = 16
_MAX_FRAMES = 30

_OURS = str(Path(__file__).parents[1])


def is_async(function: object) -> bool:
    """Return whether calling *function* gives a coroutine; an object with an async ``__call__`` counts."""
    return _is(inspect.iscoroutinefunction, function)


def check_answers(
    what: str, function: Callable[..., Any], given: str, n_given: int = 2
) -> list[inspect.Parameter]:
    """Return the parameters of *function*, which is called with the *n_given* of *given*.

    Raises ``ConfigError`` if it cannot be called so, nothing tells whether it can, or it is a generator of any kind.
    """
    parameters = _parameters_of(what, function, given, n_given)
    if _is(inspect.isgeneratorfunction, function) or _is(inspect.isasyncgenfunction, function):
        raise ConfigError(f"{what} takes a function that returns its answer; {_name(function)} yields")
    return parameters


def check_streams(what: str, function: Callable[..., Any], given: str) -> None:
    """Raise ``ConfigError`` if *function* does not take the one of *given*, or is a generator that is not async."""
    _parameters_of(what, function, given, 1)
    if _is(inspect.isgeneratorfunction, function):
        raise ConfigError(f"{what} takes an async generator; write async def {_name(function)}")


def _is(kind: Callable[[object], bool], function: object) -> bool:
    return kind(function) or kind(getattr(function, "__call__", None))  # noqa: B004  it asks more than callable()


def _name(function: object) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _parameters_of(
    what: str, function: Callable[..., Any], given: str, n_given: int = 2
) -> list[inspect.Parameter]:
    called = _name(function)
    told: object = ""
    try:
        signature = inspect.signature(function)
        told = signature
        signature.bind(*[None] * n_given)
    except (TypeError, ValueError):  # ValueError: some functions written in C do not tell
        raise ConfigError(f"{what} takes a function of {given}; {called}{told} is none") from None
    return list(signature.parameters.values())


def describe_failure(error: BaseException) -> str:
    """Return *error* for the log: its type and place, as its words may be what a caller said.

    The words of a ``ConfigError`` are ours and are told. At debug level the user's part of the stack follows.
    """
    words = f": {error}" if isinstance(error, ConfigError) else ""
    return f"{type(error).__name__}{place_of(error)}{words}{_stack_of(error)}"


def _stack_of(error: BaseException) -> str:
    """Return files, lines and code of the user's frames, at debug level only: it takes many lines, and reads files."""
    if not _log.isEnabledFor(logging.DEBUG):
        return ""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith(_OURS)]
    return f"\n{''.join(traceback.format_list(frames[-_MAX_FRAMES:]))}".rstrip()


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


def place_in(generator: object) -> str:
    """Return file and line of the ``yield`` at which an async *generator* waits, as ``place_of`` does."""
    frame = getattr(generator, "ag_frame", None)
    return "" if frame is None else f" ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno})"


def is_our_cancelling(error: BaseException) -> bool:
    """Return whether *error* is that the running task is cancelled, and not something in a user's function."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and bool(task.cancelling())


FAILED = object()
"""What stands for an answer when the user's function gave none."""


class LateError(Exception):
    """A user's function has not answered within its deadline."""


class UserCodeError(Exception):
    """A user's function raised ``error``."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class Runner:
    """Runs a user's functions so that none can keep an answer from going out in time.

    Async ones run on the loop and must not block it; others run in one of 16 threads. Who is late is cancelled
    and not waited for, whatever it does about that; a thread goes on, as Python cannot stop it, but one that
    had not begun never does.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: UserThreads | None = None
        self._late: set[asyncio.Task[Any]] = set()  # the loop itself holds tasks weakly

    async def run(self, function: Callable[..., Any], *given: Any, on_loop: bool, deadline_s: float) -> Any:
        """Return what *function* returns. Raises ``LateError`` or ``UserCodeError``."""
        if deadline_s <= 0:
            raise LateError
        task = asyncio.ensure_future(self._guarded(function, given, on_loop=on_loop))
        try:
            done, _ = await asyncio.wait([task], timeout=deadline_s)
        except asyncio.CancelledError:
            self._let_go(task)
            raise
        if not done:
            self._let_go(task)
            raise LateError
        result = task.result()
        if isinstance(result, UserCodeError):
            raise result from result.error
        return result

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        task.cancel()

    async def _guarded(self, function: Callable[..., Any], given: tuple[Any, ...], *, on_loop: bool) -> Any:
        try:
            return await self._start(function, given, on_loop=on_loop)
        except KeyboardInterrupt:
            raise
        # A user's function may raise anything, and SystemExit in a task would end the whole loop.
        except BaseException as error:
            return UserCodeError(error)

    async def _start(self, function: Callable[..., Any], given: tuple[Any, ...], *, on_loop: bool) -> Any:
        if on_loop:
            return await function(*given)
        if self._threads is None:
            self._threads = UserThreads(self._name, _THREADS)
        result = await asyncio.wrap_future(self._threads.submit(functools.partial(_call, function, given)))
        # A plain wrapper around an async function shows only by what it returns.
        return await result if inspect.isawaitable(result) else result

    def close(self) -> None:
        """Let go of the threads; functions that still run are not waited for."""
        if self._threads is not None:
            self._threads.close()
            self._threads = None


def _call(function: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    try:
        return function(*given)
    except StopIteration as error:  # a future cannot hold it
        raise RuntimeError("StopIteration") from error


_asking = Runner("vapimedia-asking")  # all of it on loops: no thread ever begins


async def ask_user(
    name: str, ask: Callable[[], Awaitable[object]], timeout_s: float, log: CallLog = NOBODY
) -> object:
    """Await the user's function *name*; tell *log* why and return ``FAILED`` if it raises or takes too long.

    One that is late is cancelled and not waited for, whatever it does about that.
    """
    try:
        return await _asking.run(ask, on_loop=True, deadline_s=timeout_s)
    except LateError:
        log.fault(f"{name}_late", "%s took longer than %g s", name, timeout_s)
    except UserCodeError as failure:
        log.fault(f"{name}_failed", "%s raised %s", name, describe_failure(failure.error))
    return FAILED
