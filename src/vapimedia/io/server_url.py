"""What Vapi posts to the server URL: who sent it, which call it is about, what answers it, and by when."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from vapimedia.io.call_log import CallNames, about, plain, word_of
from vapimedia.io.desk import name_of
from vapimedia.io.errands import JSON, Errand, Reply, refused
from vapimedia.io.live_call import LiveCall
from vapimedia.io.phone_control import control_phone
from vapimedia.io.repeats import Repeats, key_of
from vapimedia.io.wire_log import regarding
from vapimedia.protocols.dialect import Refusal, WebhookRequest
from vapimedia.protocols.vapi import (
    Event,
    FunctionCall,
    Malformed,
    PhoneCallControl,
    ToolCalls,
    UnknownServerMessage,
    VoiceRequest,
    WebhookSecrets,
    check_webhook_secret,
    decode_server_message,
    describe_malformed,
)

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["ServerUrl"]

_log = logging.getLogger("vapimedia.io")

_TAKEN = Reply(200, b"{}", JSON)
_NETWORK_S, _NETWORK_SHARE = 2.0, 0.2
"""What is left of the time that a tool's server may take: 18 of 20 s, 4 of 5."""
_RELAY_S = 0.2
"""What the way to another worker and back may add to a limit."""
_NEWS_S = 2.0
_GONE = 503
"""What the supervisor answers for a worker that died at it."""


