"""The demo's bridge as a child process: start it, follow what it says, get its figures."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

import msgspec

from vapimedia.cli.demo_lines import Line, Moment, Ready, Result
from vapimedia.errors import VapimediaError
from vapimedia.io.config import BridgeConfig
from vapimedia.secret import reveal_to_ourselves

__all__ = ["BridgeProcess"]

T = TypeVar("T")

_START_TIMEOUT_S = 20.0
_FINISH_TIMEOUT_S = 10.0
_MAX_LINE_BYTES = 1 << 20


class BridgeProcess:
    """An async context manager; inside, ``port`` is known. *on_moment* is called for every event."""

    def __init__(self, settings: BridgeConfig, on_moment: Callable[[Moment], None]) -> None:
        self.port = 0
        self._settings = settings
        self._on_moment = on_moment
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Ready]
        self._result: asyncio.Future[Result]

    async def __aenter__(self) -> BridgeProcess:
        loop = asyncio.get_running_loop()
        self._ready, self._result = loop.create_future(), loop.create_future()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "vapimedia.cli.demo_bridge",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_MAX_LINE_BYTES,
            start_new_session=True,  # Ctrl-C is the parent's; its end closes the child's standard input
        )
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise VapimediaError("the demo's bridge process has no pipes")
        self._reader = asyncio.create_task(self._read(process.stdout))
        try:
            process.stdin.write(msgspec.json.encode(self._settings, enc_hook=reveal_to_ourselves) + b"\n")
            await process.stdin.drain()
            self.port = (await self._wait_for(self._ready, _START_TIMEOUT_S)).port
        except BaseException:
            await self._end(at_once=True)
            raise
        return self

    async def finish(self) -> Result:
        """Close the bridge and return what it measured."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
        return await self._wait_for(self._result, _FINISH_TIMEOUT_S)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end(at_once=error is not None)

    async def _wait_for(self, future: asyncio.Future[T], timeout_s: float) -> T:
        try:
            return await asyncio.wait_for(asyncio.shield(future), timeout_s)
        except TimeoutError:
            raise VapimediaError("the demo's bridge process does not answer") from None

    async def _read(self, lines: asyncio.StreamReader) -> None:
        decoder = msgspec.json.Decoder(Line)
        async for line in lines:
            match decoder.decode(line):
                case Moment() as moment:
                    self._on_moment(moment)
                case Ready() as ready if not self._ready.done():
                    self._ready.set_result(ready)
                case Result() as result if not self._result.done():
                    self._result.set_result(result)
        for future in (self._ready, self._result):
            if not future.done():
                future.set_exception(VapimediaError("the demo's bridge process ended early; see above"))

    async def _end(self, *, at_once: bool) -> None:
        process = self._process
        if process is not None:
            if at_once:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            if process.stdin is not None:
                process.stdin.close()
            try:
                await asyncio.wait_for(process.wait(), _FINISH_TIMEOUT_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)
        for future in (self._ready, self._result):
            if future.done():
                future.exception()  # retrieved: nobody else may have asked
            else:
                future.cancel()
