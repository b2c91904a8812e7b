"""Vapi's requests to endpointing and knowledge-base servers, and a judge of what they answer."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from vapimedia.errors import ConfigError
from vapimedia.testing.vapi_webhooks import post_webhook

__all__ = ["EndpointingAnswer", "KnowledgeAnswer", "ask_endpointing", "ask_knowledge_base"]

_CALL_ID = "0f6f2b9e-5d0a-4c53-9a37-1d7c6f0a9b11"
_KEYS = {"timeoutSeconds", "documents", "message"}


@dataclass
class EndpointingAnswer:
    """What an endpointing server answered; ``status`` is 0 when no answer came."""

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
    said: str | Iterable[tuple[str, str]],
    *,
    secret: str | None = None,
    call_id: str = _CALL_ID,
    timeout_s: float = 20.0,
) -> EndpointingAnswer:
    """Ask when the caller's turn is over, after *said*: pairs of a role (``user``, ``assistant``) and a text.

    A text alone is what the user said. Raises ``ConfigError`` for anything else.
    """
    answer = EndpointingAnswer()
    body = await _ask(
        answer, url, "call.endpointing.request", said, secret=secret, call_id=call_id, timeout_s=timeout_s
    )
    if body is not None:
        answer.timeout_seconds = body["timeoutSeconds"]
    return answer


async def ask_knowledge_base(
    url: str,
    said: str | Iterable[tuple[str, str]],
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
    if body is not None:
        answer.documents = body.get("documents") or []
        answer.message = body["message"]["content"] if "message" in body else None
    return answer


async def _ask(
    answer: EndpointingAnswer | KnowledgeAnswer,
    url: str,
    type_: str,
    said: str | Iterable[tuple[str, str]],
    *,
    secret: str | None,
    call_id: str,
    timeout_s: float,
) -> dict[str, Any] | None:
    """Post the request; return what was answered, or ``None`` when it is nothing that Vapi would take."""
    pairs = _pairs(said)
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
    answer.status, answer.elapsed_ms, answer.violations = post.status, post.elapsed_ms, post.problems
    if post.problems:
        return None
    body: dict[str, Any] = post.json
    if unknown := set(body) - _KEYS:
        answer.violations.append(f"unknown keys: {', '.join(sorted(unknown))}")
    return body


def _pairs(said: str | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    pairs = [("user", said)] if isinstance(said, str) else list(said)
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise ConfigError(
                'said is a text, or pairs of a role and a text such as [("user", "Are you open?")]; '
                f"{pair!r} is no pair"
            )
    return pairs
