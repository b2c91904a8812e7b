"""Speech to text, as a toy: tells how long the caller spoke. Give Vapi the server URL wss://HOST/transcribe."""

import os
from collections.abc import AsyncIterator

import numpy as np
from aiohttp import web

from vapimedia import CustomTranscriber, TranscriberStream
from vapimedia.protocols.vapi import TranscriberResponse

LOUD = 500  # mean square root above which a frame of 20 ms is speech
PAUSE_FRAMES = 15


async def transcribe(stream: TranscriberStream) -> AsyncIterator[TranscriberResponse]:
    spoken = quiet = 0
    async for frame in stream:
        samples = np.frombuffer(frame.customer, "<i2").astype(np.float32)
        if np.sqrt(np.mean(samples**2)) > LOUD:
            spoken, quiet = spoken + 1, 0
        elif spoken:
            quiet += 1
        if quiet == PAUSE_FRAMES:
            yield TranscriberResponse(transcription=f"{20 * spoken} ms of speech", channel="customer")
            spoken = quiet = 0


app = web.Application()
endpoint = CustomTranscriber(transcribe, secret=os.environ.get("VAPI_WEBHOOK_SECRET", ""), sample_rate=16000)
endpoint.add_to(app, "/transcribe")

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8090)  # behind a proxy with TLS
