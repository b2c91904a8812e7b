"""The smallest thing that joins a Twilio stream to a Vapi call: enough to test fake against fake."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web
from loopback import on_loopback


class NaiveBridge:
    """Same format on both sides, no pacing, no guards."""

    def __init__(self, vapi_url: str, api_key: str) -> None:
        self.vapi_url, self.api_key = vapi_url, api_key
        self.base = ""

    async def voice(self, request: web.Request) -> web.Response:
        url = f"{self.base.replace('http', 'ws')}/media"
        return web.Response(
            text=f'<Response><Connect><Stream url="{url}"/></Connect></Response>', content_type="text/xml"
        )

    async def webhook(self, request: web.Request) -> web.Response:
        message = (await request.json())["message"]
        if message["type"] != "tool-calls":
            return web.json_response({})
        results = [
            {"toolCallId": one["id"], "name": one["function"]["name"], "result": "nine to six"}
            for one in message["toolCallList"]
        ]
        return web.json_response({"results": results})

    async def media(self, request: web.Request) -> web.StreamResponse:
        phone = web.WebSocketResponse()
        await phone.prepare(request)
        body = {
            "assistantId": "asst_1",
            "transport": {
                "provider": "vapi.websocket",
                "audioFormat": {"format": "mulaw", "container": "raw", "sampleRate": 8000},
            },
        }
        headers = {"Authorization": f"Bearer {self.api_key}", "User-Agent": "naive"}
        async with aiohttp.ClientSession(headers=headers) as http:
            async with http.post(f"{self.vapi_url}/call", json=body) as answer:
                call = await answer.json()
            async with http.ws_connect(call["transport"]["websocketCallUrl"]) as vapi:
                sid: asyncio.Future[str] = asyncio.get_running_loop().create_future()
                down = asyncio.create_task(self.down(vapi, phone, sid))
                async for raw in phone:
                    if vapi.closed:
                        break
                    message = json.loads(raw.data)
                    if message["event"] == "start":
                        sid.set_result(message["streamSid"])
                    elif message["event"] == "media":
                        await vapi.send_bytes(base64.b64decode(message["media"]["payload"]))
                    elif message["event"] == "dtmf":
                        text = f"The caller pressed {message['dtmf']['digit']}."
                        note = {"type": "add-message", "message": {"role": "system", "content": text}}
                        await vapi.send_json(note)
                    elif message["event"] == "stop":
                        await vapi.send_json({"type": "end-call"})
                await vapi.close()
                await down
        return phone

    async def down(
        self,
        vapi: aiohttp.ClientWebSocketResponse,
        phone: web.WebSocketResponse,
        sid: asyncio.Future[str],
    ) -> None:
        async for raw in vapi:
            out = {"streamSid": await sid}
            if raw.type is aiohttp.WSMsgType.BINARY:
                payload = base64.b64encode(raw.data).decode()
                await phone.send_json({"event": "media", **out, "media": {"payload": payload}})
            elif json.loads(raw.data)["type"] == "user-interrupted":
                await phone.send_json({"event": "clear", **out})
        await phone.close()


@asynccontextmanager
async def naive_bridge(vapi_url: str, api_key: str) -> AsyncIterator[NaiveBridge]:
    """Serve one on loopback."""
    bridge = NaiveBridge(vapi_url, api_key)
    async with on_loopback(
        web.post("/voice", bridge.voice),
        web.post("/webhook", bridge.webhook),
        web.get("/media", bridge.media),
    ) as bridge.base:
        yield bridge
