"""A bridge with ``websockets`` on uvloop, its asyncio API without compression. Codec: ``audioop.ratecv``."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from functools import partial

import uvloop
from common import RatecvCodec, arguments, create_call, media
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve


async def uplink(
    phone: ServerConnection, vapi: ClientConnection, codec: RatecvCodec, started: asyncio.Future[str]
) -> None:
    async for text in phone:
        message = json.loads(text)
        event = message["event"]
        if event == "media":
            await vapi.send(codec.uplink(b64decode(message["media"]["payload"])))
        elif event == "start":
            started.set_result(message["streamSid"])
        elif event == "stop":
            return


async def downlink(
    vapi: ClientConnection, phone: ServerConnection, codec: RatecvCodec, started: asyncio.Future[str]
) -> None:
    stream = await started
    before, after = media(stream)
    async for data in vapi:
        if isinstance(data, bytes):
            await phone.send(f"{before}{b64encode(codec.downlink(data)).decode()}{after}")
        elif json.loads(data).get("type") == "user-interrupted":
            await phone.send(json.dumps({"event": "clear", "streamSid": stream}))


async def bridge(phone: ServerConnection, *, vapi_url: str) -> None:
    codec, started = RatecvCodec(), asyncio.get_running_loop().create_future()
    async with connect(await create_call(vapi_url), compression=None) as vapi:
        tasks = [
            asyncio.create_task(uplink(phone, vapi, codec, started)),
            asyncio.create_task(downlink(vapi, phone, codec, started)),
        ]
        _, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()


async def main() -> None:
    options = arguments()
    handler = partial(bridge, vapi_url=options.vapi_url)
    async with serve(handler, "127.0.0.1", options.port, compression=None) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
