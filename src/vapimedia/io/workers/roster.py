"""Keeps the workers running: starts them, replaces those that die, notices those that are stuck."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from vapimedia.errors import ConfigError, VapimediaError
from vapimedia.io.workers.messages import Body, Close, Setup
from vapimedia.io.workers.process import WorkerProcess

__all__ = ["Roster"]

_log = logging.getLogger("vapimedia.workers")

_START_S = 30.0
_PING_S = 1.0
_STUCK_S = 20.0
"""A worker that has not answered for so long is killed: its callers have heard nothing since."""
_CLOSE_S = 15.0
"""More than a worker takes to end what hangs on others."""
_STEADY_S = 10.0
"""Whoever lived for so long died of something new: its successor starts at once."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
_MAX_FAILED_STARTS = 5


class Roster:
    """*n* workers. *make* makes one by its number, *setup* is what it is told first; *lost* hears of each end.

    A number is never used again: what names a worker that is gone names nobody.
    """

    def __init__(
        self,
        n: int,
        make: Callable[[int, Callable[[WorkerProcess], None]], WorkerProcess],
        setup: Callable[[int], Setup],
        lost: Callable[[WorkerProcess], None],
    ) -> None:
        self.workers: dict[int, WorkerProcess] = {}
        self.restarts = 0
        self.is_empty = asyncio.Event()
        self.is_empty.set()
        self.given_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why no worker can be had."""
        self._n = n
        self._make, self._setup, self._lost = make, setup, lost
        self._last_number = 0
        self._ending: Body | None = None
        self._n_failed_starts = 0
        self._n_short_lives = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start all; return once they are ready. Raises ``ConfigError`` with what one of them says is wrong."""
        first = [self._new() for _ in range(self._n)]
        try:
            for worker in first:
                await self._spawn(worker)
        except OSError as error:  # no process, no descriptor is free
            raise VapimediaError(
                f"worker {worker.number} cannot be started: {error.strerror or error}"
            ) from None
        for worker in first:
            try:
                is_ready = await asyncio.wait_for(asyncio.shield(worker.ready), _START_S)
            except TimeoutError:
                raise VapimediaError(f"worker {worker.number} was not ready within {_START_S:g} s") from None
            if worker.failure:
                raise ConfigError(worker.failure)
            if not is_ready:
                raise VapimediaError(
                    f"worker {worker.number} ended with code {worker.exit_code} before it could serve; see its "
                    "output above"
                )
        self._run(self._watch())

    @property
    def ready(self) -> list[WorkerProcess]:
        """The workers that take connections."""
        return [worker for worker in self.workers.values() if worker.is_ready]

    def tell(self, body: Body) -> None:
        """Tell every worker."""
        for worker in list(self.workers.values()):
            worker.tell(body)

    def end(self, body: Body) -> None:
        """Tell every worker to end, by *body*; none is replaced any more."""
        self._ending = body
        self.tell(body)

    async def close(self) -> None:
        """End every worker, and wait for it."""
        self.end(Close())
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await asyncio.wait_for(self.is_empty.wait(), _CLOSE_S)
        except TimeoutError:
            _log.error("workers that do not end are killed: %d", len(self.workers))
            for worker in self.workers.values():
                worker.kill()
            await self.is_empty.wait()

    # --- one worker ------------------------------------------------------------------------------

    def _new(self) -> WorkerProcess:
        self._last_number += 1
        return self._make(self._last_number, self._gone)

    async def _spawn(self, worker: WorkerProcess) -> None:
        await worker.start(self._setup(worker.number))
        self.workers[worker.number] = worker
        self.is_empty.clear()
        if self._ending is not None:  # that was said while the process was being made
            worker.tell(self._ending)

    def _gone(self, worker: WorkerProcess) -> None:
        self.workers.pop(worker.number, None)
        is_meant = worker.has_left or self._ending is not None
        _log.log(
            logging.INFO if is_meant else logging.ERROR,
            "worker %d (process %d) ended with code %s, calls that ended with it: %d",
            *(worker.number, worker.pid, worker.exit_code, worker.n_seats),
        )
        self._lost(worker)
        if not self.workers:
            self.is_empty.set()
        if self._ending is None:
            self._run(self._replace(worker))

    async def _replace(self, late: WorkerProcess) -> None:
        has_served = late.ready.result()
        self._n_failed_starts = 0 if has_served else self._n_failed_starts + 1
        is_short = time.monotonic() - late.started_s < _STEADY_S and not late.has_left
        self._n_short_lives = self._n_short_lives + 1 if is_short else 0
        if self._n_failed_starts >= _MAX_FAILED_STARTS and not self.ready:
            if not self.given_up.done():
                why = late.failure or f"the last one with code {late.exit_code}; see its output above"
                self.given_up.set_result(
                    f"{self._n_failed_starts} workers in a row ended before they could serve: {why}"
                )
            return
        if self._n_short_lives:
            pause_s = _FIRST_PAUSE_S * 2 ** min(self._n_short_lives - 1, 10)
            await asyncio.sleep(min(pause_s, _LONGEST_PAUSE_S))
        if self._ending is not None:
            return
        worker = self._new()
        self.restarts += 1
        try:
            await self._spawn(worker)
        except OSError as error:  # no process, no descriptor is free
            _log.error("worker %d cannot be started: %s", worker.number, error.strerror or error)
            worker.ready.set_result(False)
            self._run(self._replace(worker))
            return
        if await worker.ready:
            self._n_failed_starts = 0
            _log.info("worker %d serves in place of worker %d", worker.number, late.number)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_PING_S)
            for worker in list(self.workers.values()):
                starting_s = (
                    0.0 if worker.is_ready or worker.has_left else time.monotonic() - worker.started_s
                )
                if worker.silent_s > _STUCK_S or (starting_s > _START_S and not worker.ready.done()):
                    _log.error("worker %d does not answer: it is killed", worker.number)
                    worker.kill()
                elif worker.is_ready:
                    worker.ping()

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
