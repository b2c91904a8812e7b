"""A custom endpoint on loopback for as long as a test needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from vapimedia.io.endpoints.base import Endpoint


@asynccontextmanager
async def served(endpoint: Endpoint) -> AsyncIterator[str]:
    """Serve *endpoint* in an application of its own; yield its URL."""
    app = web.Application()
    endpoint.add_to(app, "/here")
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/here"
    finally:
        await runner.cleanup()
