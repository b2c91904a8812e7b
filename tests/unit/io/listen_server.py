"""A listenUrl that plays scripts, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web

Script = int | list[bytes | str | int | float]
"""An HTTP status, or the messages of a connection; a number is a close code, 0 an abort, 0.5 a pause in s."""


class Server:
    def __init__(self, scripts: list[Script]) -> None:
        self.scripts = scripts
        self.headers: list[dict[str, str]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if isinstance(script, int):
            return web.Response(status=script, headers={"Location": "/elsewhere"} if script < 400 else {})
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        with suppress(ConnectionError):  # the client has had enough
            await self._play(script, ws, request)
        return ws

    async def _play(
        self, script: list[bytes | str | int | float], ws: web.WebSocketResponse, request: web.Request
    ) -> None:
        for what in script:
            if isinstance(what, bytes):
                await ws.send_bytes(what)
            elif isinstance(what, str):
                await ws.send_str(what)
            elif isinstance(what, float):
                await asyncio.sleep(what)
            elif what == 0:
                assert request.transport is not None
                await asyncio.sleep(0.02)
                request.transport.abort()
            else:
                await ws.close(code=what)


@asynccontextmanager
async def serving(*scripts: Script) -> AsyncIterator[Server]:
    server = Server(list(scripts))
    app = web.Application()
    app.router.add_get("/call-1/listen", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"ws://127.0.0.1:{runner.addresses[0][1]}/call-1/listen"
    try:
        yield server
    finally:
        await runner.cleanup()
