"""A Twilio-shaped client and a Vapi, written from the wire up: independent of the package under test.

Every 20 ms of audio carries its own number: a lost, doubled, changed or crossed frame is seen as such.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
from dataclasses import dataclass, field

from aiohttp import ClientSession, WSMsgType, web

FRAME = 160
SILENCE = b"\xff" * FRAME


def frame(call: int, number: int) -> bytes:
    """160 bytes of mu-law that say whose they are; never silent."""
    head = b"\x10" + call.to_bytes(2, "big") + number.to_bytes(4, "big")
    noise = random.Random(call * 1_000_003 + number)
    return head + bytes(noise.randrange(0, 96) for _ in range(FRAME - len(head)))


@dataclass
class Report:
    """What became of the frames of one direction of one call."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    silence: int = 0


def judge(expected: list[bytes], stream: bytes) -> Report:
    report = Report(sent=len(expected))
    numbers = {one: i for i, one in enumerate(expected)}
    seen: set[int] = set()
    for at in range(0, len(stream) - FRAME + 1, FRAME):
        block = stream[at : at + FRAME]
        if block == SILENCE:
            report.silence += 1
        elif block not in numbers:
            report.corrupted += 1
        elif numbers[block] in seen:
            report.duplicated += 1
        else:
            seen.add(numbers[block])
            report.received += 1
    report.lost = len(expected) - len(seen)
    return report


@dataclass
class VapiSide:
    """Serves ``POST /call`` and the call sockets; speaks numbered frames in odd chunks."""

    n_frames: int
    bytes_per_s: int = 8000
    uplinks: dict[str, bytearray] = field(default_factory=dict)
    spoken: dict[str, list[bytes]] = field(default_factory=dict)
    texts: dict[str, list[dict[str, object]]] = field(default_factory=dict)
    closed: dict[str, int | None] = field(default_factory=dict)
    requests: list[dict[str, object]] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> VapiSide:
        app = web.Application()
        app.router.add_post("/call", self._create)
        app.router.add_get("/{call}/transport", self._socket)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.requests.append(body)
        call = f"vapi-{len(self.requests)}"
        url = f"{self.url.replace('http', 'ws')}/{call}/transport"
        return web.json_response(
            {"id": call, "transport": {"provider": "vapi.websocket", "websocketCallUrl": url}}, status=201
        )

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        call = request.match_info["call"]
        number = int(call.removeprefix("vapi-")) + 1000
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.uplinks[call] = bytearray()
        self.texts[call] = []
        frames = [frame(number, i) for i in range(self.n_frames)]
        self.spoken[call] = []
        await socket.send_json({"type": "status-update", "status": "in-progress"})
        speaking = asyncio.create_task(self._speak(socket, frames, self.spoken[call], number))
        async for message in socket:
            if message.type is WSMsgType.BINARY:
                self.uplinks[call] += message.data
            elif message.type is WSMsgType.TEXT:
                self.texts[call].append(json.loads(message.data))
        self.closed[call] = socket.close_code
        speaking.cancel()
        return socket

    async def _speak(
        self, socket: web.WebSocketResponse, frames: list[bytes], spoken: list[bytes], seed: int
    ) -> None:
        # Sizes and gaps as measured on the real service: 170..743 bytes, about 50 ms apart.
        chance = random.Random(seed)
        loop = asyncio.get_running_loop()
        begun, at, audio = loop.time(), 0, b"".join(frames)
        while at < len(audio):
            size = chance.choice((1, 170, 185, 186, 371, 372, 557, 558, 743))
            await socket.send_bytes(audio[at : at + size])
            at += size
            spoken[:] = frames[: min(at, len(audio)) // FRAME]
            await asyncio.sleep(max(0.0, begun + at / self.bytes_per_s - loop.time()))


@dataclass
class Phone:
    """One Twilio-shaped call: connected, start, numbered media in real time, stop; records what it is played."""

    number: int
    n_frames: int
    linger_s: float = 0.5
    sent: list[bytes] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    marks: list[str] = field(default_factory=list)
    close_code: int | None = None

    async def run(self, session: ClientSession, url: str) -> None:
        stream = f"MZ{self.number:032x}"
        async with session.ws_connect(url) as socket:
            await socket.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
            start = {
                "accountSid": "AC" + "0" * 32,
                "streamSid": stream,
                "callSid": f"CA{self.number:032x}",
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": {},
            }
            await socket.send_json(
                {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": stream}
            )
            listening = asyncio.create_task(self._listen(socket))
            await self._talk(socket, stream)
            await asyncio.sleep(self.linger_s)
            stop = {"accountSid": "AC" + "0" * 32, "callSid": f"CA{self.number:032x}"}
            await socket.send_json(
                {"event": "stop", "sequenceNumber": "2", "stop": stop, "streamSid": stream}
            )
            async with asyncio.timeout(5):
                await listening
            self.close_code = socket.close_code

    async def _talk(self, socket: object, stream: str) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for i in range(self.n_frames):
            await asyncio.sleep(max(0.0, begun + i * 0.02 - loop.time()))
            audio = frame(self.number, i)
            self.sent.append(audio)
            media = {"track": "inbound", "chunk": str(i + 1), "timestamp": str(i * 20)}
            media["payload"] = base64.b64encode(audio).decode()
            message = {"event": "media", "sequenceNumber": str(i + 2), "media": media}
            await socket.send_str(json.dumps(message | {"streamSid": stream}))  # type: ignore[attr-defined]

    async def _listen(self, socket: object) -> None:
        async for message in socket:  # type: ignore[attr-defined]
            data = json.loads(message.data)
            if data["event"] == "media":
                self.received += base64.b64decode(data["media"]["payload"], validate=True)
            elif data["event"] == "mark":
                self.marks.append(data["mark"]["name"])
