"""Threads for functions of a user's, which may never return."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["UserThreads"]


class UserThreads:
    """Up to *most* threads, begun as they are needed.

    They are daemons: an executor of the standard library would be joined at the end of the process, which one
    function that never returns puts off for good.
    """

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._waiting: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._n_threads = 0

    def submit(self, function: Callable[[], Any]) -> Future[Any]:
        """Have a thread call *function*; one that is cancelled before its turn is never called."""
        future: Future[Any] = Future()
        self._waiting.put((future, function))
        if not self._idle.acquire(blocking=False) and self._n_threads < self._most:
            threading.Thread(target=self._work, name=f"{self._name}_{self._n_threads}", daemon=True).start()
            self._n_threads += 1
        return future

    def close(self) -> None:
        """Cancel what waits, and end every thread whose function returns. Waits for none."""
        with contextlib.suppress(queue.Empty):
            while (item := self._waiting.get_nowait()) is not None:
                item[0].cancel()
        for _ in range(self._n_threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            future, function = item
            if future.set_running_or_notify_cancel():
                try:
                    result = function()
                except BaseException as error:  # it is raised again where the future is awaited
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            del item, future, function  # not held until the next one comes
            self._idle.release()
