"""What a provider's API is asked to do with one phone call, and a socket that is closed only after that."""

from __future__ import annotations

import asyncio

from vapimedia.io.media_socket import MediaSocket
from vapimedia.protocols.commands import CloseSocket

__all__ = ["PhoneRequests"]


class PhoneRequests:
    """The requests of one call that something hangs on, and the timer of its provider's socket."""

    def __init__(self) -> None:
        self.pending: set[asyncio.Task[bool]] = set()
        self.forward: asyncio.Task[bool] | None = None
        """The last request to let the call go on elsewhere."""
        self._closing: asyncio.TimerHandle | None = None

    def keep(self, request: asyncio.Task[bool]) -> asyncio.Task[bool]:
        """Remember a request that is not to be cut, until it is done; returns it."""
        self.pending.add(request)
        request.add_done_callback(self.pending.discard)
        return request

    def close_after(self, request: asyncio.Task[bool], socket: MediaSocket, command: CloseSocket) -> None:
        """Let the peer, whose API was asked to, close first."""

        def close() -> None:
            socket.close(command.code, command.reason)

        def look(request: asyncio.Task[bool]) -> None:
            if request.cancelled() or request.exception() is not None or not request.result():
                close()

        self._closing = asyncio.get_running_loop().call_later(command.grace_ms / 1000, close)
        request.add_done_callback(look)

    def socket_closed(self) -> None:
        """Nothing is left to close."""
        if self._closing is not None:
            self._closing.cancel()
