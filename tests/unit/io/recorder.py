"""A public port with nothing behind it but a recorder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from wire import Wire, connected, until

from vapimedia.io.http_head import Head
from vapimedia.io.http_port import close_after_answer
from vapimedia.io.lane import Reactor
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.public_port import PublicPort
from vapimedia.protocols.dialect import Refusal


class Recorder:
    """The owner of the sockets that come to ``/media``; everything else is refused."""

    def __init__(self, reactor: Reactor | None = None) -> None:
        self.reactor = reactor
        self.sockets: list[MediaSocket] = []
        self.messages: list[tuple[bytes, bool]] = []
        self.closed: list[int] = []
        self.opened = 0
        self.heads: list[Head] = []
        self.port = 0
        self.max_message: int | None = None
        self.public: PublicPort

    def route(self, head: Head, remote: str) -> MediaSocket | Refusal:
        self.heads.append(head)
        if head.target != "/media":
            return Refusal(404, "there is no media socket at this path")
        self.sockets.append(MediaSocket(self, "provider", self.reactor))
        if self.max_message is not None:
            self.sockets[-1].max_message = self.max_message
        return self.sockets[-1]

    def socket_opened(self, socket: MediaSocket) -> None:
        self.opened += 1

    def socket_message(self, socket: MediaSocket, message: bytes, is_text: bool) -> None:
        self.messages.append((message, is_text))

    def socket_mark_due(self, socket: MediaSocket) -> None:
        """No marks here."""

    def socket_closed(self, socket: MediaSocket, code: int) -> None:
        self.closed.append(code)


async def _echo(request: web.Request) -> web.Response:
    return web.Response(body=await request.read())


@asynccontextmanager
async def listening(*, in_lane: bool = False, kind: type[Recorder] = Recorder) -> AsyncIterator[Recorder]:
    """A public port: an HTTP server that echoes bodies, and a recorder behind its sockets."""
    reactor = Reactor(asyncio.get_running_loop()) if in_lane else None
    recorder = kind(reactor)
    app = web.Application(client_max_size=1 << 20)
    app.on_response_prepare.append(close_after_answer)
    app.router.add_post("/echo", _echo)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    public = PublicPort(recorder.route, runner.server, ping_interval_s=20)  # type: ignore[arg-type]
    recorder.public, recorder.port = public, public.start("127.0.0.1", 0)
    try:
        yield recorder
    finally:
        await public.close()
        for socket in recorder.sockets:
            socket.abort()
        await runner.cleanup()
        await asyncio.sleep(0.01)
        if reactor is not None:
            assert reactor.n_lanes == 0
            reactor.close()


@asynccontextmanager
async def media_socket(reader: str) -> AsyncIterator[tuple[Wire, Recorder]]:
    """A raw client whose socket the recorder owns, read by the *reader*: ``lane`` or ``loop``."""
    in_lane = reader == "lane"
    async with listening(in_lane=in_lane) as recorder, connected(recorder.port) as wire:
        assert (await wire.upgrade("/media")).status == 101
        await until(lambda: recorder.opened and recorder.sockets[0].is_in_lane == in_lane)
        yield wire, recorder
