"""HTTP behind a front door: heads in time and within bounds, one request a connection."""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from vapimedia.io.front_door import FrontDoor
from vapimedia.io.http_head import Head
from vapimedia.protocols.dialect import Refusal

__all__ = ["HttpPort", "close_after_answer", "serve_http"]


class HttpPort:
    """Listens for requests and takes no WebSockets. *http* is aiohttp's server (``AppRunner.server``)."""

    def __init__(self, http: web.Server) -> None:
        self._http = http
        self._door = FrontDoor(self._take)

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
            self._door.handovers.refuse(connection, Refusal(404, "there is no WebSocket at this port"))
        else:
            self._door.handovers.give(connection, serve_http(self._http, connection))


async def serve_http(http: web.Server, connection: socket.socket) -> None:
    """Give *connection*, on which a request waits to be read, to aiohttp's server."""
    try:
        await asyncio.get_running_loop().connect_accepted_socket(http, connection)
    except OSError:
        connection.close()


async def close_after_answer(_request: web.Request, response: web.StreamResponse) -> None:
    """Hook for ``on_response_prepare`` of an application behind a door: every answer closes and says so."""
    response.force_close()
    # aiohttp has written its own Connection header before it asks this hook.
    response.headers["Connection"] = "close"
