"""A server on loopback for as long as a test needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    """Serve *app* and yield the base URL, without a slash at its end."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def on_loopback(*routes: web.RouteDef) -> AsyncIterator[str]:
    """Serve *routes* and yield the base URL, without a slash at its end."""
    app = web.Application()
    app.add_routes(routes)
    async with serving(app) as url:
        yield url
