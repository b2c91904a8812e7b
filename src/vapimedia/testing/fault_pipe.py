"""One direction of a connection through a ``FaultProxy``.

::

    client  --- up --->  read -> [(due, bytes), ...] -> write  --->  server
    client  <-- down --  write <- [(due, bytes), ...] <- read  <---  server

The reader is paced by *rate*, the row of waiting bytes is the *latency*, the writer cuts into *slices*; a stall stops
both ends of a pipe, so that the sender feels it as soon as the kernel's buffers are full.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress

__all__ = ["READ_BYTES", "Pipe", "detach", "release"]

READ_BYTES = 65536
_RATE_STEP_S = 0.020
_MAX_HELD_BYTES = 4 << 20


def release(sock: socket.socket, *, reset: bool = False) -> None:
    """Close *sock* at once and forget it in the loop; with *reset* its peer gets a RST."""
    if sock.fileno() < 0:
        return
    detach(sock)
    if reset:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def detach(sock: socket.socket) -> None:
    """Have the loop forget *sock*."""
    if sock.fileno() >= 0:
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock)
        loop.remove_writer(sock)


class Pipe:
    """One direction. The fields may be changed at any time; what is on its way stays in order."""

    def __init__(self) -> None:
        self.latency_s = 0.0
        self.slice_bytes = 0
        self.rate = 0.0  # bytes per second; 0: as they come
        self.n_bytes = 0
        self._runs = asyncio.Event()
        self._runs.set()
        self._held: deque[tuple[float, bytes]] = deque()  # b"" is the end
        self._n_held = 0
        self._changed = asyncio.Event()
        self._resuming: asyncio.TimerHandle | None = None

    def stall(self, seconds: float | None) -> None:
        """Let bytes wait for *seconds*, or until ``resume()``."""
        self.resume()
        self._runs.clear()
        if seconds is not None:
            self._resuming = asyncio.get_running_loop().call_later(seconds, self.resume)

    def resume(self) -> None:
        """End a stall."""
        if self._resuming is not None:
            self._resuming.cancel()
        self._resuming = None
        self._runs.set()

    def stop(self) -> None:
        """Touch the sockets no more, even where a task was about to wake."""
        self.stall(None)

    async def read(self, source: socket.socket) -> None:
        """Take bytes in until the sender is done."""
        loop = asyncio.get_running_loop()
        link_free = last_due = 0.0
        data = b"-"
        while data:
            data = await self._receive(source)
            if self.rate and data:
                link_free = max(link_free, loop.time()) + len(data) / self.rate
                await asyncio.sleep(link_free - loop.time())
            # Never before what was sent earlier, however the latency was changed.
            last_due = max(last_due, loop.time() + self.latency_s)
            self._held.append((last_due, data))
            self._n_held += len(data)
            self._changed.set()

    async def write(self, target: socket.socket) -> None:
        """Give them out when they are due, then the end."""
        loop = asyncio.get_running_loop()
        while True:
            await self._until(lambda: bool(self._held))
            due, data = self._held[0]
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            if not data:
                await self._running()
                target.shutdown(socket.SHUT_WR)
                return
            await self._send(target, memoryview(data))
            self._held.popleft()
            self._n_held -= len(data)
            self._changed.set()

    async def _receive(self, source: socket.socket) -> bytes:
        while True:
            await self._running()
            await self._until(lambda: self._n_held < _MAX_HELD_BYTES)
            size = max(1, min(READ_BYTES, round(self.rate * _RATE_STEP_S))) if self.rate else READ_BYTES
            with suppress(BlockingIOError, InterruptedError):
                if self._runs.is_set():
                    return source.recv(size)
            await _readable(source)

    async def _send(self, target: socket.socket, data: memoryview) -> None:
        while data:
            await self._running()
            size = self.slice_bytes or len(data)
            try:
                n_sent = target.send(data[:size])
            except (BlockingIOError, InterruptedError):
                await _writable(target)
                continue
            self.n_bytes += n_sent
            data = data[n_sent:]
            if self.slice_bytes:
                # Two turns, so that a reader in this loop sees every slice by itself: readiness is looked at in
                # the first, and acted on after this task had its place in it.
                await asyncio.sleep(0)
                await asyncio.sleep(0)

    async def _running(self) -> None:
        while not self._runs.is_set():  # it may be cleared again before this task has its turn
            await self._runs.wait()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        loop.remove_reader(sock)
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock, wake)
    await ready


async def _writable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def wake() -> None:
        loop.remove_writer(sock)
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(sock, wake)
    await ready
