"""A bridge with the server and the client of aiohttp, on uvloop. Codec: ``audioop.ratecv``."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode

import aiohttp
import uvloop
from aiohttp import web
from common import RatecvCodec, arguments, create_call, media

VAPI_URL = web.AppKey("vapi_url", str)
SESSION = web.AppKey("session", aiohttp.ClientSession)


async def uplink(
    phone: web.WebSocketResponse,
    vapi: aiohttp.ClientWebSocketResponse,
    codec: RatecvCodec,
    started: asyncio.Future[str],
) -> None:
    async for message in phone:
        if message.type is not aiohttp.WSMsgType.TEXT:
            return
        said = json.loads(message.data)
        event = said["event"]
        if event == "media":
            await vapi.send_bytes(codec.uplink(b64decode(said["media"]["payload"])))
        elif event == "start":
            started.set_result(said["streamSid"])
        elif event == "stop":
            return


async def downlink(
    vapi: aiohttp.ClientWebSocketResponse,
    phone: web.WebSocketResponse,
    codec: RatecvCodec,
    started: asyncio.Future[str],
) -> None:
    stream = await started
    before, after = media(stream)
    async for message in vapi:
        if message.type is aiohttp.WSMsgType.BINARY:
            await phone.send_str(f"{before}{b64encode(codec.downlink(message.data)).decode()}{after}")
        elif message.type is not aiohttp.WSMsgType.TEXT:
            return
        elif json.loads(message.data).get("type") == "user-interrupted":
            await phone.send_json({"event": "clear", "streamSid": stream})


async def bridge(request: web.Request) -> web.WebSocketResponse:
    phone = web.WebSocketResponse(compress=False)
    await phone.prepare(request)
    url = await create_call(request.app[VAPI_URL])
    codec, started = RatecvCodec(), asyncio.get_running_loop().create_future()
    async with request.app[SESSION].ws_connect(url, compress=0) as vapi:
        tasks = [
            asyncio.create_task(uplink(phone, vapi, codec, started)),
            asyncio.create_task(downlink(vapi, phone, codec, started)),
        ]
        _, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
    await phone.close()
    return phone


async def main() -> None:
    options = arguments()
    app = web.Application()
    app[VAPI_URL] = options.vapi_url
    app.router.add_get("/twilio/media", bridge)
    # A client allows 100 connections at once by default.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        app[SESSION] = session
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", options.port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
