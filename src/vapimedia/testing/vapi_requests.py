"""Vapi's requests to endpointing and knowledge-base servers, and a judge of what they answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from vapimedia.testing.vapi_webhooks import post_webhook

__all__ = ["EndpointingAnswer", "KnowledgeAnswer", "ask_endpointing", "ask_knowledge_base"]

_CALL_ID = "0f6f2b9e-5d0a-4c53-9a37-1d7c6f0a9b11"
_MESSAGE_TYPES = (None, "custom-message")


@dataclass
class EndpointingAnswer:
    """What an endpointing server answered; ``status`` is 0 when no answer came in time."""

    status: int = 0
    timeout_seconds: float | None = None
    elapsed_ms: float = 0.0
    violations: list[str] = field(default_factory=list)


@dataclass
class KnowledgeAnswer:
    """What a knowledge base answered: *documents*, or a *message* to be said."""

    status: int = 0
    documents: list[dict[str, Any]] = field(default_factory=list)
    message: str | None = None
    elapsed_ms: float = 0.0
    violations: list[str] = field(default_factory=list)


async def ask_endpointing(
    url: str,
    said: Iterable[tuple[str, str]],
    *,
    secret: str | None = None,
    call_id: str = _CALL_ID,
    timeout_s: float = 20.0,
) -> EndpointingAnswer:
    """Ask when the caller's turn is over, after *said*: pairs of a role (``user``, ``assistant``) and a text."""
    answer = EndpointingAnswer()
    body = await _ask(
        answer, url, "call.endpointing.request", said, secret=secret, call_id=call_id, timeout_s=timeout_s
    )
    if body is None:
        return answer
    seconds = body.get("timeoutSeconds")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= 15:
        answer.violations.append(f"timeoutSeconds {seconds!r} is not a number in 0..15")
    else:
        answer.timeout_seconds = seconds
    _judge_keys(answer.violations, body, {"timeoutSeconds"})
    return answer


async def ask_knowledge_base(
    url: str,
    said: Iterable[tuple[str, str]],
    *,
    secret: str | None = None,
    call_id: str = _CALL_ID,
    timeout_s: float = 20.0,
) -> KnowledgeAnswer:
    """Ask which documents belong to *said*, as ``ask_endpointing`` has it."""
    answer = KnowledgeAnswer()
    body = await _ask(
        answer, url, "knowledge-base-request", said, secret=secret, call_id=call_id, timeout_s=timeout_s
    )
    if body is None:
        return answer
    message, documents = body.get("message"), body.get("documents")
    if isinstance(message, dict) and isinstance(message.get("content"), str):
        answer.message = message["content"]
        if message.get("type") not in _MESSAGE_TYPES:
            answer.violations.append(f"the message is of type {message['type']!r}")
    elif isinstance(documents, list):
        answer.documents = [one for one in documents if isinstance(one, dict)]
        for one in documents:
            _judge_document(answer.violations, one)
    else:
        answer.violations.append("there are neither documents nor a message with a content")
    _judge_keys(answer.violations, body, {"documents", "message"})
    return answer


def _judge_document(violations: list[str], one: Any) -> None:
    if not isinstance(one, dict) or not isinstance(one.get("content"), str):
        violations.append("a document has no content")
        return
    similarity = one.get("similarity")
    if isinstance(similarity, bool) or not isinstance(similarity, int | float):
        violations.append("a document has no similarity")
    _judge_keys(violations, one, {"content", "similarity", "uuid"})


def _judge_keys(violations: list[str], body: dict[str, Any], known: set[str]) -> None:
    if unknown := set(body) - known:
        violations.append(f"unknown keys: {', '.join(sorted(unknown))}")


async def _ask(
    answer: EndpointingAnswer | KnowledgeAnswer,
    url: str,
    type_: str,
    said: Iterable[tuple[str, str]],
    *,
    secret: str | None,
    call_id: str,
    timeout_s: float,
) -> dict[str, Any] | None:
    """Post the request; return the object in the answer's body, or ``None`` when there is none."""
    pairs = list(said)
    message = {
        "type": type_,
        "timestamp": int(time.time() * 1000),
        "messages": [
            {"role": "bot" if role == "assistant" else role, "message": text, "secondsFromStart": at}
            for at, (role, text) in enumerate(pairs)
        ],
        "messagesOpenAIFormatted": [{"role": role, "content": text} for role, text in pairs],
        "call": {"id": call_id, "type": "vapi.websocketCall", "status": "in-progress"},
    }
    async with aiohttp.ClientSession() as http:
        post = await post_webhook(http, url, secret, message, timeout_s)
    answer.status, answer.elapsed_ms = post.status, post.elapsed_ms
    if post.status != 200:
        answer.violations.append(f"HTTP status {post.status}" if post.status else "no answer in time")
        return None
    try:
        body = json.loads(post.reply)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        answer.violations.append("the answer is not a JSON object")
        return None
    return body
