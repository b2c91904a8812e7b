"""One worker: a bridge behind its supervisor. ``python -m vapimedia.io.workers.worker DESCRIPTOR``.

It inherits one end of a socket pair and follows what comes over it: its settings first, then connections. When
the supervisor is gone it takes nothing new, lets its calls run out, and ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.io.bridge import Bridge
from vapimedia.io.call_setup import Dialects
from vapimedia.io.desk import Entry
from vapimedia.io.front_door import address_of
from vapimedia.io.http_head import MAX_HEAD_BYTES, Head, read_head
from vapimedia.io.log_format import write_log
from vapimedia.io.loop import run
from vapimedia.io.public_port import PublicPort
from vapimedia.io.snapshot import source_of, take_snapshot
from vapimedia.io.user_app import load_app
from vapimedia.io.workers import messages as say
from vapimedia.io.workers.channel import Channel
from vapimedia.io.workers.remote_desk import RemoteDesk
from vapimedia.protocols.dialect import Refusal, UpgradeRequest
from vapimedia.protocols.seen import NotedUses

__all__ = ["Worker", "main"]

_log = logging.getLogger("vapimedia.workers")

_FAILED_EXIT = 1
_ANSWER_S = 1.0


class Worker:
    """Serves what comes over *end* until its bridge is closed."""

    def __init__(self, end: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._setup: asyncio.Future[say.Setup] = loop.create_future()
        self._channel = Channel(end, self._told, self._asked, self._supervisor_is_gone)
        self.bridge: Bridge
        self._public: PublicPort
        self._is_ready = False
        self._leaving: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> int:
        """Run until the bridge is closed; return the exit code."""
        setup = await self._setup
        write_log(setup.log_level, setup.config.log_format, worker=setup.number)
        try:
            await self._start(setup)
        except ConfigError as error:
            self._channel.tell(say.Failed(str(error)))
            self._channel.close()
            return _FAILED_EXIT
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave_alone)
        self._channel.tell(say.Ready())
        await self.bridge.wait_closed()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop.remove_signal_handler(signal.SIGTERM)
        self._channel.tell(say.Last(self._snapshot()))
        self._channel.close()
        return 0

    async def _start(self, setup: say.Setup) -> None:
        bridge = self.bridge = load_app(setup.config.app) if setup.config.app else Bridge()
        bridge.configure(setup.config)
        bridge.check()
        self._number = setup.number
        bridge.port, bridge.admin_port = setup.port, setup.admin_port
        desk = RemoteDesk(self._channel, setup.number, setup.secret)
        # What is good once is spent in the supervisor: the clerk sees to it, and it judges every upgrade.
        self._public = await bridge.set_up(desk, Dialects(setup.config, NotedUses()), _no_upgrade)
        self._is_ready = True

    # --- what the supervisor says ----------------------------------------------------------------

    def _told(self, body: say.Body, connection: socket.socket | None) -> None:
        match body:
            case say.Passed():
                self._take(body, connection)
            case say.Ping():
                self._channel.tell(say.Pong())
            case say.Setup() if not self._setup.done():
                self._setup.set_result(body)
            case say.Drain() | say.Close() if not self._is_ready:
                os._exit(0)  # nothing was begun yet
            case say.Drain(reason):
                self._leave(reason)
            case say.Close():
                self._run(self.bridge.close())

    async def _asked(self, body: say.Body) -> say.Body:
        match body:
            case say.AskWork(errand):
                return say.Relayed(await self.bridge.clerk.run(errand))
            case say.AskSnapshot():
                snapshot = await source_of(self.bridge, self._number)()
                return say.Taken(msgspec.msgpack.encode(snapshot))
        return say.Broken()

    def _snapshot(self) -> bytes:
        return msgspec.msgpack.encode(take_snapshot(self.bridge, self._number))

    # --- connections -----------------------------------------------------------------------------

    def _take(self, passed: say.Passed, connection: socket.socket | None) -> None:
        if connection is None:
            _log.error("a connection could not be taken over: no descriptor is free; raise the limit")
            self.bridge.count("connection_lost")
            if passed.provider and passed.ticket is None:
                self.bridge.desk.give_back([])
        elif not passed.provider:
            self._public.to_http(connection)
        else:
            self._to_media(passed, connection)

    def _to_media(self, passed: say.Passed, connection: socket.socket) -> None:
        try:
            head = read_head(connection.recv(MAX_HEAD_BYTES, socket.MSG_PEEK))
        except OSError:
            head = None
        if head is None:  # it was whole a moment ago: the peer has left
            connection.close()
            if passed.ticket is None:
                self.bridge.desk.give_back([])
            return
        dialect = self.bridge.dialects.new(passed.provider)
        if passed.ticket is None:  # it was judged already: this is for what the upgrade tells of its format
            dialect.check_upgrade(UpgradeRequest(head.target, head.headers, address_of(connection)))
        taker = self.bridge.reception.let_in(Entry(passed.provider, dialect, passed.ticket))
        self._public.to_media(connection, head, taker)

    # --- the end ---------------------------------------------------------------------------------

    def _leave_alone(self) -> None:
        """SIGTERM to this worker: the others go on, and one comes in its place."""
        self._channel.tell(say.Draining())
        self._leave("SIGTERM")

    def _supervisor_is_gone(self) -> None:
        if not self._is_ready:
            os._exit(_FAILED_EXIT)  # nothing was begun yet
        _log.error("the supervisor is gone: this worker drains")
        self._leave("the supervisor is gone")

    def _leave(self, reason: str) -> None:
        if self._leaving is None:
            self._leaving = self._run(self._run_out(reason))

    async def _run_out(self, reason: str) -> None:
        await self.bridge.run_out(reason)
        await self._channel.ask(say.AskLeave(self._snapshot()))
        # It may have taken in what is about a call of another worker, and relayed it: a tool takes its time.
        await self._public.wait_answered(self.bridge.config.answer_timeout_s + _ANSWER_S)
        await self.bridge.close()

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _no_upgrade(_head: Head, _remote: str) -> Refusal:
    return Refusal(404, "a worker does not listen")


async def _serve(end: socket.socket) -> int:
    return await Worker(end).serve()


def main() -> int:
    """Serve over the socket whose descriptor is the argument; return the exit code."""
    # The terminal's Ctrl-C reaches every process; what it means is the supervisor's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end = socket.socket(fileno=int(sys.argv[1]))
    end.set_inheritable(False)
    return run(_serve(end))


if __name__ == "__main__":
    sys.exit(main())
