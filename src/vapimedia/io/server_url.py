"""What Vapi posts to the server URL: who sent it, which call it is about, what answers it, and by when."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING

import msgspec

from vapimedia.io.desk import name_of
from vapimedia.io.errands import JSON, Errand, Reply, refused
from vapimedia.io.live_call import LiveCall
from vapimedia.io.repeats import Repeats, key_of
from vapimedia.protocols.dialect import Refusal, WebhookRequest
from vapimedia.protocols.vapi import (
    Malformed,
    ToolCalls,
    UnknownServerMessage,
    WebhookSecrets,
    check_webhook_secret,
    decode_server_message,
)

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["ServerUrl", "describe_malformed"]

_TAKEN = Reply(200, b"{}", JSON)
_QUOTED = re.compile("'[^']*'")
_PATH = re.compile(r"^(.*?)(?: - at `\$(.*)`)?$", re.S)


class ServerUrl:
    """One bridge's. What is about a call of another worker is relayed there, and the answer comes from there."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._secrets = bridge.config.webhook_secrets()
        if self._secrets is None and bridge.config.auth:
            self._secrets = WebhookSecrets()  # lets nothing in
        self._repeats = Repeats(bridge.count)

    def refusal_of_head(self, head: WebhookRequest) -> Refusal | None:
        """Return why a webhook is refused before its body is read, if that can be told already."""
        if self._secrets is None or self._secrets.needs_body:
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
            bridge.count("vapi_webhook_malformed")
            return refused(Refusal(400, describe_malformed(message, webhook.body)))
        if isinstance(message, UnknownServerMessage):
            bridge.count("vapi_webhook_unknown")
            return self._tell(None, message)
        call = bridge.book.find_vapi(message.call_id)
        if call is None and message.call_id and may_relay:
            errand = Errand("vapi", webhook=webhook, spent_s=time.monotonic() - began_s)
            reply = await bridge.desk.relay([name_of("vapi", message.call_id)], errand)
            if reply is not None:
                return reply
        if isinstance(message, ToolCalls):
            return await self._answer_tools(call, message, webhook.body)
        if self._repeats.is_new(key_of(message, webhook.body, wants_answer=False)):
            return self._tell(call, message)
        return _TAKEN

    async def _answer_tools(self, call: LiveCall | None, message: ToolCalls, body: bytes) -> Reply:
        async def run() -> Reply:
            asking = call.handle if call is not None else None
            return Reply(200, await self._bridge.tools.answer(asking, message.calls), JSON)

        return await self._repeats.answer(key_of(message, body, wants_answer=True), run)

    def _tell(self, call: LiveCall | None, message: object) -> Reply:
        """Answer at once; the user's callback is told in the loop's next turn, when the answer is on its way."""
        asyncio.get_running_loop().call_soon(self._bridge.tell, call, message)
        return _TAKEN


class _Envelope(msgspec.Struct):
    message: msgspec.Raw = msgspec.Raw(b"")
    type: msgspec.Raw = msgspec.Raw(b"")


def describe_malformed(message: Malformed, body: bytes) -> str:
    """Return where and why *body* cannot be read, as ``$.message.call: Expected object, got int``: no values."""
    root = "$"
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
        root = "$.message" if bytes(envelope.message) and not bytes(envelope.type) else "$"
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # it is the body as a whole that is wrong
    match = _PATH.match(message.text)
    why, path = (match[1], match[2] or "") if match else (message.text, "")
    bare = _QUOTED.sub("'...'", why).replace("`", "")
    return f"{root}{path}: {bare}"
