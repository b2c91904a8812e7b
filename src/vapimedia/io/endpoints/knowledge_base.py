"""A knowledge base of one's own: which documents belong to a conversation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from vapimedia.io.endpoints.base import RequestEndpoint, json_reply
from vapimedia.io.endpoints.conversation import Conversation
from vapimedia.io.user_code import FAILED, check_answers
from vapimedia.protocols.vapi import Document, KnowledgeBaseReply, KnowledgeBaseRequest, WebhookSecrets

__all__ = ["CustomKnowledgeBase", "Find"]

_log = logging.getLogger("vapimedia.endpoints")

Found = Sequence[Document] | KnowledgeBaseReply
Find = Callable[[Conversation], Awaitable[Found] | Found]

_NOTHING = KnowledgeBaseReply(documents=[]).encode()


class CustomKnowledgeBase(RequestEndpoint):
    """Serve Vapi's ``custom-knowledge-base``: *find* returns documents, best first, or a whole reply.

    The answer is no documents when *find* raises, returns anything else, or takes longer than *deadline_s*: the
    assistant then says what it knows by itself.
    """

    def __init__(
        self, find: Find, *, secret: str | WebhookSecrets | None, url: str = "", deadline_s: float = 5.0
    ) -> None:
        check_answers("CustomKnowledgeBase", find, "(conversation)", 1)
        super().__init__(secret, url)
        self.find = find
        self.deadline_s = deadline_s

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request: an aiohttp handler."""
        due_s = asyncio.get_running_loop().time() + self.deadline_s
        message = await self.read(request, KnowledgeBaseRequest)
        if isinstance(message, web.Response):
            return message
        conversation = self.conversation(message)
        found = await self.ask(self.find, conversation, due_s)
        return json_reply(self._reply(found))

    def _reply(self, found: object) -> bytes:
        if found is FAILED:
            return _NOTHING
        try:
            reply = found if isinstance(found, KnowledgeBaseReply) else _reply_of(found)
            return reply.encode()
        except (TypeError, ValueError) as error:  # a ConfigError is a ValueError; no reply's words are in it
            self.counts["bad_reply"] += 1
            _log.error("the knowledge base returned no documents: %s", error)
            return _NOTHING


def _reply_of(found: object) -> KnowledgeBaseReply:
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        raise TypeError(f"a {type(found).__name__} is no list of Document")
    if not all(isinstance(one, Document) and isinstance(one.content, str) for one in found):
        raise TypeError("a list of Document holds something else, or a content that is no text")
    return KnowledgeBaseReply(documents=list(found))
