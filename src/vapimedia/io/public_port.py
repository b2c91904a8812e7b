"""One public port for HTTP and WebSocket.

A connection whose head is whole goes, still unread, to picows for a WebSocket upgrade and to aiohttp's server
for everything else. Every HTTP answer closes its connection, so that an upgrade can never arrive on one that
aiohttp holds.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable

from aiohttp import web

from vapimedia.io import media_transport
from vapimedia.io.front_door import FrontDoor, address_of
from vapimedia.io.http_head import Head
from vapimedia.io.http_port import serve_http
from vapimedia.io.media_socket import MediaSocket
from vapimedia.protocols.dialect import Refusal

__all__ = ["PublicPort", "RouteUpgrade"]

_POLL_S = 0.02

RouteUpgrade = Callable[[Head, str], MediaSocket | Refusal]


class PublicPort:
    """Tells upgrades from requests, and hands sockets over.

    *route_upgrade* gets the head of an upgrade and returns the socket that takes it, or why it is refused;
    *http* is aiohttp's server (``AppRunner.server``). A worker's does not listen: connections are passed to it.
    """

    def __init__(
        self,
        route_upgrade: RouteUpgrade,
        http: web.Server,
        *,
        ping_interval_s: float,
    ) -> None:
        self._route_upgrade = route_upgrade
        self._http = http
        self._ping_interval_s = ping_interval_s
        self._door = FrontDoor(self._take)
        self._handovers = self._door.handovers

    def start(self, host: str, port: int) -> int:
        """Bind and listen; return the port. Raises ``OSError`` when the address cannot be had."""
        bound = self._door.bind(host, port)
        self._door.open()
        return bound

    async def close(self) -> None:
        """Stop listening and drop every connection that has not said what it wants."""
        await self._door.close()

    def _take(self, connection: socket.socket, head: Head) -> None:
        if head.is_upgrade:
            self.to_media(connection, head, self._route_upgrade(head, address_of(connection)))
        else:
            self.to_http(connection)

    def to_media(self, connection: socket.socket, head: Head, taker: MediaSocket | Refusal) -> None:
        """Give *connection*, on which the upgrade *head* waits to be read, to *taker*, or refuse it."""
        if isinstance(taker, Refusal):
            self._handovers.refuse(connection, taker)
        else:
            handover = media_transport.accept(connection, taker, self._ping_interval_s, head)
            self._handovers.give(connection, handover)

    def to_http(self, connection: socket.socket) -> None:
        """Give *connection*, on which a request waits to be read, to the HTTP server."""
        self._handovers.give(connection, serve_http(self._http, connection))

    async def wait_answered(self, timeout_s: float) -> None:
        """Wait until every request that came has its answer, for *timeout_s* at most."""
        until = time.monotonic() + timeout_s
        while self._handovers.is_busy or self._http.connections:
            if time.monotonic() >= until:
                break
            await asyncio.sleep(_POLL_S)
