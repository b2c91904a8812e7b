"""What all custom endpoints have in common: who may ask, how much, and what is counted."""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web

from vapimedia.audio import Resampler
from vapimedia.formats import Quality
from vapimedia.io.user_code import FAILED, ask_user, is_async
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.vapi import (
    Event,
    Malformed,
    WebhookSecrets,
    check_webhook_secret,
    decode_server_message,
)

__all__ = ["LOG", "Endpoint", "RequestEndpoint", "json_reply", "refused"]

LOG = logging.getLogger("vapimedia.endpoints")

MAX_BODY_BYTES = 4 << 20  # a whole conversation, twice
BODY_TIMEOUT_S = 10.0
_MAX_PAIRS = 16

_Wanted = TypeVar("_Wanted", bound=Event)


class Endpoint:
    """Base of the custom endpoints. ``counts`` tells by a word what was refused, late, failed or lost.

    *secret* is what Vapi was told to authenticate with, in any of its three forms, or a ``WebhookSecrets``;
    ``None`` lets everybody in and is for development.
    """

    method = "POST"

    def __init__(self, secret: str | WebhookSecrets | None) -> None:
        self.counts: Counter[str] = Counter()
        # An empty secret refuses everybody: a variable that was never set must not open the door.
        self._secrets = WebhookSecrets.any_of(secret) if isinstance(secret, str) else secret
        self._resamplers: dict[tuple[int, int, Quality], Resampler] = {}
        if secret is None:
            LOG.warning("%s asks for no secret: anybody who knows its URL can use it", type(self).__name__)

    def add_to(self, app: web.Application, path: str) -> None:
        """Serve *path* of *app*."""
        app.router.add_route(self.method, path, self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request: an aiohttp handler."""
        raise NotImplementedError

    def refusal(self, request: web.Request, body: bytes) -> Refusal | None:
        """Return why *request* does not come from Vapi, as far as we know."""
        if self._secrets is None:
            return None
        headers = {name.lower(): value for name, value in request.headers.items()}
        refusal = check_webhook_secret(headers, body, self._secrets, time.time())
        if refusal is not None:
            self.counts["refused"] += 1
            LOG.warning("%s refused a request: %s", type(self).__name__, refusal.reason)
        return refusal

    async def resampler(self, from_hz: int, to_hz: int, quality: Quality) -> Resampler:
        """Return a new resampler. The first of its kind takes up to 30 ms of a thread, the others nothing.

        Raises ``ConfigError`` for rates outside 1000..192000 Hz.
        """
        key = from_hz, to_hz, quality
        if key not in self._resamplers:
            first = await asyncio.to_thread(Resampler, from_hz, to_hz, quality=quality)
            # Kept for its coefficients: streams share them for as long as one lives.
            if len(self._resamplers) < _MAX_PAIRS:
                self._resamplers[key] = first
        return Resampler(from_hz, to_hz, quality=quality)


class RequestEndpoint(Endpoint):
    """An endpoint that is asked by ``{"message": {"type": ...}}``, one message a request."""

    async def read(self, request: web.Request, wanted: type[_Wanted]) -> _Wanted | web.Response:
        """Return the message in the body, or the answer to what is none of ours."""
        body = await self._body(request)
        if isinstance(body, web.Response):
            return body
        refusal = self.refusal(request, body)
        if refusal is not None:
            return refused(refusal)
        message = decode_server_message(body)
        if isinstance(message, wanted):
            return message
        if isinstance(message, Malformed):
            self.counts["malformed"] += 1
            return refused(Refusal(400, f"the body is not a server message: {message.text}"))
        self.counts["other_type"] += 1
        LOG.warning("%s was sent a message of another type", type(self).__name__)
        return json_reply(b"{}")

    async def ask(self, function: Callable[..., Any], given: object, deadline_s: float) -> object:
        """Return what the user's *function* makes of *given*, or ``FAILED``. A plain one runs in a thread."""
        on_loop = is_async(function)

        async def run() -> object:
            result = function(given) if on_loop else await asyncio.to_thread(function, given)
            # A plain wrapper around an async function shows only by what it returns.
            return await result if inspect.isawaitable(result) else result

        answer = await ask_user(f"the function of a {type(self).__name__}", run, deadline_s)
        if answer is FAILED:
            self.counts["failed"] += 1
        return answer

    async def _body(self, request: web.Request) -> bytes | web.Response:
        """Read the body within our own bound, whatever that of the application is."""
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for chunk in request.content.iter_any():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        self.counts["too_large"] += 1
                        return refused(Refusal(413, f"the body has more than {MAX_BODY_BYTES} bytes"))
        except TimeoutError:
            self.counts["slow_body"] += 1
            return refused(Refusal(408, "the body did not come in time"))
        return bytes(body)


def json_reply(body: bytes) -> web.Response:
    """Return the answer 200 with a body of JSON."""
    return web.Response(body=body, content_type="application/json")


def refused(refusal: Refusal) -> web.Response:
    """Return the answer that turns a request away, and closes: its body may not be read to the end."""
    response = web.Response(status=refusal.status, text=f"{refusal.reason}\n")
    response.force_close()
    return response
