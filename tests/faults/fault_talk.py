"""Somebody who speaks on one leg of a call in real time, and somebody who listens on the other."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from scene import Leg, media
from wire import CLOSE, PING, PONG, TEXT, Wire

from vapimedia.io.live_call import LiveCall
from vapimedia.io.media_socket import MediaSocket

__all__ = ["FRAME", "SILENCE", "Talk", "numbered"]

FRAME = 160
SILENCE = b"\xff" * FRAME


def numbered(i: int) -> bytes:
    """A frame of mu-law that says which it is; its codes are all loud."""
    return bytes(i >> 6 * place & 63 for place in range(4)) * (FRAME // 4)


def number_of(frame: bytes) -> int:
    assert frame == frame[:4] * (FRAME // 4)
    return sum(code << 6 * place for place, code in enumerate(frame[:4]))


@dataclass
class Talk:
    """Numbered frames to who is at the leg *to* (``provider``, ``vapi``); when each was spoken and heard."""

    call: LiveCall
    phone: Wire
    leg: Leg
    to: str
    spoken_s: list[float] = field(default_factory=list)
    heard: list[tuple[int, float]] = field(default_factory=list)
    _played: bytearray = field(default_factory=bytearray)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work) for work in (self._speak(), self._be_a_phone(), self._listen())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def socket(self) -> MediaSocket:
        """The bridge's, to who listens."""
        return self.call.provider if self.to == "provider" else self.call.vapi

    @property
    def n_sent(self) -> int:
        """Messages that the bridge has sent to who listens."""
        summary = self.call.summary()
        return (summary.downlink if self.to == "provider" else summary.uplink).messages_out

    @property
    def dropped_ms(self) -> float:
        """What the bridge has dropped because who listens did not take it."""
        summary = self.call.summary()
        return summary.downlink.dropped_late_ms if self.to == "provider" else summary.uplink.dropped_closed_ms

    async def _speak(self) -> None:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        while True:
            await asyncio.sleep(begun_s + len(self.spoken_s) * 0.02 - loop.time())
            audio = numbered(len(self.spoken_s))
            self.spoken_s.append(loop.time())
            if self.to == "provider":
                await self.leg.socket.send_bytes(audio)
            else:
                self.phone.text(media(audio))

    async def _be_a_phone(self) -> None:
        while (got := await self.phone.read_frame(60))[0] != CLOSE:
            if got[0] == PING:
                self.phone.frame(PONG, got[1])
            elif got[0] == TEXT and (message := json.loads(got[1]))["event"] == "media":
                self._played += base64.b64decode(message["media"]["payload"])

    async def _listen(self) -> None:
        """Look at what has come, in whole frames."""
        at, audio = 0, self._played if self.to == "provider" else self.leg.audio
        while True:
            while at + FRAME <= len(audio):
                frame = bytes(audio[at : at + FRAME])
                at += FRAME
                if frame != SILENCE:
                    self.heard.append((number_of(frame), asyncio.get_running_loop().time()))
            await asyncio.sleep(0.002)
