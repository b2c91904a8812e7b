"""A bridge in this process between a phone and a Vapi that do exactly what a test tells them to."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from aiohttp import WSMsgType, web
from twilio.request_validator import RequestValidator
from wire import Answer, Wire, connected, until

from vapimedia import Bridge, BridgeConfig
from vapimedia.session import CallEnded

PUBLIC_URL = "https://bridge.test"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC" + "1" * 32
SECRET = "webhook-secret-of-the-test"
KEY = "key-of-the-test"


def call_sid(number: int = 1) -> str:
    return f"CA{number:032x}"


def media(payload: bytes, stream: str = "MZ" + "2" * 32) -> dict[str, Any]:
    body = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": base64.b64encode(payload).decode()}
    return {"event": "media", "sequenceNumber": "3", "streamSid": stream, "media": body}


def start(number: int = 1, **changes: Any) -> dict[str, Any]:
    stream = "MZ" + "2" * 32
    body = {
        "accountSid": ACCOUNT,
        "streamSid": stream,
        "callSid": call_sid(number),
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {},
    }
    return {"event": "start", "sequenceNumber": "1", "start": body | changes, "streamSid": stream}


STOP = {
    "event": "stop",
    "sequenceNumber": "9",
    "streamSid": "MZ" + "2" * 32,
    "stop": {"accountSid": ACCOUNT, "callSid": call_sid()},
}

CreateHook = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class Leg:
    """One call socket at Vapi's end."""

    call_id: str
    headers: dict[str, str]
    socket: web.WebSocketResponse
    request: web.Request
    texts: list[dict[str, Any]] = field(default_factory=list)
    audio: bytearray = field(default_factory=bytearray)
    close_code: int | None = None
    is_over: bool = False

    async def say(self, event: dict[str, Any]) -> None:
        await self.socket.send_json(event)

    def drop(self) -> None:
        """Cut the connection without a word."""
        transport = self.request.transport
        if transport is not None:
            transport.abort()


