"""What the bridges in Python share: their arguments, the call they ask for, and the cheapest codec there is."""

from __future__ import annotations

import argparse
import warnings
from typing import Any

import aiohttp

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore", DeprecationWarning
    )  # in the standard library up to 3.12, then audioop-lts
    import audioop

__all__ = ["RatecvCodec", "arguments", "audioop", "create_call", "media"]

_BODY = {
    "assistantId": "asst_1",
    "transport": {
        "provider": "vapi.websocket",
        "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16_000},
    },
}


def arguments() -> argparse.Namespace:
    """Return ``port`` and ``vapi_url`` of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--vapi-url", required=True)
    return parser.parse_args()


async def create_call(vapi_url: str) -> str:
    """Return the URL of a new call's socket."""
    async with aiohttp.ClientSession() as session, session.post(f"{vapi_url}/call", json=_BODY) as response:
        created = await response.json()
    url: str = created["transport"]["websocketCallUrl"]
    return url


def media(stream: str) -> tuple[str, str]:
    """Return what stands before and after the base64 text in a media message to Twilio."""
    return f'{{"event":"media","streamSid":"{stream}","media":{{"payload":"', '"}}'


class RatecvCodec:
    """Both directions of one call by ``audioop``: linear interpolation, no filter."""

    __slots__ = ("_down", "_up")

    def __init__(self) -> None:
        self._up: Any = None
        self._down: Any = None

    def uplink(self, mulaw: bytes) -> bytes:
        """Return pcm_s16le at 16 kHz."""
        pcm, self._up = audioop.ratecv(audioop.ulaw2lin(mulaw, 2), 2, 1, 8000, 16_000, self._up)
        return pcm

    def downlink(self, pcm: bytes) -> bytes:
        """Return mu-law at 8 kHz."""
        narrow, self._down = audioop.ratecv(pcm, 2, 1, 16_000, 8000, self._down)
        return audioop.lin2ulaw(narrow, 2)
