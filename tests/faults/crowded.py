"""A crowd of callers at ``vapimedia serve``: each by a signed webhook and a token."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from aiohttp import web
from crowd import Caller, Crowd, connect
from scene import AUTH_TOKEN, Vapi, start, stream_url
from twilio.request_validator import RequestValidator
from workers_scene import WorkersScene, worker_of

__all__ = ["come_in", "vapi_of"]


async def come_in(scene: WorkersScene, caller: Caller, gate: asyncio.Semaphore) -> int:
    """Webhook, media socket, start; return the worker that the token names."""
    async with gate:
        answer = await scene.voice(caller.number)
        assert answer.status == 200, answer
        url = stream_url(answer)
        signature = RequestValidator(AUTH_TOKEN).compute_signature(url, {})
        head = await connect(
            caller, scene.service.port, urlsplit(url).path, {"X-Twilio-Signature": signature}
        )
        assert head.startswith(b"HTTP/1.1 101 "), head
    caller.say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    caller.say(start(caller.number, streamSid=caller.stream) | {"streamSid": caller.stream})
    caller.talk()
    return worker_of(url)


def vapi_of(crowd: Crowd) -> Vapi:
    """A Vapi whose calls have their sockets at *crowd*."""

    async def create(_request: web.Request, _body: object) -> web.Response:
        number = len(vapi.requests)
        url = f"{crowd.url}/{number}/transport"
        return web.json_response(
            {"id": f"vapi-call-{number}", "transport": {"websocketCallUrl": url}}, status=201
        )

    vapi = Vapi(create=create)
    return vapi
