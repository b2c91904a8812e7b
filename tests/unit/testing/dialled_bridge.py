"""A hand-written bridge that the fake of Twilio's REST API calls, and the two of them together."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from loopback import on_loopback
from twilio.request_validator import RequestValidator

from vapimedia.protocols import WebhookRequest
from vapimedia.testing.caller import HangUp
from vapimedia.testing.fake_twilio_api import FakeTwilioApi

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://voice.example.com"
STATUS_URL = f"{PUBLIC}/status/r3f"
MEDIA_URL = "wss://voice.example.com/media/t0"


class DialledBridge:
    """Checks every signature by the official validator, and records what is posted and streamed."""

    def __init__(self) -> None:
        self.base = ""
        self.posts: list[WebhookRequest] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.messages: list[dict[str, Any]] = []

    async def post(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers["X-Twilio-Signature"]
        assert RequestValidator(TOKEN).validate(f"{PUBLIC}{request.path}", form, signature)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.posts.append(WebhookRequest("POST", request.raw_path, headers, await request.read()))
        self.forms.append((request.path, form))
        return web.Response(status=204)

    async def media(self, request: web.Request) -> web.StreamResponse:
        assert RequestValidator(TOKEN).validate(MEDIA_URL, {}, request.headers["x-twilio-signature"])
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for raw in ws:
            self.messages.append(json.loads(raw.data))
        return ws

    def posted(self, path: str) -> list[dict[str, str]]:
        return [form for at, form in self.forms if at == path]


@asynccontextmanager
async def dialled_bridge(**settings: Any) -> AsyncIterator[tuple[DialledBridge, FakeTwilioApi]]:
    """Serve a bridge and the API that calls it; *settings* are the API's."""
    bridge = DialledBridge()
    async with on_loopback(
        web.post("/{path:.*}", bridge.post),
        web.get("/media/t0", bridge.media),
    ) as bridge.base:
        defaults = {"ring_s": 0.05, "amd_s": 0.05, "speed": 4.0, "max_s": 10.0, "caller": [HangUp()]}
        async with FakeTwilioApi(
            auth_token=TOKEN, bridge_url=bridge.base, public_url=PUBLIC, **(defaults | settings)
        ) as api:
            yield bridge, api
