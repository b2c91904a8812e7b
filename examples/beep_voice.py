"""Text to speech, as a toy: a beep for every word. Give Vapi the server URL https://HOST/voice."""

import os
from collections.abc import AsyncIterator

import numpy as np
from aiohttp import web

from vapimedia import CustomVoice
from vapimedia.protocols.vapi import VoiceRequest

RATE = 24000
PAUSE = bytes(2 * RATE // 20)


async def speak(request: VoiceRequest) -> AsyncIterator[bytes]:
    for word in (request.text or "").split():
        time_s = np.arange(RATE * len(word) // 20) / RATE
        yield (6000 * np.sin(2 * np.pi * 440 * time_s)).astype("<i2").tobytes()
        yield PAUSE


app = web.Application()
endpoint = CustomVoice(speak, secret=os.environ.get("VAPI_WEBHOOK_SECRET", ""), sample_rate=RATE)
endpoint.add_to(app, "/voice")

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=8090)  # behind a proxy with TLS