class ServerUrl:
    """One bridge's. What is about a call of another worker is relayed there, and the answer comes from there."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._secrets = bridge.config.webhook_secrets()
        if self._secrets is None and bridge.config.auth:
            self._secrets = WebhookSecrets()  # lets nothing in
        self._repeats = Repeats(bridge.count)
        self._n_asking = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def refusal_of_head(self, head: WebhookRequest) -> Refusal | None:
        """Return why a webhook is refused before its body is read, if that can be told already."""
        if self._secrets is None or self._secrets.needs_body(head.headers):
            return None
        return self._check(head)

    async def answer(self, webhook: WebhookRequest, began_s: float) -> Reply:
        """Check and answer one webhook. *began_s* is when its head was there, on ``time.monotonic``."""
        refusal = self._check(webhook)
        if refusal is not None:
            return Reply.of(refusal)
        return await self._answer(webhook, began_s, may_relay=True)

    async def run(self, webhook: WebhookRequest, spent_s: float) -> Reply:
        """Answer what another worker has checked, and found to be about a call of ours."""
        return await self._answer(webhook, time.monotonic() - spent_s, may_relay=False)

    def _check(self, webhook: WebhookRequest) -> Refusal | None:
        if self._secrets is None:
            return None
        config = self._bridge.config
        refusal = check_webhook_secret(
            webhook.headers,
            webhook.body,
            self._secrets,
            time.time(),
            method=webhook.method,
            url=config.vapi_webhook_url or config.public_url + webhook.path,
        )
        if refusal is not None:
            self._bridge.count("vapi_webhook_refused")
            refused(refusal)
        return refusal

    async def _answer(self, webhook: WebhookRequest, began_s: float, *, may_relay: bool) -> Reply:
        bridge = self._bridge
        message = decode_server_message(webhook.body)
        if isinstance(message, Malformed):
            return self._malformed(message, webhook.body)
        if isinstance(message, UnknownServerMessage):
            bridge.count("vapi_webhook_unknown")
            return self._tell(None, message)
        call = bridge.book.find_vapi(message.call_id)
        regarding(about(CallNames(vapi_call_id=message.call_id or "")) if call is None else call.log)
        is_function = self._is_function(message)
        is_asked = isinstance(message, ToolCalls) or is_function or bridge.handlers.wants(message)
        key = key_of(message, webhook.body, wants_answer=is_asked and not is_function)
        if call is None and may_relay and bridge.desk.worker:
            once = "" if key is None else _digest(webhook.body)
            reply = await self._relay(message, webhook, once, began_s)
            if reply is not None:
                return reply
        if is_asked:
            with self._asking():
                return await self._repeats.answer(key, lambda: self._ask(call, message, began_s))
        if isinstance(message, VoiceRequest):
            bridge.count("vapi_webhook_unserved")
            return refused(Refusal(501, "a voice-request belongs to the URL of a voice server"))
        if not self._repeats.is_new(key):
            return _TAKEN
        if isinstance(message, PhoneCallControl):
            bridge.run(control_phone(bridge, call, message))
        return self._tell(call, message)

    async def _relay(self, message: Event, webhook: WebhookRequest, key: str, began_s: float) -> Reply | None:
        """Have another worker answer that knows the call, or had *message* before; ``None`` if there is none.

        One that stands still or dies does not keep Vapi waiting.
        """
        names = [name_of("vapi", message.call_id)] if message.call_id else []
        spent_s = time.monotonic() - began_s
        errand = Errand("vapi", webhook=webhook, spent_s=spent_s)
        try:
            async with asyncio.timeout(max(self._limit_s(message) - spent_s, 0.0) + _RELAY_S):
                reply = await self._bridge.desk.relay(names, errand, key)
            if reply is None or reply.status != _GONE:
                return reply
            if not (isinstance(message, ToolCalls) or self._bridge.handlers.wants(message)):
                return reply  # Vapi may send it again
            self._bridge.count("relay_lost")
            _log.error("the worker that was to answer %s is gone", message.type)
        except TimeoutError:
            self._bridge.count("relay_late")
            _log.error("another worker has not answered %s in time", message.type)
        if isinstance(message, ToolCalls):
            return Reply(200, self._bridge.tools.give_up(message.calls), JSON)
        fallback = self._bridge.handlers.fallback_for(message.type)
        return _TAKEN if fallback is None else Reply(200, fallback, JSON)

    def _is_function(self, message: Event) -> bool:
        """Return whether *message* is the legacy way to ask for one of our tools."""
        return isinstance(message, FunctionCall) and any(
            self._bridge.tools.has(one.name) for one in message.calls
        )

    def _limit_s(self, message: Event) -> float:
        """Return how long the answer to *message* may take from when Vapi began to wait."""
        if self._is_function(message):
            return self._bridge.tools.deadline_s
        if isinstance(message, ToolCalls):
            return min(self._bridge.tools.deadline_s, _tool_limit_s(message))
        return self._bridge.handlers.limit_s(message) if self._bridge.handlers.wants(message) else _NEWS_S

    async def wait_answered(self, timeout_s: float) -> None:
        """Wait until every request that came has its answer, for *timeout_s* at most: somebody is on the phone."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_idle.wait(), timeout_s)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        self._n_asking += 1
        self._is_idle.clear()
        try:
            yield
        finally:
            self._n_asking -= 1
            if not self._n_asking:
                self._is_idle.set()

    async def _ask(self, call: LiveCall | None, message: Event, began_s: float) -> Reply:
        """Have a tool or a handler answer, by the time that Vapi waits less what has passed of it."""
        bridge = self._bridge
        asking = call.handle if call is not None else None
        spent_s = time.monotonic() - began_s
        if isinstance(message, ToolCalls):
            limit_s = self._limit_s(message)
            body = await bridge.tools.answer(asking, message.calls, limit_s, spent_s=spent_s)
        elif isinstance(message, FunctionCall):
            (wanted,) = message.calls
            body = await bridge.tools.answer_function(asking, wanted, spent_s=spent_s)
        else:
            if not bridge.handlers.has(message):
                self._tell(call, message)
            body = await bridge.handlers.answer(asking, message, spent_s)
        return Reply(200, body, JSON)

    def _malformed(self, message: Malformed, body: bytes) -> Reply:
        """Refuse what cannot be read; but somebody may be on the phone, waiting for what it asks."""
        self._bridge.count("vapi_webhook_malformed")
        why = describe_malformed(message, body)
        if message.type == "tool-calls":
            fallback: bytes | None = msgspec.json.encode({"results": [], "error": why})
        else:
            fallback = self._bridge.handlers.fallback_for(message.type)
        answered = "refused with 400" if fallback is None else "answered with the fallback"
        what = word_of(message.type) if message.type else "a server message"
        _log.warning("%s cannot be read (%s); %s", what, plain(why), answered)
        return Reply.of(Refusal(400, why)) if fallback is None else Reply(200, fallback, JSON)

    def _tell(self, call: LiveCall | None, message: object) -> Reply:
        """Answer at once; the user's callback is told in the loop's next turn, when the answer is on its way."""
        asyncio.get_running_loop().call_soon(self._bridge.tell, call, message)
        return _TAKEN


def _digest(body: bytes) -> str:
    """Return what *body* is known by to every worker alike, which a ``hash`` is not."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def _tool_limit_s(message: ToolCalls) -> float:
    """Return how long Vapi waits for the tools at least, less some for the network."""
    waits_s = message.timeout_s
    return math.inf if waits_s is None else waits_s - min(_NETWORK_S, waits_s * _NETWORK_SHARE)
