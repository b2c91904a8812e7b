"""Endpointing of one's own: how long to wait until the caller's turn is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from vapimedia.io.endpoints.base import RequestEndpoint, json_reply
from vapimedia.io.endpoints.conversation import Conversation
from vapimedia.io.user_code import FAILED, check_answers
from vapimedia.protocols.vapi import CallEndpointingRequest, EndpointingReply, WebhookSecrets

__all__ = ["CustomEndpointing", "Decide"]

_log = logging.getLogger("vapimedia.endpoints")

Decide = Callable[[Conversation], Awaitable[float] | float]


class CustomEndpointing(RequestEndpoint):
    """Serve Vapi's ``custom-endpointing-model``: *decide* returns the seconds until the assistant may speak, 0..15.

    The answer is *default_s* when *decide* raises, returns anything else, or takes longer than *deadline_s*. Vapi asks
    again with every new transcript: a newer request about a call cancels the older, which gets the default too.
    """

    def __init__(
        self,
        decide: Decide,
        *,
        secret: str | WebhookSecrets | None,
        url: str = "",
        default_s: float = 1.0,
        deadline_s: float = 0.5,
    ) -> None:
        check_answers("CustomEndpointing", decide, "(conversation)", 1)
        super().__init__(secret, url)
        self._fallback = EndpointingReply(timeout_seconds=default_s).encode()
        self.decide = decide
        self.deadline_s = deadline_s
        self._deciding: dict[str, asyncio.Task[object]] = {}

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request: an aiohttp handler."""
        due_s = asyncio.get_running_loop().time() + self.deadline_s
        message = await self.read(request, CallEndpointingRequest)
        if isinstance(message, web.Response):
            return message
        conversation = self.conversation(message)
        deciding = asyncio.create_task(self.ask(self.decide, conversation, due_s))
        call_id = conversation.call_id
        older = self._deciding.get(call_id) if call_id else None
        if older is not None and older.cancel():
            self.counts["superseded"] += 1
        self._deciding[call_id] = deciding
        try:
            await asyncio.wait({deciding})
        finally:
            deciding.cancel()
            if self._deciding.get(call_id) is deciding:
                del self._deciding[call_id]
        return json_reply(self._fallback if deciding.cancelled() else self._reply(deciding.result()))

    def _reply(self, seconds: object) -> bytes:
        if seconds is FAILED:
            return self._fallback
        try:
            return EndpointingReply(timeout_seconds=seconds).encode()  # type: ignore[arg-type]
        except (ValueError, TypeError):
            self.counts["bad_reply"] += 1
            _log.error("the endpointing returned %s; it returns seconds, 0..15", _told(seconds))
            return self._fallback


def _told(seconds: object) -> str:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return f"{type(seconds).__name__}, which is no number"
    try:
        return f"{seconds:g}, which is outside 0..15"
    except OverflowError:  # an int beyond all floats
        return "a number far outside 0..15"
