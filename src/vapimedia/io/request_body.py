"""Read the body of a request within bounds of our own, whatever those of the application are."""

from __future__ import annotations

import asyncio

from aiohttp import web

__all__ = ["BODY_TIMEOUT_S", "read_body"]

BODY_TIMEOUT_S = 10.0


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """Return the body as it is on the wire. Raises the ``HTTPException`` to answer with.

    A body may be too long, too slow, compressed, broken, or broken off.
    """
    # A signature is over what was sent, and a few kilobytes may stand for gigabytes.
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise _closing(
            request, web.HTTPUnsupportedMediaType(text="the body is compressed; send it as it is\n")
        )
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
        raise _closing(request, web.HTTPBadRequest(text="the body cannot be read\n")) from None
    return bytes(body)


def _closing(request: web.Request, answer: web.HTTPException) -> web.HTTPException:
    # aiohttp would read on, to keep the connection, and log what it meets again.
    request.content.feed_eof()
    answer.force_close()
    return answer
