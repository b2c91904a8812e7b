"""The listening socket of the public port: accepts, and looks at each request until its head is whole.

A new connection is only looked at (``MSG_PEEK``): it is handed on unread, so that whoever takes it, in this
process or another, reads the request from its first byte.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from vapimedia.io.call_log import plain
from vapimedia.io.http_head import MAX_HEAD_BYTES, Head, read_head, refusal
from vapimedia.protocols.dialect import Refusal

__all__ = ["FrontDoor", "Handovers", "address_of"]

_log = logging.getLogger("vapimedia.io")

HANDSHAKE_TIMEOUT_S = 5.0
_ACCEPT_PAUSE_S = 0.2
_TURNED_AWAY = 16
"""Connections at a time that are refused for want of a descriptor: between two pauses, so that it costs little."""
_BACKLOG = 512
_AT_ONCE = 65536
_MAX_UNREAD = 1 << 20
"""What a refused peer may still say, in bytes, before it is cut off."""
_FULL = refusal(503, "the bridge has no descriptor free for another connection")


class Handovers:
    """The work by which connections are given away; cancelled, perhaps before it began, it closes them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def give(self, connection: socket.socket, work: Coroutine[Any, Any, None]) -> None:
        """Run what takes *connection* over."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                connection.close()

        task.add_done_callback(done)

    def refuse(self, connection: socket.socket, refused: Refusal) -> None:
        """Tell the peer why, in plain HTTP, and close."""
        _log.warning("connection refused with %d: %s", refused.status, plain(refused.reason))
        self.answer(connection, refusal(refused.status, refused.reason))

    def answer(self, connection: socket.socket, answer: bytes) -> None:
        """Send a complete answer and close."""
        self.give(connection, _answer_and_close(connection, answer))

    @property
    def is_busy(self) -> bool:
        """Whether any connection is still being given away."""
        return bool(self._tasks)

    def cancel(self) -> None:
        """Stop what is under way."""
        for task in list(self._tasks):
            task.cancel()

    async def close(self) -> None:
        """Stop what is under way and wait for it."""
        self.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class FrontDoor:
    """Listens, and calls *take* with each connection whose head is whole.

    Its head is then a request for the HTTP server, or an upgrade that nothing is wrong with but, perhaps, whom it
    asks for: malformed ones have been refused. The connection is the taker's from there.
    """

    def __init__(self, take: Callable[[socket.socket, Head], None]) -> None:
        self.handovers = Handovers()
        self._take = take
        self._listening: socket.socket | None = None
        self._reserve: socket.socket | None = None
        self._is_full = False
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._seen: dict[socket.socket, int] = {}  # bytes of a partial head

    def bind(self, host: str, port: int) -> int:
        """Bind and listen; return the port. Raises ``OSError`` when the address cannot be had.

        Who connects waits until ``open``.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listening.setblocking(False)
        self._listening = listening
        bound: int = listening.getsockname()[1]
        return bound

    def open(self) -> None:
        """Let in who connects."""
        if self._listening is not None:
            if self._reserve is None:
                self._reserve = _reserve_of(self._listening)
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

    def stop_listening(self) -> None:
        """Take no new connections; those that are handed over live on."""
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        if self._reserve is not None:
            self._reserve.close()
            self._reserve = None

    async def close(self) -> None:
        """Stop listening and drop every connection that has not said what it wants."""
        self.stop_listening()
        for connection in list(self._waiting):
            self._drop(connection)
        await self.handovers.close()

    def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        if self._listening is None:
            return
        try:
            connection, _address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            # Out of descriptors: the listening socket stays readable, so stop looking at it for a moment.
            if not self._is_full:
                _log.error("cannot accept connections for now, they are refused: %s", error.strerror)
            self._is_full = True
            self._turn_away(self._listening)
            loop.remove_reader(self._listening)
            loop.call_later(_ACCEPT_PAUSE_S, self.open)
            return
        if self._is_full:
            _log.warning("connections are accepted again")
            self._is_full = False
        connection.setblocking(False)
        self._waiting[connection] = loop.call_later(HANDSHAKE_TIMEOUT_S, self._drop, connection)
        loop.add_reader(connection, self._peek, connection)

    def _turn_away(self, listening: socket.socket) -> None:
        """Refuse some of those who wait: for that a descriptor is kept in reserve."""
        for _ in range(_TURNED_AWAY):
            if self._reserve is None:
                return
            self._reserve.close()
            self._reserve = None
            try:
                connection, _address = listening.accept()
                with connection:
                    connection.setblocking(False)
                    connection.send(_FULL)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(MAX_HEAD_BYTES)  # closing on unread bytes would reset the answer too
            except OSError:
                pass
            self._reserve = _reserve_of(listening)

    def _peek(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(MAX_HEAD_BYTES, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
            return
        head = read_head(data)
        if head is not None:
            self._release(connection)
            self._hand_over(connection, head)
        elif len(data) >= MAX_HEAD_BYTES:
            self._release(connection)
            too_large = refusal(431, f"the request head is larger than {MAX_HEAD_BYTES} bytes")
            self.handovers.answer(connection, too_large)
        elif len(data) <= self._seen.get(connection, 0):
            # Woken up with nothing new: the peer has left, and the socket would stay readable for good.
            self._drop(connection)
        else:
            # The bytes stay in the kernel, so the socket stays readable: wake up only when there are more.
            self._seen[connection] = len(data)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)

    def _hand_over(self, connection: socket.socket, head: Head) -> None:
        if head.is_upgrade:  # judged before a one-time token is spent on it
            if head.headers.get("sec-websocket-version") != "13":
                extra = "Sec-WebSocket-Version: 13\r\n"
                answer = refusal(426, "only WebSocket version 13 is spoken here", extra=extra)
                self.handovers.answer(connection, answer)
                return
            if head.upgrade_flaw:
                self.handovers.answer(connection, refusal(400, head.upgrade_flaw))
                return
        self._take(connection, head)

    def _release(self, connection: socket.socket) -> None:
        """Stop watching *connection*; it is somebody else's from here."""
        asyncio.get_running_loop().remove_reader(connection)
        self._waiting.pop(connection).cancel()
        self._seen.pop(connection, None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _drop(self, connection: socket.socket) -> None:
        self._release(connection)
        connection.close()


def address_of(connection: socket.socket) -> str:
    """Return the peer's address; empty if it has left."""
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""


def _reserve_of(listening: socket.socket) -> socket.socket | None:
    """Return one more descriptor, whatever of; ``None`` when there is none."""
    try:
        return listening.dup()
    except OSError:
        return None


async def _answer_and_close(connection: socket.socket, answer: bytes) -> None:
    """Send a refusal and linger briefly: closing on unread bytes would reset the answer too."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(1.0):
            await loop.sock_sendall(connection, answer)
            connection.shutdown(socket.SHUT_WR)
            for _ in range(_MAX_UNREAD // _AT_ONCE):
                if not await loop.sock_recv(connection, _AT_ONCE):
                    break
                await asyncio.sleep(0)  # what is there already is returned without a turn of the loop
    except (OSError, TimeoutError):
        pass
    finally:
        connection.close()
