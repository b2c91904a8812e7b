"""Hundreds of callers and their assistants, cheap enough to share a machine with the bridge.

Both sides write numbered frames (``load``) in real time, ten at a time, and keep what comes as raw bytes, which are
read when all is over. Independent of the package under test.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from load import FRAME, SILENCE, frame
from wire import frame as ws_frame
from wire import upgrade_request

BURST = 10  # frames
BURST_S = 0.02 * BURST
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 s. 1.3
_FIRST_VAPI = 1000


def frames_of(call: int, n: int) -> list[bytes]:
    """The frames of one speaker: numbered, with the noise of the first."""
    noise = frame(call, 0)[7:]
    return [b"\x10" + call.to_bytes(2, "big") + i.to_bytes(4, "big") + noise for i in range(n)]


def messages(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Opcode and payload of each frame in a stream, masked or not."""
    at = 0
    while at + 2 <= len(raw):
        opcode, n = raw[at] & 0x0F, raw[at + 1] & 0x7F
        is_masked, at = raw[at + 1] >> 7, at + 2
        if n == 126:
            n, at = int.from_bytes(raw[at : at + 2], "big"), at + 2
        mask, at = (raw[at : at + 4], at + 4) if is_masked else (b"", at)
        payload, at = raw[at : at + n], at + n
        if mask:
            key = int.from_bytes((mask * (n // 4 + 1))[:n], "big")
            payload = (int.from_bytes(payload, "big") ^ key).to_bytes(n, "big")
        yield opcode, payload


class Speaker(asyncio.Protocol):
    """One end of a media socket, after its head: writes frames in bursts, keeps what comes."""

    def __init__(self) -> None:
        self.raw = bytearray()
        self.head = asyncio.get_running_loop().create_future()
        self.spoken: list[bytes] = []
        self.is_lost = asyncio.Event()
        self.lost_s: float | None = None
        self.transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.raw += data
        end = self.raw.find(b"\r\n\r\n") if not self.head.done() else -1
        if end >= 0:
            head = bytes(self.raw[: end + 4])
            del self.raw[: end + 4]
            self.head.set_result(head)
            self.opened(head)

    def opened(self, head: bytes) -> None:
        """The head has come."""

    def connection_lost(self, error: Exception | None) -> None:
        self.lost_s = asyncio.get_running_loop().time()
        self.is_lost.set()
        if self._task is not None:
            self._task.cancel()

    def speak(self, bursts: list[bytes], frames: list[bytes]) -> None:
        """Write *bursts*, of which each holds ten of *frames*, in real time."""
        self._task = asyncio.get_running_loop().create_task(self._speak(bursts, frames))

    async def _speak(self, bursts: list[bytes], frames: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for i, burst in enumerate(bursts):
            await asyncio.sleep(begun + i * BURST_S - loop.time())
            self.transport.write(burst)
            self.spoken = frames[: (i + 1) * BURST]


class Caller(Speaker):
    """One Twilio-shaped phone."""

    def __init__(self, number: int, n_frames: int) -> None:
        super().__init__()
        self.number = number
        self.stream = f"MZ{number:032x}"
        frames = frames_of(number, n_frames)
        self._frames = frames
        texts = [
            json.dumps(
                {
                    "event": "media",
                    "sequenceNumber": str(i + 2),
                    "media": {"track": "inbound", "chunk": str(i + 1), "timestamp": str(i * 20)}
                    | {"payload": base64.b64encode(one).decode()},
                    "streamSid": self.stream,
                }
            ).encode()
            for i, one in enumerate(frames)
        ]
        wire = [ws_frame(1, text) for text in texts]
        self._bursts = [b"".join(wire[at : at + BURST]) for at in range(0, n_frames, BURST)]

    def say(self, message: object) -> None:
        self.transport.write(ws_frame(1, json.dumps(message).encode()))

    def talk(self) -> None:
        self.speak(self._bursts, self._frames)

    @property
    def heard(self) -> bytes:
        """The audio that was played to it."""
        found = (json.loads(data) for opcode, data in messages(bytes(self.raw)) if opcode == 1)
        return b"".join(base64.b64decode(one["media"]["payload"]) for one in found if one["event"] == "media")


class Assistant(Speaker):
    """Vapi's end of one call; it speaks as soon as it hears."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__()
        self._crowd = crowd

    def opened(self, head: bytes) -> None:
        match = re.search(rb"(?i)^Sec-WebSocket-Key: (\S+)\r$", head, re.M)
        path = re.match(rb"GET /(\d+)/transport ", head)
        assert match and path, head
        accept = base64.b64encode(hashlib.sha1(match[1] + _GUID).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.number = _FIRST_VAPI + int(path[1])
        self._crowd.assistants.append(self)
        frames = frames_of(self.number, self._crowd.n_frames)
        bursts = [
            ws_frame(2, b"".join(frames[at : at + BURST]), masked=False)
            for at in range(0, self._crowd.n_frames, BURST)
        ]
        self.speak(bursts, frames)

    @property
    def heard(self) -> bytes:
        """What the caller said, silence left out."""
        audio = b"".join(data for opcode, data in messages(bytes(self.raw)) if opcode == 2)
        blocks = (audio[at : at + FRAME] for at in range(0, len(audio), FRAME))
        return b"".join(block for block in blocks if block != SILENCE)


@dataclass
class Crowd:
    """All assistants: where their call sockets are served."""

    n_frames: int
    assistant: Callable[[Crowd], Assistant] = Assistant
    assistants: list[Assistant] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Crowd]:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: self.assistant(self), "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for one in self.assistants:
                one.transport.abort()


async def connect(caller: Caller, port: int, path: str, headers: dict[str, str]) -> bytes:
    """Open *caller*'s media socket; return the head of the answer."""
    await asyncio.get_running_loop().create_connection(lambda: caller, "127.0.0.1", port)
    caller.transport.write(upgrade_request(path, headers))
    async with asyncio.timeout(10):
        return bytes(await caller.head)
