"""The smallest thing that answers Vonage: an NCCO, events, a socket that sends what ``on_message`` returns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSCloseCode, web
from loopback import on_loopback

from vapimedia.testing import FakeVonageCall

SECRET = "vonage-signature-secret-0123456789abcdef"
API_KEY = "abcd1234"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
PUBLIC = "https://voice.example.com"
SPEED = 8.0

Message = dict[str, Any] | bytes


def ncco(rate: int = 16000, **changes: Any) -> list[dict[str, Any]]:
    """An NCCO as it should be; *changes* are of its endpoint."""
    endpoint = {
        "type": "websocket",
        "uri": "wss://voice.example.com/vonage/media/t0",
        "content-type": f"audio/l16;rate={rate}",
        "headers": {"call_uuid": "c0", "deep": {"a": [1]}},
        "authorization": {"type": "vonage"},
    }
    return [
        {
            "action": "connect",
            "eventType": "synchronous",
            "eventUrl": [f"{PUBLIC}/vonage/event"],
            "from": "15005550001",
            "endpoint": [endpoint | changes],
        }
    ]


class VonageBridge:
    """*on_message* returns what to send: bytes, JSON objects, or ``"close"``.

    ``..._statuses`` are those of the first answers, 0 for a connection that closes without one.
    """

    def __init__(self, on_message: Callable[[Message], list[object]] = lambda _: []) -> None:
        self.on_message = on_message
        self.ncco: Any = ncco()
        self.fallback: object = None
        self.event_status = 200
        self.answer_statuses: list[int] = []
        self.report_statuses: list[int] = []
        self.refuse = False
        self.requests: list[tuple[web.Request, bytes]] = []
        self.events: list[dict[str, Any]] = []
        self.fallbacks: list[dict[str, Any]] = []
        self.fallback_statuses: list[int] = []
        self.upgrade: web.Request | None = None
        self.messages: list[Message] = []
        self.close_code: int | None = None
        self.closed = asyncio.Event()
        self.base = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append((request, await request.read()))
        status = self.answer_statuses.pop(0) if self.answer_statuses else 200
        if not status and request.transport is not None:
            request.transport.close()
        return web.json_response(self.ncco, status=status or 200)

    async def fall_back(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((request, body))
        self.fallbacks.append(json.loads(body))
        status = self.fallback_statuses.pop(0) if self.fallback_statuses else 200
        return web.json_response(self.fallback, status=status)

    async def event(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((request, body))
        event = json.loads(body)
        self.events.append(event)
        if event["status"] in {"disconnected", "failed", "unanswered"}:
            if self.report_statuses:
                return web.Response(status=self.report_statuses.pop(0))
            if self.fallback is not None:
                return web.json_response(self.fallback)
        return web.Response(status=self.event_status)

    async def media(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            raise web.HTTPForbidden
        self.upgrade = request
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for raw in ws:
            message = json.loads(raw.data) if isinstance(raw.data, str) else raw.data
            self.messages.append(message)
            for answer in self.on_message(message):
                if answer == "close":
                    await ws.close(code=WSCloseCode.OK)
                elif isinstance(answer, bytes):
                    await ws.send_bytes(answer)
                else:
                    await ws.send_str(json.dumps(answer))
        self.close_code = ws.close_code
        self.closed.set()
        return ws

    @property
    def texts(self) -> list[dict[str, Any]]:
        return [message for message in self.messages if isinstance(message, dict)]

    @property
    def frames(self) -> list[bytes]:
        return [message for message in self.messages if isinstance(message, bytes)]

    def phone(self, *caller: object, **settings: object) -> FakeVonageCall:
        """A call to this bridge, eight times faster than life."""
        defaults = {
            "api_key": API_KEY,
            "application_id": APPLICATION,
            "signature_secret": SECRET,
            "public_url": PUBLIC,
            "event_url": f"{PUBLIC}/vonage/event",
            "speed": SPEED,
            "max_s": 10.0,
        }
        return FakeVonageCall(
            f"{self.base}/vonage/answer",
            caller=caller,
            **(defaults | settings),  # type: ignore[arg-type]
        )


@asynccontextmanager
async def serving(bridge: VonageBridge) -> AsyncIterator[VonageBridge]:
    """Serve it on loopback."""
    async with on_loopback(
        web.route("*", "/vonage/answer", bridge.answer),
        web.post("/vonage/event", bridge.event),
        web.post("/vonage/fallback", bridge.fall_back),
        web.get("/vonage/media/t0", bridge.media),
    ) as bridge.base:
        yield bridge


def on_connected(*answers: object) -> Callable[[Message], list[object]]:
    """Send *answers* once the first message is there, and nothing else."""

    def say(message: Message) -> list[object]:
        is_first = isinstance(message, dict) and message["event"] == "websocket:connected"
        return list(answers) if is_first else []

    return say
