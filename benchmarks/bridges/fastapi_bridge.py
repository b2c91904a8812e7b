"""A bridge with FastAPI on uvicorn and uvloop, ``websockets`` as the client.

Codec: ``audioop`` for mu-law, ``soxr.ResampleStream`` at VHQ, one a direction, as voice frameworks resample.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode

import numpy as np
import soxr
import uvicorn
from common import arguments, audioop, create_call
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect

OPTIONS = arguments()
app = FastAPI()


class Resampler:
    """16-bit samples from one rate to another; soxr answers nothing for the first calls, then lumps."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16", quality="VHQ")

    def push(self, pcm: bytes) -> bytes:
        samples: bytes = self._stream.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()
        return samples


async def uplink(phone: WebSocket, vapi: ClientConnection, started: asyncio.Future[str]) -> None:
    resampler = Resampler(8000, 16_000)
    async for text in phone.iter_text():
        message = json.loads(text)
        event = message["event"]
        if event == "media":
            pcm = resampler.push(audioop.ulaw2lin(b64decode(message["media"]["payload"]), 2))
            if pcm:
                await vapi.send(pcm)
        elif event == "start":
            started.set_result(message["streamSid"])
        elif event == "stop":
            return


async def downlink(vapi: ClientConnection, phone: WebSocket, started: asyncio.Future[str]) -> None:
    stream, resampler = await started, Resampler(16_000, 8000)
    async for data in vapi:
        if isinstance(data, bytes):
            mulaw = audioop.lin2ulaw(resampler.push(data), 2)
            if mulaw:
                payload = b64encode(mulaw).decode()
                message = {"event": "media", "streamSid": stream, "media": {"payload": payload}}
                await phone.send_text(json.dumps(message))
        elif json.loads(data).get("type") == "user-interrupted":
            await phone.send_text(json.dumps({"event": "clear", "streamSid": stream}))


@app.websocket("/twilio/media")
async def bridge(phone: WebSocket) -> None:
    await phone.accept()
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with connect(await create_call(OPTIONS.vapi_url), compression=None) as vapi:
        tasks = [
            asyncio.create_task(uplink(phone, vapi, started)),
            asyncio.create_task(downlink(vapi, phone, started)),
        ]
        done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in running:
            task.cancel()
    try:
        for task in done:
            task.result()
        await phone.close()
    except (WebSocketDisconnect, RuntimeError):
        return  # the phone has gone first


if __name__ == "__main__":
    uvicorn.run(
        app,
        port=OPTIONS.port,
        loop="uvloop",
        ws_per_message_deflate=False,
        log_level="error",
        access_log=False,
    )
