"""One worker as its supervisor sees it: a process, the channel to it, and how busy it is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

from vapimedia.io.snapshot import Snapshot
from vapimedia.io.workers.channel import Channel
from vapimedia.io.workers.messages import Body, Broken, Failed, Passed, Ping, Pong, Ready, Setup

__all__ = ["WorkerProcess"]

_MODULE = "vapimedia.io.workers.worker"
_MAX_BACKLOG = 256
"""Messages that a worker may leave lying; beyond that nothing is passed to it."""
_SLOW_S = 2.0
"""A worker that has not answered for so long gets nothing new while another does."""
_PENDING_S = 0.25
"""How long a request that was passed counts as load: by then the worker has told whether it became a call."""
_EXIT_S = 5.0
"""What a process may take to end after it has closed its channel."""

Told = Callable[["WorkerProcess", Body], None]
Asked = Callable[["WorkerProcess", Body], Awaitable[Body]]


class WorkerProcess:
    """Start it with ``start``; *told* and *asked* get what it says, *gone* that its process has ended."""

    def __init__(self, number: int, told: Told, asked: Asked, gone: Callable[[WorkerProcess], None]) -> None:
        self.number = number
        self.pid = 0
        self.n_seats = 0
        """Calls that live there, and those that were let in and may still become one."""
        self.is_leaving = False
        """It drains by itself: new calls are for others."""
        self.has_left = False
        """Nothing may be passed any more."""
        self.failure = ""
        """Why it could not start, in its own words."""
        self.snapshot: Snapshot | None = None
        """The last one that it gave."""
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        """Whether it has come so far as to take connections; decided once."""
        self.started_s = time.monotonic()
        self.ended = asyncio.Event()
        self._told, self._asked, self._gone = told, asked, gone
        self._channel: Channel | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._reaper: asyncio.Task[None] | None = None
        self._passed_s: deque[float] = deque()
        self._pinged_s: float | None = None
        self._silent = asyncio.Event()
        self._killing: asyncio.TimerHandle | None = None

    async def start(self, setup: Setup) -> None:
        """Spawn the process and tell it what it is. Raises ``OSError`` if that cannot be done."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, *_safe_path(), "-m", _MODULE, str(theirs.fileno())),
                    pass_fds=(theirs.fileno(),),
                    stdin=asyncio.subprocess.DEVNULL,
                )
            except BaseException:
                ours.close()
                raise
        self.pid = self._process.pid
        self._channel = Channel(ours, self._hear, self._answer, self._hung_up)
        self._channel.tell(setup)
        self._reaper = asyncio.get_running_loop().create_task(self._reap(self._process))

    # --- how it is -------------------------------------------------------------------------------

    @property
    def is_ready(self) -> bool:
        """Whether connections may be passed."""
        is_ready = self.ready.done() and not self.ready.cancelled() and self.ready.result()
        return is_ready and not self.has_left and not self.ended.is_set()

    @property
    def load(self) -> int:
        """Calls that live there, and requests of the last moment."""
        since_s = time.monotonic() - _PENDING_S
        while self._passed_s and self._passed_s[0] < since_s:
            self._passed_s.popleft()
        return self.n_seats + len(self._passed_s)

    @property
    def silent_s(self) -> float:
        """For how long it has owed an answer."""
        return 0.0 if self._pinged_s is None else time.monotonic() - self._pinged_s

    @property
    def is_slow(self) -> bool:
        return self.silent_s > _SLOW_S

    @property
    def exit_code(self) -> int | None:
        return None if self._process is None else self._process.returncode

    # --- what it is told -------------------------------------------------------------------------

    def tell(self, body: Body) -> None:
        """Send *body*; lost if the worker is gone."""
        if self._channel is not None:
            self._channel.tell(body)

    async def ask(self, body: Body) -> Body:
        """Return the answer; ``Broken`` if the worker is gone."""
        return Broken() if self._channel is None else await self._channel.ask(body)

    @property
    def has_room(self) -> bool:
        """Whether it can be given a connection. One that has just died cannot, before its end is noticed."""
        channel = self._channel
        return channel is not None and channel.is_open and channel.backlog < _MAX_BACKLOG

    def pass_on(self, connection: socket.socket, passed: Passed) -> bool:
        """Give *connection* away; return whether there was room for it. Never blocks."""
        if self._channel is None or not self.has_room:
            return False
        self._channel.tell(passed, connection)
        if not passed.provider:
            self._passed_s.append(time.monotonic())
        return True

    def ping(self) -> None:
        """Ask whether it is there, unless it was asked and has not answered."""
        if self._pinged_s is None:
            self._pinged_s = time.monotonic()
            self.tell(Ping())

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    # --- what it says ----------------------------------------------------------------------------

    def _hear(self, body: Body, connection: socket.socket | None) -> None:
        if connection is not None:
            connection.close()  # none is ever sent this way
        match body:
            case Pong():
                self._pinged_s = None
            case Ready() if not self.ready.done():
                self.ready.set_result(True)
            case Failed(reason):
                self.failure = reason
            case _:
                self._told(self, body)

    async def _answer(self, body: Body) -> Body:
        return await self._asked(self, body)

    def _hung_up(self) -> None:
        self._silent.set()
        self._killing = asyncio.get_running_loop().call_later(_EXIT_S, self.kill)

    async def _reap(self, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        with contextlib.suppress(TimeoutError):  # what it said last is heard first
            await asyncio.wait_for(self._silent.wait(), _EXIT_S)
        if self._killing is not None:
            self._killing.cancel()
        if self._channel is not None:
            self._channel.close()
        self.ended.set()
        if not self.ready.done():
            self.ready.set_result(False)
        self._gone(self)


def _safe_path() -> list[str]:
    """Keep files of the folder it is started in, ``secrets.py`` say, from being taken for the library's own.

    An installed command does not look there either, before it imports the app. Where we come from there, it must.
    """
    return [] if Path(__file__).parents[3] == Path.cwd() else ["-P"]