@dataclass
class Vapi:
    """Serves ``POST /call`` and call sockets. *create* replaces the answer to a request."""

    create: CreateHook | None = None
    socket_url: str | None = None
    answers_close: bool = True
    upgrade: CreateHook | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    request_headers: list[dict[str, str]] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    controls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    hang_ups: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[Vapi]:
        app = web.Application()
        app.on_response_prepare.append(_close_after_answer)  # a pooled connection would look like a leak
        app.router.add_post("/call", self._create)
        app.router.add_get("/{call}/transport", self._transport)
        app.router.add_post("/{call}/control", self._control)
        app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", self._hang_up)
        runner = web.AppRunner(
            app, access_log=None, handle_signals=False, shutdown_timeout=0.1, handler_cancellation=True
        )
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def answer(self) -> dict[str, Any]:
        """The body of a 201."""
        call = f"vapi-call-{len(self.requests)}"
        url = self.socket_url or f"{self.url.replace('http', 'ws')}/{call}/transport"
        return {
            "id": call,
            "transport": {"provider": "vapi.websocket", "websocketCallUrl": url},
            "monitor": {"controlUrl": f"{self.url}/{call}/control"},
        }

    async def leg(self, number: int = 1) -> Leg:
        """Wait for the call socket."""
        await until(lambda: len(self.legs) >= number)
        return self.legs[number - 1]

    async def _create(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.request_headers.append(dict(request.headers))
        if self.create is not None:
            return await self.create(request, body)
        return web.json_response(self.answer(), status=201)

    async def _transport(self, request: web.Request) -> web.StreamResponse:
        if self.upgrade is not None:
            return await self.upgrade(request, {})
        socket = web.WebSocketResponse(autoclose=self.answers_close)
        await socket.prepare(request)
        leg = Leg(request.match_info["call"], dict(request.headers), socket, request)
        self.legs.append(leg)
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    leg.texts.append(json.loads(message.data))
                elif message.type is WSMsgType.BINARY:
                    leg.audio += message.data
        finally:
            leg.close_code, leg.is_over = socket.close_code, True
        return socket

    async def _control(self, request: web.Request) -> web.Response:
        self.controls.append((request.match_info["call"], await request.json()))
        return web.json_response({})

    async def _hang_up(self, request: web.Request) -> web.Response:
        """Twilio's REST resource of a call."""
        self.hang_ups.append((request.match_info["call"], dict(await request.post())))  # type: ignore[arg-type]
        return web.json_response({})


@dataclass
class Scene:
    """The bridge, the Vapi behind it, and what the user's callback was told."""

    bridge: Bridge
    vapi: Vapi
    events: list[Any] = field(default_factory=list)
    auth_token: str = AUTH_TOKEN

    @property
    def ended(self) -> list[CallEnded]:
        return [event for event in self.events if isinstance(event, CallEnded)]

    async def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        """One HTTP request on a connection of its own."""
        lines = {"Host": "bridge.test", "Content-Length": str(len(body))} | (headers or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with connected(self.bridge.port) as wire:
            wire.send(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
            return await wire.answer()

    async def get(self, path: str, *, admin: bool = False) -> Answer:
        async with connected(self.bridge.admin_port if admin else self.bridge.port) as wire:
            wire.send(f"GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n".encode())
            return await wire.answer()

    async def webhook(self, path: str, fields: dict[str, str], token: str | None = None) -> Answer:
        """A webhook signed as Twilio's own library would check it."""
        signature = RequestValidator(token or self.auth_token).compute_signature(PUBLIC_URL + path, fields)
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "X-Twilio-Signature": signature,
        }
        return await self.post(path, urlencode(fields).encode(), headers)

    async def voice(self, number: int = 1, **fields: str) -> Answer:
        """The voice webhook of a call."""
        body = {
            "AccountSid": ACCOUNT,
            "CallSid": call_sid(number),
            "CallStatus": "ringing",
            "Direction": "inbound",
            "From": "+15005550006",
            "To": "+15005550001",
        }
        return await self.webhook("/twilio/voice", body | fields)

    async def vapi_webhook(
        self, message: dict[str, Any], path: str = "/vapi/webhook", secret: str = SECRET
    ) -> Answer:
        headers = {"Content-Type": "application/json", "X-Vapi-Secret": secret}
        return await self.post(path, json.dumps({"message": message}).encode(), headers)

    @asynccontextmanager
    async def socket(self, media_url: str, port: int | None = None) -> AsyncIterator[Wire]:
        """The media socket at the URL of a TwiML, with a valid signature; *port* may be that of a proxy."""
        path = urlsplit(media_url).path
        signature = RequestValidator(self.auth_token).compute_signature(media_url, {})
        async with connected(port or self.bridge.port) as wire:
            answer = await wire.upgrade(path, {"X-Twilio-Signature": signature})
            assert answer.status == 101, answer
            yield wire

    @asynccontextmanager
    async def phone(self, number: int = 1, **changes: Any) -> AsyncIterator[Wire]:
        """A call up to its start message."""
        answer = await self.voice(number)
        assert answer.status == 200, answer
        async with self.socket(stream_url(answer)) as wire:
            wire.text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
            wire.text(start(number, **changes))
            yield wire

    @asynccontextmanager
    async def call(self, number: int = 1) -> AsyncIterator[tuple[Wire, Leg]]:
        """A live call: its phone and its assistant."""
        async with self.phone(number) as wire:
            leg = await self.vapi.leg(number)
            await until(lambda: leg.audio or leg.is_over)
            yield wire, leg


async def _close_after_answer(_request: web.Request, response: web.StreamResponse) -> None:
    if not isinstance(response, web.WebSocketResponse):
        response.headers["Connection"] = "close"


def stream_url(answer: Answer) -> str:
    """The URL in a TwiML's ``<Stream>``; empty if it has none."""
    stream = ElementTree.fromstring(answer.body).find("./Connect/Stream")
    return "" if stream is None else stream.attrib["url"]


def settings(vapi: Vapi, **changes: Any) -> BridgeConfig:
    values = {
        "port": 0,
        "admin": "127.0.0.1:0",
        "public_url": PUBLIC_URL,
        "vapi_url": vapi.url,
        "vapi_api_key": KEY,
        "vapi_webhook_secret": SECRET,
        "twilio_auth_token": AUTH_TOKEN,
        "assistant_id": "asst_1",
    }
    return BridgeConfig(**values | changes)


@asynccontextmanager
async def running(
    vapi: Vapi | None = None, prepare: Callable[[Bridge], object] | None = None, **changes: Any
) -> AsyncIterator[Scene]:
    """A bridge and a Vapi. *prepare* may register callbacks; ``on_event`` is the scene's unless it does."""
    vapi = vapi or Vapi()
    async with vapi.serving():
        bridge = Bridge(settings(vapi, **({"twilio_api_url": vapi.url} | changes)))
        scene = Scene(bridge, vapi)
        bridge.on_event(lambda _call, event: scene.events.append(event))
        if prepare is not None:
            prepare(bridge)
        async with bridge:
            yield scene
