"""One connection through a ``FaultProxy``: two pipes, and what can be done to them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Literal

from vapimedia.testing.fault import Direction, Fault
from vapimedia.testing.fault_pipe import READ_BYTES, Pipe, detach, release

__all__ = ["ProxiedConnection"]

_LINGER_S = 1.0
# tcpi_state after a FIN or a RST came (Linux, net/tcp_states.h): TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, CLOSING.
_ENDED_BY_PEER = frozenset((6, 7, 8, 9, 11))
_CONNECT_S = 10.0


class ProxiedConnection:
    """A connection through the proxy; the same object before, during and after."""

    def __init__(self, client: socket.socket, faults: Iterable[Fault]) -> None:
        self._client = client
        self._server: socket.socket | None = None
        self._up, self._down = Pipe(), Pipe()
        self._faults = tuple(faults)
        self._opened_s = asyncio.get_running_loop().time()
        self._timers: list[asyncio.TimerHandle] = []
        self._task: asyncio.Task[None] | None = None
        self._is_relayed = True
        self._over = asyncio.Event()
        self.broken_by: str | None = None
        """The kind of fault that ended it, or left it half-open; ``None`` for an end that a peer made."""

    # --- what became of it --------------------------------------------------------------------------

    @property
    def n_bytes_up(self) -> int:
        """Bytes given to who was connected to."""
        return self._up.n_bytes

    @property
    def n_bytes_down(self) -> int:
        """Bytes given to who connected."""
        return self._down.n_bytes

    @property
    def is_open(self) -> bool:
        """Whether its sockets are open: half-open ones are, until the proxy closes; one that is cut is not."""
        return not self._over.is_set()

    async def closed(self, timeout_s: float = 10.0) -> None:
        """Wait until it is not open. Raises ``TimeoutError``."""
        await asyncio.wait_for(self._over.wait(), timeout_s)

    def is_left(self, side: Literal["client", "server"]) -> bool:
        """Return whether that peer has ended it, as the kernel knows: a half-open one reads nothing (Linux only)."""
        sock = self._client if side == "client" else self._server
        if sock is None or sock.fileno() < 0:
            return not self.is_open
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _ENDED_BY_PEER

    # --- what can be done to it ---------------------------------------------------------------------

    def apply(self, fault: Fault) -> None:
        """Let a fault of a network begin now, whatever its ``at_s``; ``refuse`` comes too late."""
        if not self._is_relayed:
            return
        match fault.kind:
            case "reset":
                self.reset({"up": "server", "down": "client"}.get(fault.direction, "both"))  # type: ignore[arg-type]
            case "half-open":
                self.half_open()
            case "cut":
                self.cut()
            case "stall":
                self.stall(None if fault.value is None else fault.number, fault.direction)
            case _:
                for pipe in self._pipes(fault.direction):
                    match fault.kind:
                        case "latency":
                            pipe.latency_s = fault.number
                        case "slice":
                            pipe.slice_bytes = int(fault.number)
                        case "rate":
                            pipe.rate = fault.number

    def reset(self, side: Literal["client", "server", "both"] = "both") -> None:
        """Send a RST to who connected (``"client"``), to the target (``"server"``) or to both.

        What is on its way is lost. Where it is to one, the other gets a FIN.
        """
        if self._is_relayed:
            self._stop()
            self.broken_by = "reset"
        release(self._client, reset=side != "server")
        if self._server is not None:
            release(self._server, reset=side != "client")
        self._over.set()

    def half_open(self) -> None:
        """Relay nothing from now on and keep both sockets open until the proxy closes, whatever the peers do."""
        if self._is_relayed:
            self._stop()
            self.broken_by = "half-open"

    def cut(self) -> None:
        """Send a FIN both ways, with what was relayed before it: to WebSockets an end without a close frame."""
        if not self._is_relayed:
            return
        self._stop()
        self.broken_by = "cut"
        loop = asyncio.get_running_loop()
        for sock in self._sockets():
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
            # What is unread when a socket closes turns its FIN into a RST.
            loop.add_reader(sock, _discard, sock)
            self._timers.append(loop.call_later(_LINGER_S, release, sock))
        self._over.set()

    def stall(self, seconds: float | None = None, direction: Direction = "both") -> None:
        """Let bytes wait, for *seconds* or until ``resume()``; nothing is read meanwhile either."""
        if self._is_relayed:
            for pipe in self._pipes(direction):
                pipe.stall(seconds)

    def resume(self, direction: Direction = "both") -> None:
        """End a stall."""
        if self._is_relayed:
            for pipe in self._pipes(direction):
                pipe.resume()

    # --- for the proxy ------------------------------------------------------------------------------

    def start(self, host: str, port: int, buffer_bytes: int | None) -> None:
        """Begin to relay."""
        if any(fault.kind == "refuse" for fault in self._faults):
            self.reset()
            self.broken_by = "refuse"
            return
        self._task = asyncio.get_running_loop().create_task(self._run(host, port, buffer_bytes))

    async def close(self) -> None:
        """Close both sockets, whatever they are in the middle of."""
        self._stop()
        for timer in self._timers:
            timer.cancel()
        for sock in self._sockets():
            release(sock)
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        self._over.set()

    def _pipes(self, direction: Direction) -> list[Pipe]:
        return {"up": [self._up], "down": [self._down], "both": [self._up, self._down]}[direction]

    def _sockets(self) -> list[socket.socket]:
        return [self._client] if self._server is None else [self._client, self._server]

    def _stop(self) -> None:
        """Touch the sockets no more, from this moment on."""
        self._is_relayed = False
        for timer in self._timers:
            timer.cancel()
        for pipe in (self._up, self._down):
            pipe.stop()
        for sock in self._sockets():
            detach(sock)
        if self._task is not None:
            self._task.cancel()

    async def _run(self, host: str, port: int, buffer_bytes: int | None) -> None:
        failed = False
        try:
            server = self._server = await _connected(host, port, buffer_bytes)
            for sock in (self._client, server):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._schedule()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._up.read(self._client))
                tasks.create_task(self._up.write(server))
                tasks.create_task(self._down.read(server))
                tasks.create_task(self._down.write(self._client))
        except* OSError:
            failed = True  # one of them reset it, or nobody listens: the other is told so
        if self._is_relayed:
            self._stop()
            for sock in self._sockets():
                release(sock, reset=failed)
            self._over.set()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        for fault in sorted(self._faults, key=lambda one: one.at_s):
            at = self._opened_s + fault.at_s
            if at <= loop.time():
                self.apply(fault)
            else:
                self._timers.append(loop.call_at(at, self.apply, fault))


def _discard(sock: socket.socket) -> None:
    try:
        data = sock.recv(READ_BYTES)
    except (BlockingIOError, InterruptedError):
        return
    except OSError:
        data = b""
    if not data:
        release(sock)


async def _connected(host: str, port: int, buffer_bytes: int | None) -> socket.socket:
    """Return a socket to the first address of *host* that answers. Raises ``OSError``."""
    loop = asyncio.get_running_loop()
    failure: OSError = OSError("no address")
    for family, kind, protocol, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            if buffer_bytes is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
            async with asyncio.timeout(_CONNECT_S):
                await loop.sock_connect(sock, address)
        except OSError as error:  # TimeoutError is one
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
