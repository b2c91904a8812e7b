"""No function of a user's keeps an answer from going out in time."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest

from vapimedia.io.user_code import FAILED, LateError, Runner, UserCodeError, ask_user


async def run(function: Any, *, on_loop: bool = True, deadline_s: float = 5.0) -> Any:
    runner = Runner("test")
    try:
        return await runner.run(function, 1, on_loop=on_loop, deadline_s=deadline_s)
    finally:
        runner.close()


async def test_who_is_late_is_cancelled() -> None:
    told: list[str] = []

    async def slow(number: int) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    with pytest.raises(LateError):
        await run(slow, deadline_s=0.01)
    await asyncio.sleep(0)
    assert told == ["cancelled"]


async def test_who_ignores_being_cancelled_is_not_waited_for() -> None:
    may_end = asyncio.Event()

    async def stubborn(number: int) -> None:
        while not may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await may_end.wait()

    runner = Runner("test")
    with pytest.raises(LateError):
        await runner.run(stubborn, 1, on_loop=True, deadline_s=0.01)
    assert len(runner._late) == 1
    may_end.set()
    await asyncio.sleep(0.01)
    assert not runner._late


async def test_who_is_asked_and_ignores_being_cancelled_is_not_waited_for() -> None:
    may_end = asyncio.Event()

    async def stubborn() -> None:
        while not may_end.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await may_end.wait()

    async with asyncio.timeout(5):
        assert await ask_user("on_call", stubborn, 0.01) is FAILED
    may_end.set()


async def test_nothing_begins_after_its_deadline() -> None:
    begun: list[int] = []
    with pytest.raises(LateError):
        await run(begun.append, on_loop=False, deadline_s=0)
    assert begun == []


async def test_a_thread_that_never_returns_does_not_hold_the_answer() -> None:
    release = threading.Event()
    try:
        with pytest.raises(LateError):
            await run(lambda number: release.wait(10), on_loop=False, deadline_s=0.02)
    finally:
        release.set()


async def test_threads_are_used_again_and_never_more_than_there_may_be() -> None:
    runner, names = Runner("test"), set()

    def work(number: int) -> None:
        names.add(threading.current_thread().name)

    for _ in range(3):
        await runner.run(work, 1, on_loop=False, deadline_s=5.0)
    assert len(names) <= 2  # one may be about to say that it is free
    await asyncio.gather(*(runner.run(work, 1, on_loop=False, deadline_s=5.0) for _ in range(50)))
    assert len(names) <= 16
    runner.close()


@pytest.mark.slow
@pytest.mark.parametrize("on_loop", [True, False])
def test_a_function_that_never_ends_does_not_keep_the_process_from_ending(on_loop: bool) -> None:
    program = f"""
        import asyncio, time
        from vapimedia.io.loop import run
        from vapimedia.io.user_code import LateError, Runner

        def stuck(number):
            time.sleep(1000)

        async def stubborn(number):
            while True:
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    pass

        async def main():
            runner = Runner("test")
            try:
                await runner.run(stubborn if {on_loop} else stuck, 1, on_loop={on_loop}, deadline_s=0.05)
            except LateError:
                runner.close()

        run(main())
        print("over")
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, timeout=30, check=True
    )
    assert ended.stdout.strip() == b"over"


class _Odd(BaseException):
    """What some libraries raise so that nobody catches it."""


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, StopIteration, asyncio.CancelledError, TimeoutError, _Odd]
)
@pytest.mark.parametrize("on_loop", [True, False])
async def test_whatever_is_raised_is_told_by_its_type(error: type[BaseException], on_loop: bool) -> None:
    def raises(number: int) -> None:
        raise error("what a caller said")

    async def raises_on_loop(number: int) -> None:
        raises(number)

    with pytest.raises(UserCodeError) as caught:
        await run(raises_on_loop if on_loop else raises, on_loop=on_loop)
    assert isinstance(caught.value.error, (error, RuntimeError))
    assert "said" not in str(caught.value)
