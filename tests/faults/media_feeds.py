"""What several faults of media need: a page's leg, audio in which a slip would show, and messages of any size."""

from __future__ import annotations

import base64
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import numpy as np
from scene import Leg, Scene
from wire import BINARY, CLOSE, Wire, connected, until

__all__ = [
    "FIELD_SIZES",
    "TWILIO_SIZES",
    "cut",
    "heard_by_page",
    "heard_by_phone",
    "heard_by_vapi",
    "noise",
    "page",
    "ramp",
]

FIELD_SIZES = (170, 185, 186, 371, 372, 557, 558, 743)
"""Messages of a live assistant, in bytes of mulaw."""
TWILIO_SIZES = (118, 25, 2048)
"""Messages that providers have been seen to send, in bytes of mulaw."""


def noise(n_bytes: int, *, seed: int = 1) -> bytes:
    """Return mulaw in which nothing is silence and no two places are alike."""
    dice = np.random.default_rng(seed)
    return (dice.integers(0x20, 0x60, n_bytes).astype(np.uint8) ^ 0xFF).tobytes()


def ramp(n_samples: int) -> bytes:
    """Return pcm_s16le whose high and low bytes differ much: one byte of shift would make noise of it."""
    return ((np.arange(n_samples) * 37 % 20_000) + 1001).astype("<i2").tobytes()


def cut(data: bytes, sizes: Iterable[int]) -> Iterator[bytes]:
    """Return *data* in messages of *sizes*, over and over."""
    at = 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return
        yield data[at : at + size]
        at += size


@asynccontextmanager
async def page(scene: Scene, rate: int = 16_000) -> AsyncIterator[tuple[Wire, Leg]]:
    """A live call of a page without a webhook."""
    async with connected(scene.bridge.port) as wire:
        host = {"Host": f"127.0.0.1:{scene.bridge.port}"}
        assert (await wire.upgrade(f"/browser/media?rate={rate}", host)).status == 101
        leg = await scene.vapi.leg(len(scene.vapi.legs) + 1)
        await until(lambda: leg.audio)
        yield wire, leg


async def heard_by_vapi(leg: Leg, audio: bytes, silence: bytes) -> int:
    """Wait until as much as *audio* has come that is no silence; return where it stands in the leg's audio."""
    kind, n_wanted = f"<i{len(silence)}" if len(silence) > 1 else "u1", len(audio) // len(silence)
    quiet = np.frombuffer(silence, kind)[0]

    def n_loud() -> int:
        whole = bytes(leg.audio[: len(leg.audio) // len(silence) * len(silence)])
        return int(np.count_nonzero(np.frombuffer(whole, kind) != quiet))

    await until(lambda: n_loud() >= n_wanted)
    return bytes(leg.audio).find(audio)


async def heard_by_page(wire: Wire, n_bytes: int) -> list[bytes]:
    """Read audio until *n_bytes* of it have come."""
    found: list[bytes] = []
    while sum(map(len, found)) < n_bytes:
        opcode, payload = await wire.read_frame()
        assert opcode != CLOSE, payload
        if opcode == BINARY:
            found.append(payload)
    return found


async def heard_by_phone(wire: Wire, n_bytes: int) -> bytes:
    """Read Twilio's media until *n_bytes* of it have come."""
    found = bytearray()
    while len(found) < n_bytes:
        message = await wire.read_event("media")
        found += base64.b64decode(message["media"]["payload"], validate=True)
    return bytes(found)
