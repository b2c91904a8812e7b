"""What all custom endpoints have in common: who may ask, how much, and what is counted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web

from vapimedia.audio import Resampler
from vapimedia.errors import ConfigError
from vapimedia.formats import Quality
from vapimedia.io.call_log import plain
from vapimedia.io.endpoints.conversation import Conversation
from vapimedia.io.request_body import read_body
from vapimedia.io.user_code import (
    FAILED,
    LateError,
    Runner,
    UserCodeError,
    describe_failure,
    is_async,
)
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.vapi import (
    CallEndpointingRequest,
    Event,
    KnowledgeBaseRequest,
    Malformed,
    WebhookSecrets,
    check_webhook_secret,
    decode_server_message,
    describe_malformed,
)

__all__ = ["Endpoint", "RequestEndpoint", "json_reply", "refused"]

_log = logging.getLogger("vapimedia.endpoints")

MAX_BODY_BYTES = 4 << 20  # a whole conversation, twice
LINGER_S = 1.0
_MAX_PAIRS = 16

_Wanted = TypeVar("_Wanted", bound=Event)


class Endpoint:
    """Base of the custom endpoints. ``counts`` tells by a word what was refused, late, failed or lost.

    *secret* is what Vapi was told to authenticate with, in any of its three forms, or a ``WebhookSecrets``;
    ``None`` lets everybody in and is for development. *url* is what Vapi was given, for a signature that covers it.
    """

    method = "POST"

    def __init__(self, secret: str | WebhookSecrets | None, url: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self._url = url
        # An empty secret refuses everybody: a variable that was never set must not open the door.
        self._secrets = WebhookSecrets.any_of(secret) if isinstance(secret, str) else secret
        if self._secrets is not None and self._secrets.signs_url and not url:
            raise ConfigError("the signature covers the URL; say which one Vapi was given: url='https://...'")
        self._lingering: set[asyncio.Task[Any]] = set()  # the loop itself holds tasks weakly
        self._resamplers: dict[tuple[int, int, Quality], Resampler] = {}
        if secret is None:
            _log.warning("%s asks for no secret: anybody who knows its URL can use it", type(self).__name__)

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
        refusal = check_webhook_secret(
            headers, body, self._secrets, time.time(), method=request.method, url=self._url
        )
        if refusal is not None:
            self.counts["refused"] += 1
            _log.warning("%s refused a request: %s", type(self).__name__, refusal.reason)
        return refusal

    def body_decides(self, request: web.Request) -> bool:
        """Return whether *request* is signed, so that only its body tells who sent it."""
        return self._secrets is not None and self._secrets.needs_body(request.headers)

    async def put_down(self, task: asyncio.Task[Any]) -> None:
        """Cancel the user's *task* and wait for its end, but not for long: it may refuse."""
        task.cancel()
        await asyncio.wait({task}, timeout=LINGER_S)
        if not task.done():
            self.counts["lingering"] += 1
            _log.error("the function of a %s does not end when it is cancelled", type(self).__name__)
            self._lingering.add(task)
            task.add_done_callback(self._lingering.discard)

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

    def __init__(self, secret: str | WebhookSecrets | None, url: str = "") -> None:
        super().__init__(secret, url)
        self._runner = Runner(f"vapimedia-{type(self).__name__}")

    async def read(self, request: web.Request, wanted: type[_Wanted]) -> _Wanted | web.Response:
        """Return the message in the body, or the answer to what is none of ours."""
        refusal = None if self.body_decides(request) else self.refusal(request, b"")
        if refusal is not None:
            return refused(refusal)
        try:
            body = await read_body(request, MAX_BODY_BYTES)
        except web.HTTPException as error:
            self.counts[f"http_{error.status}"] += 1
            raise
        if self.body_decides(request):
            refusal = self.refusal(request, body)
            if refusal is not None:
                return refused(refusal)
        message = decode_server_message(body)
        if isinstance(message, wanted):
            return message
        if isinstance(message, Malformed):
            self.counts["malformed"] += 1
            reason = describe_malformed(message, body)
            _log.warning("%s cannot read a request: %s", type(self).__name__, plain(reason))
            return refused(Refusal(400, reason))
        self.counts["other_type"] += 1
        _log.warning("%s was sent a message of another type", type(self).__name__)
        return json_reply(b"{}")

    def conversation(self, request: CallEndpointingRequest | KnowledgeBaseRequest) -> Conversation:
        """Return the conversation in *request*; say so when it cannot be read."""
        conversation = Conversation.of(request)
        if conversation.is_unread:
            self.counts["unread_messages"] += 1
            _log.warning(
                "%s was sent messages without a role and a text: the conversation is empty",
                type(self).__name__,
            )
        return conversation

    def add_to(self, app: web.Application, path: str) -> None:
        """Serve *path* of *app*."""
        super().add_to(app, path)
        app.on_cleanup.append(self._let_go)

    async def ask(self, function: Callable[..., Any], given: object, due_s: float) -> object:
        """Return what the user's *function* makes of *given*, or ``FAILED``. A plain one runs in a thread."""
        left_s = due_s - asyncio.get_running_loop().time()
        name = type(self).__name__
        try:
            return await self._runner.run(function, given, on_loop=is_async(function), deadline_s=left_s)
        except LateError:
            self.counts["late"] += 1
            _log.error("the function of a %s was late", name)
        except UserCodeError as error:
            self.counts["failed"] += 1
            _log.error("the function of a %s raised %s", name, describe_failure(error.error))
        return FAILED

    async def _let_go(self, _app: web.Application) -> None:
        self._runner.close()


def json_reply(body: bytes) -> web.Response:
    """Return the answer 200 with a body of JSON."""
    return web.Response(body=body, content_type="application/json")


def refused(refusal: Refusal) -> web.Response:
    """Return the answer that turns a request away, and closes: its body may not be read to the end."""
    response = web.Response(status=refusal.status, text=f"{refusal.reason}\n")
    response.force_close()
    return response
