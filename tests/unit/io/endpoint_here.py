"""A custom endpoint on loopback for as long as a test needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from loopback import serving

from vapimedia.io.endpoints.base import Endpoint


@asynccontextmanager
async def served(endpoint: Endpoint) -> AsyncIterator[str]:
    """Serve *endpoint* in an application of its own; yield its URL."""
    app = web.Application()
    endpoint.add_to(app, "/here")
    async with serving(app) as url:
        yield f"{url}/here"
