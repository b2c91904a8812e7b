"""Read the body of a request within bounds of our own, whatever those of the application are."""

from __future__ import annotations

import asyncio

from aiohttp import web

__all__ = ["BODY_TIMEOUT_S", "read_body"]

BODY_TIMEOUT_S = 10.0


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """Return the body. Raises the ``HTTPException`` to answer with: too long, too slow, broken, or broken off."""
    too_long = web.HTTPRequestEntityTooLarge(
        max_bytes,
        request.content_length or max_bytes + 1,
        text=f"the body is longer than {max_bytes} bytes\n",
    )
    if (request.content_length or 0) > max_bytes:
        raise too_long
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    raise too_long
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="the body did not come in time\n") from None
    except (web.RequestPayloadError, ConnectionError):
        # aiohttp would read on, to keep the connection, and log what it meets again.
        request.content.feed_eof()
        broken = web.HTTPBadRequest(text="the body cannot be read\n")
        broken.force_close()
        raise broken from None
    return bytes(body)
