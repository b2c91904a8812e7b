"""One public port for HTTP and WebSocket.

A new connection is only looked at (``MSG_PEEK``) until its head is whole; then its socket, still unread, goes
to picows for a WebSocket upgrade and to aiohttp's server for everything else. Every HTTP answer closes its
connection, so that an upgrade can never arrive on one that aiohttp holds.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import web

from vapimedia.io import media_transport
from vapimedia.io.http_head import MAX_HEAD_BYTES, Head, read_head, refusal
from vapimedia.io.pump import MediaSocket
from vapimedia.protocols.dialect import Refusal

__all__ = ["PublicPort", "close_after_answer"]

_log = logging.getLogger("vapimedia.io")

HANDSHAKE_TIMEOUT_S = 5.0
_ACCEPT_PAUSE_S = 0.2
_BACKLOG = 512


class PublicPort:
    """Listens, tells upgrades from requests, and hands sockets over.

    *route_upgrade* gets the head of an upgrade and returns the socket that takes it, or why it is refused;
    *http* is aiohttp's server (``AppRunner.server``).
    """

    def __init__(
        self,
        route_upgrade: Callable[[Head, str], MediaSocket | Refusal],
        http: web.Server,
        *,
        ping_interval_s: float,
    ) -> None:
        self._route_upgrade = route_upgrade
        self._http = http
        self._ping_interval_s = ping_interval_s
        self._listening: socket.socket | None = None
        self._waiting: dict[socket.socket, asyncio.TimerHandle] = {}
        self._seen: dict[socket.socket, int] = {}  # bytes of a partial head
        self._handovers: set[asyncio.Task[None]] = set()

    def start(self, host: str, port: int) -> int:
        """Bind and listen; return the port. Raises ``OSError`` when the address cannot be had."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        listening.setblocking(False)
        self._listening = listening
        asyncio.get_running_loop().add_reader(listening, self._accept)
        bound: int = listening.getsockname()[1]
        return bound

    def stop_listening(self) -> None:
        """Take no new connections; those that are handed over live on."""
        if self._listening is not None:
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None

    async def close(self) -> None:
        """Stop listening and drop every connection that has not said what it wants."""
        self.stop_listening()
        for connection in list(self._waiting):
            self._drop(connection)
        for task in list(self._handovers):
            task.cancel()
        await asyncio.gather(*self._handovers, return_exceptions=True)

    # --- accepting -------------------------------------------------------------------------------

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
            _log.error("cannot accept connections for now: %s", error.strerror)
            loop.remove_reader(self._listening)
            loop.call_later(_ACCEPT_PAUSE_S, self._accept_again)
            return
        connection.setblocking(False)
        self._waiting[connection] = loop.call_later(HANDSHAKE_TIMEOUT_S, self._drop, connection)
        loop.add_reader(connection, self._peek, connection)

    def _accept_again(self) -> None:
        if self._listening is not None:
            asyncio.get_running_loop().add_reader(self._listening, self._accept)

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
            self._refuse(connection, refusal(431, f"the request head is larger than {MAX_HEAD_BYTES} bytes"))
        elif len(data) <= self._seen.get(connection, 0):
            # Woken up with nothing new: the peer has left, and the socket would stay readable for good.
            self._drop(connection)
        else:
            # The bytes stay in the kernel, so the socket stays readable: wake up only when there are more.
            self._seen[connection] = len(data)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)

    def _release(self, connection: socket.socket) -> None:
        """Stop watching *connection*; it is somebody else's from here."""
        asyncio.get_running_loop().remove_reader(connection)
        self._waiting.pop(connection).cancel()
        self._seen.pop(connection, None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _drop(self, connection: socket.socket) -> None:
        self._release(connection)
        connection.close()

    def _refuse(self, connection: socket.socket, answer: bytes) -> None:
        if connection in self._waiting:
            self._release(connection)
        self._give_away(connection, _answer_and_close(connection, answer))

    def _give_away(self, connection: socket.socket, work: Coroutine[Any, Any, None]) -> None:
        """Run what takes *connection* over; if that is cancelled, perhaps before it began, close it."""
        task = asyncio.get_running_loop().create_task(work)
        self._handovers.add(task)

        def done(task: asyncio.Task[None]) -> None:
            self._handovers.discard(task)
            if task.cancelled():
                connection.close()

        task.add_done_callback(done)

    # --- handing over ----------------------------------------------------------------------------

    def _hand_over(self, connection: socket.socket, head: Head) -> None:
        if not head.is_upgrade:
            self._give_away(connection, self._to_http(connection))
            return
        if head.headers.get("sec-websocket-version") != "13":
            answer = refusal(
                426, "only WebSocket version 13 is spoken here", extra="Sec-WebSocket-Version: 13\r\n"
            )
            self._refuse(connection, answer)
            return
        flaw = head.upgrade_flaw
        if flaw:  # before a one-time token is spent on it
            self._refuse(connection, refusal(400, flaw))
            return
        remote = _address_of(connection)
        taker = self._route_upgrade(head, remote)
        if isinstance(taker, Refusal):
            _log.warning("media socket refused with %d: %s", taker.status, taker.reason)
            self._refuse(connection, refusal(taker.status, taker.reason))
            return
        handover = media_transport.accept(connection, taker, self._ping_interval_s, head)
        self._give_away(connection, handover)

    async def _to_http(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._http, connection)
        except OSError:
            connection.close()


async def close_after_answer(_request: web.Request, response: web.StreamResponse) -> None:
    """Hook for ``on_response_prepare`` of an application behind the port: every answer closes and says so."""
    response.force_close()
    # aiohttp has written its own Connection header before it asks this hook.
    response.headers["Connection"] = "close"


def _address_of(connection: socket.socket) -> str:
    try:
        return str(connection.getpeername()[0])
    except OSError:
        return ""


async def _answer_and_close(connection: socket.socket, answer: bytes) -> None:
    """Send a refusal and linger briefly: closing on unread bytes would reset the answer too."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(1.0):
            await loop.sock_sendall(connection, answer)
            connection.shutdown(socket.SHUT_WR)
            while await loop.sock_recv(connection, 65536):
                pass
    except (OSError, TimeoutError):
        pass
    finally:
        connection.close()
