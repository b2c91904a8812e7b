"""Vapi's webhooks: posts to the server URL, and a judge of the replies."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp

__all__ = ["ToolCall", "WebhookPost", "judge_tool_reply", "post_webhook"]


@dataclass
class WebhookPost:
    """One message posted to the server URL. ``status`` is 0 when no answer came in time."""

    type: str
    message: dict[str, Any]
    status: int = 0
    reply: str = ""
    elapsed_ms: float = 0.0


@dataclass
class ToolCall:
    """A tool call and what the bridge answered. ``problems`` is what Vapi would not accept of the reply."""

    id: str
    name: str
    arguments: dict[str, Any]
    status: int = 0
    result: str | None = None
    error: str | None = None
    elapsed_ms: float = 0.0
    problems: list[str] = field(default_factory=list)


async def post_webhook(
    http: aiohttp.ClientSession, url: str, secret: str | None, message: dict[str, Any], timeout_s: float
) -> WebhookPost:
    """Post ``{"message": ...}`` with ``X-Vapi-Secret`` and wait for the answer."""
    post = WebhookPost(str(message["type"]), message)
    headers = {"X-Vapi-Secret": secret} if secret is not None else {}
    begun = time.monotonic()
    try:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with http.post(url, json={"message": message}, headers=headers, timeout=timeout) as answer:
            post.status, post.reply = answer.status, await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        pass  # status 0 tells it
    post.elapsed_ms = (time.monotonic() - begun) * 1000
    return post


def judge_tool_reply(call: ToolCall, post: WebhookPost) -> None:
    """Fill *call* from the reply: 200 and ``{"results": [{"toolCallId", "name", "result" | "error"}]}``."""
    call.status, call.elapsed_ms = post.status, post.elapsed_ms
    if post.status != 200:
        answer = f"HTTP status {post.status}, Vapi reads 200 only" if post.status else "no answer"
        call.problems.append(answer)
        return
    try:
        results = json.loads(post.reply)["results"]
        (entry,) = [one for one in results if one["toolCallId"] == call.id]
    except (ValueError, TypeError, KeyError):
        call.problems.append("the reply is not {'results': [...]} with one entry for the toolCallId")
        return
    if entry.get("name", call.name) != call.name:
        call.problems.append(f"name is {entry['name']!r}, not {call.name!r}")
    texts = [entry[key] for key in ("result", "error") if key in entry]
    if len(texts) != 1 or not isinstance(texts[0], str):
        call.problems.append("an entry holds one string, as result or error")
        return
    if "\n" in texts[0] or "\r" in texts[0]:
        call.problems.append("a result must be a single line")
    call.result, call.error = entry.get("result"), entry.get("error")
