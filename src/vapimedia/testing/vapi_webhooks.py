"""Vapi's webhooks: posts to the server URL with retries, and a judge of the replies to tool calls."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp

from vapimedia.testing.no_answer import why_no_answer
from vapimedia.testing.vapi_auth import SecretAuth, WebhookAuth
from vapimedia.testing.vapi_shapes import reply_problems

__all__ = ["Backoff", "ToolCall", "WebhookPost", "WebhookSender", "judge_tool_replies", "judge_tool_reply"]
__all__ += ["post_webhook", "server_of"]

# Whatever the server asks for, a phone rings meanwhile.
_FIXED_TIMEOUTS_S = {"assistant-request": 7.5}


@dataclass
class WebhookPost:
    """One message posted to the server URL. ``status`` is 0 when no answer came; ``no_answer`` tells why.

    ``statuses`` are those of all attempts, which had the same ``body``; ``status``, ``reply``, ``headers`` (as
    sent) and ``elapsed_ms`` are of the last. ``problems`` is what Vapi would not accept of the answer.
    """

    type: str
    message: dict[str, Any]
    status: int = 0
    reply: str = ""
    elapsed_ms: float = 0.0
    url: str = ""
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    no_answer: str = ""

    @property
    def json(self) -> Any:
        """The reply, decoded; ``None`` when it is no JSON."""
        try:
            return json.loads(self.reply)
        except ValueError:
            return None


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


@dataclass(frozen=True)
class Backoff:
    """When a webhook is sent again: after every answer but 2xx and the *excluded* statuses, and after none."""

    type: Literal["fixed", "exponential"] = "fixed"
    max_retries: int = 0
    base_delay_s: float = 1.0
    excluded: tuple[int, ...] = ()

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> Backoff:
        """Read a ``backoffPlan``."""
        kind: Literal["fixed", "exponential"] = (
            "exponential" if plan.get("type") == "exponential" else "fixed"
        )
        excluded = tuple(int(code) for code in plan.get("excludedStatusCodes", ()))
        return cls(kind, int(plan.get("maxRetries", 0)), float(plan.get("baseDelaySeconds", 1)), excluded)

    def delay_s(self, attempt: int) -> float:
        """Return how long to wait after the *attempt*-th failure, from 1."""
        return self.base_delay_s * (2 ** (attempt - 1) if self.type == "exponential" else 1)


@dataclass
class WebhookSender:
    """Post server messages as Vapi does. *auth* is what proves them unless a server says otherwise.

    *credentials* are what ``server.credentialId`` names. *speed* divides the waits between attempts.
    """

    url: str | None = None
    auth: WebhookAuth | None = None
    timeout_s: float = 20.0
    retries: Backoff = field(default_factory=Backoff)
    credentials: Mapping[str, WebhookAuth] = field(default_factory=dict)
    speed: float = 1.0
    http: aiohttp.ClientSession | None = None

    async def deliver(
        self,
        message: dict[str, Any],
        server: Mapping[str, Any],
        *,
        timeout_s: float | None = None,
        auth: WebhookAuth | None = None,
        retries: Backoff | None = None,
    ) -> WebhookPost:
        """Post ``{"message": ...}`` to *server* (Vapi's object; what it leaves out is this sender's)."""
        kind = str(message["type"])
        post = WebhookPost(kind, message, url=str(server.get("url") or self.url or ""))
        if not post.url or self.http is None or self.http.closed:
            post.problems.append("no server URL to ask")
            return post
        post.body = json.dumps({"message": message}).encode()
        if retries is None:
            plan = server.get("backoffPlan")
            retries = Backoff.of(plan) if plan else self.retries
        limit_s = timeout_s or server.get("timeoutSeconds") or self.timeout_s
        limit_s = _FIXED_TIMEOUTS_S.get(kind, limit_s)
        proof = auth or self._proof(server)
        for attempt in range(1, retries.max_retries + 2):
            headers = {"Content-Type": "application/json"}
            if proof is not None:
                headers |= proof.headers(post.body, post.url)
            # An Authorization header among the server's own replaces the credential's.
            post.headers = headers | {
                str(name): str(value) for name, value in server.get("headers", {}).items()
            }
            await self._attempt(self.http, post, limit_s)
            done = 200 <= post.status < 300 or post.status in retries.excluded
            if done or attempt > retries.max_retries:
                break
            await asyncio.sleep(retries.delay_s(attempt) / self.speed)
        if not post.status:
            post.problems.append(post.no_answer)
        elif kind == "tool-calls":
            post.problems += _tool_problems(post)
        else:
            post.problems += reply_problems(kind, post.status, post.reply)
        return post

    def _proof(self, server: Mapping[str, Any]) -> WebhookAuth | None:
        if server.get("credentialId") in self.credentials:
            return self.credentials[server["credentialId"]]
        return SecretAuth(server["secret"]) if server.get("secret") else self.auth

    @staticmethod
    async def _attempt(http: aiohttp.ClientSession, post: WebhookPost, timeout_s: float) -> None:
        begun = time.monotonic()
        post.status, post.reply, post.no_answer = 0, "", ""
        try:
            timeout = aiohttp.ClientTimeout(total=timeout_s)
            async with http.post(post.url, data=post.body, headers=post.headers, timeout=timeout) as answer:
                reply = await answer.text()
                post.status, post.reply = answer.status, reply
        except (aiohttp.ClientError, TimeoutError) as error:
            post.no_answer = why_no_answer(error, timeout_s)
        post.statuses.append(post.status)
        post.elapsed_ms = (time.monotonic() - begun) * 1000


async def post_webhook(
    http: aiohttp.ClientSession, url: str, secret: str | None, message: dict[str, Any], timeout_s: float
) -> WebhookPost:
    """Post ``{"message": ...}`` once, with ``X-Vapi-Secret`` if there is a *secret*, and wait for the answer."""
    sender = WebhookSender(url, None if secret is None else SecretAuth(secret), timeout_s, http=http)
    return await sender.deliver(message, {}, retries=Backoff())


def server_of(message: Mapping[str, Any], setting: Callable[[str], Any]) -> Mapping[str, Any]:
    """Return where a message goes by the assistant's settings, as Vapi's ``server`` object; empty: nowhere.

    A tool's own server comes before the assistant's, and so does that of its endpointing.
    """
    usual = _object(setting("server"))
    match message["type"]:
        case "tool-calls":
            asked = message.get("toolCallList", ())
            names = {one.get("name") or one["function"]["name"] for one in asked}
            for tool in _object(setting("model")).get("tools", ()):
                if _object(tool.get("function")).get("name") in names:
                    return _object(tool.get("server")) or usual
        case "call.endpointing.request":
            plan = _object(_object(setting("startSpeakingPlan")).get("smartEndpointingPlan"))
            return _object(plan.get("server")) or usual
    return usual


def _object(found: Any) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}


def judge_tool_replies(tools: Sequence[ToolCall], post: WebhookPost) -> None:
    """Fill all *tools* of one message from its reply, which must hold them in order and nothing else."""
    for tool in tools:
        judge_tool_reply(tool, post)
    if any(tool.problems for tool in tools):
        return
    ids = [one["toolCallId"] for one in post.json["results"]]
    if ids != [tool.id for tool in tools]:
        for tool in tools:
            tool.problems.append("the results are not those that were asked for, in their order")


def _tool_problems(post: WebhookPost) -> list[str]:
    asked = post.message.get("toolCallList", ())
    tools = [ToolCall(one["id"], one.get("name") or one["function"]["name"], {}) for one in asked]
    judge_tool_replies(tools, post)
    return list(dict.fromkeys(problem for tool in tools for problem in tool.problems))


def judge_tool_reply(call: ToolCall, post: WebhookPost) -> None:
    """Fill *call* from the reply: 200 and ``{"results": [{"toolCallId", "name", "result" | "error"}]}``."""
    call.status, call.elapsed_ms = post.status, post.elapsed_ms
    if post.status != 200:
        answer = (
            f"HTTP status {post.status}, Vapi reads 200 only"
            if post.status
            else post.no_answer or "no answer"
        )
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
