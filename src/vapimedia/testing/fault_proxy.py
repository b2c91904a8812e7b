"""A TCP relay on loopback that delays, cuts up, stalls, resets and refuses what passes through it.

It works on sockets of its own with the loop's readiness calls, not on transports: a transport reads ahead and sends
by itself, and then a connection cannot be stopped at a byte. It needs a loop with ``add_reader`` (not Windows'
proactor).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from vapimedia.errors import ConfigError
from vapimedia.testing.fault import NETWORK_KINDS, Fault
from vapimedia.testing.fault_connection import ProxiedConnection
from vapimedia.testing.fault_pipe import release

__all__ = ["PATH_BYTES", "FaultProxy"]

PATH_BYTES = 16384
"""What the fakes let wait in each socket of a faulty path: little, so that a reader who stops is felt soon."""
_BACKLOG = 512
_ACCEPT_AGAIN_S = 0.1


class FaultProxy:
    """A relay to *host*:*port*; ``async with`` starts and closes it.

    *faults* apply to connections opened from now on, each counting its own time; the attribute may be changed.
    What ``connections`` do can be changed while they run. *listen_port* 0 picks a free one. *buffer_bytes* is asked
    of the kernel for every socket of the proxy, so that a stalled peer is felt after that much and not after
    megabytes. Closing the proxy closes every connection and leaves no task and no socket.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        faults: Iterable[Fault] = (),
        listen_port: int = 0,
        listen_host: str = "127.0.0.1",
        buffer_bytes: int | None = None,
    ) -> None:
        self.host, self.target_port = host, port
        self.connections: list[ProxiedConnection] = []
        self.faults = list(faults)
        self.buffer_bytes = buffer_bytes
        self._listen = listen_host, listen_port
        self._listener: socket.socket | None = None
        self._arrived = asyncio.Event()
        self._again: asyncio.TimerHandle | None = None

    @property
    def faults(self) -> list[Fault]:
        """What connections opened from now on suffer."""
        return self._faults

    @faults.setter
    def faults(self, faults: Iterable[Fault]) -> None:
        """Raise ``ConfigError`` for a kind that no network has."""
        self._faults = list(faults)
        for fault in self._faults:
            kind = NETWORK_KINDS.get(fault.kind)
            if kind is None:
                known = ", ".join(NETWORK_KINDS)
                raise ConfigError(f"fault {fault.kind!r} is none of a network's; there are {known}")
            if kind.value and (fault.value is not None or not kind.optional):
                fault.number  # noqa: B018  raises where it is none

    @property
    def port(self) -> int:
        """Where it listens."""
        if self._listener is None:
            raise RuntimeError("the proxy is not started; use async with")
        return int(self._listener.getsockname()[1])

    def url(self, scheme: str = "http") -> str:
        """Return the base URL that leads through the proxy, without a slash at its end."""
        return f"{scheme}://{self._listen[0]}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises ``OSError`` where the port is taken."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.buffer_bytes is not None:  # what is accepted inherits it, before the window is announced
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffer_bytes)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffer_bytes)
            listener.setblocking(False)
            listener.bind(self._listen)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        asyncio.get_running_loop().add_reader(listener, self._accept)

    async def close(self) -> None:
        """Close the port and every connection."""
        if self._again is not None:
            self._again.cancel()
        if self._listener is not None:
            release(self._listener)
            self._listener = None
        for connection in self.connections:
            await connection.close()

    async def let_go(self) -> None:
        """Resume what is stalled and close what is half-open, so that no peer waits for the other's last word."""
        for connection in self.connections:
            connection.resume()
            if connection.broken_by == "half-open":
                await connection.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connection(self, n: int = 1, timeout_s: float = 10.0) -> ProxiedConnection:
        """Wait for the *n*-th connection, from 1. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout_s):
            while len(self.connections) < n:
                self._arrived.clear()
                await self._arrived.wait()
        return self.connections[n - 1]

    # --- what comes in ------------------------------------------------------------------------------

    def _accept(self) -> None:
        loop, listener = asyncio.get_running_loop(), self._listener
        if listener is None:
            return
        while True:
            try:
                client, _ = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError:
                # No descriptor is left. The listener stays readable: look again later, or the loop spins.
                loop.remove_reader(listener)
                self._again = loop.call_later(_ACCEPT_AGAIN_S, self._listen_again)
                break
            client.setblocking(False)
            connection = ProxiedConnection(client, self._faults)
            connection.start(self.host, self.target_port, self.buffer_bytes)
            self.connections.append(connection)
        self._arrived.set()

    def _listen_again(self) -> None:
        if self._listener is not None:
            with suppress(OSError):
                asyncio.get_running_loop().add_reader(self._listener, self._accept)
