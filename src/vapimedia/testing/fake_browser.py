"""A fake web page that calls: the request for a call, one WebSocket, the caller's voice and the page's own queue."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import urlsplit

import aiohttp

from vapimedia.formats import AudioFormat
from vapimedia.testing.caller import CallerStep, Tick
from vapimedia.testing.ear import Ear
from vapimedia.testing.fake_phone import FakePhone
from vapimedia.testing.phone_faults import PhoneFaults
from vapimedia.testing.webhook_http import WebhookHttp

__all__ = ["FakeBrowserCall"]

CHUNK_SAMPLES = 1024
"""What a page's audio callback hands over at a time: 21.3 ms at 48 kHz, 23.2 ms at 44.1 kHz."""
_TOLD = {"transcript", "speech-update", "status-update", "user-interrupted"}


@dataclass
class _PageHttp(WebhookHttp):
    document: ClassVar[str] = "answer"


class FakeBrowserCall(FakePhone):
    """One call, as a web page would make it.

    ``await run()`` posts ``{"rate", "key"}`` to *call_url*, connects to the socket that the answer names, plays
    *caller* in chunks of 1024 samples of pcm_s16le at *rate* and listens until either side ends the call. The
    page keeps the queue of what it has not played itself, and empties it on ``user-interrupted``: that is its
    clear. *public_url* is the origin the bridge was told it has, while connections go to *call_url*'s host;
    *origin* is the page's own, which browsers tell (unset: the bridge's). *speed* divides every interval; other
    than 1, the bridge must be ``unpaced``. *max_s* ends a call that nobody ends. Nothing is raised for what the
    bridge does wrong: it is recorded.

    ``voice_status`` is the status of the answer to the request, ``texts`` what the page was told, in order.
    """

    lacks = frozenset(
        {"no_start", "early_media", "second_start_after_s", "wrong_rate", "wrong_encoding"}
    )  # its format and its start are the request's

    def __init__(
        self,
        call_url: str,
        *,
        key: str = "",
        rate: int = 48_000,
        caller: Sequence[CallerStep] = (),
        public_url: str | None = None,
        origin: str | None = None,
        speed: float = 1.0,
        max_s: float = 120.0,
        faults: PhoneFaults | None = None,
        on_media_start: Callable[[FakeBrowserCall], None] | None = None,
    ) -> None:
        self.call_url, self.public_url, self.key = call_url, public_url, key
        super().__init__(
            caller=caller,
            # A page queues what it is given, and nobody but the page knows what it has played.
            ear=Ear(AudioFormat("pcm_s16le", rate), buffer_ms=None),
            speed=speed,
            max_s=max_s,
            faults=faults,
            on_media_start=on_media_start,
        )
        own = urlsplit(public_url or call_url)
        self.origin = origin if origin is not None else f"{own.scheme}://{own.netloc}"
        self.media_url: str | None = None
        self.texts: list[dict[str, Any]] = []
        self.hangup_sent = False
        self._web = _PageHttp(call_url, public_url)
        self.callbacks = self._web.posts
        self.violations = self._web.violations
        self._chunk_bytes = CHUNK_SAMPLES * self.ear.fmt.bytes_per_sample
        self._recorded = bytearray()

    async def run(self) -> FakeBrowserCall:
        """Make the call and return it once it is over. A call object runs once."""
        headers = {"Origin": self.origin}
        async with aiohttp.ClientSession(headers=headers) as http:
            url = await self._asked(http)
            if url is not None:
                ws = await self._upgraded(http, self._web.dialled(url), {})
                if ws is not None:
                    await self._stream(ws)
        return self

    # --- the request --------------------------------------------------------------------------------

    async def _asked(self, http: aiohttp.ClientSession) -> str | None:
        """Return the media socket's URL, public."""
        rate = self.ear.fmt.sample_rate
        asked = {"rate": rate, "key": self.key}
        answer = await self._web.send(http, "POST", self.call_url, {"rate": rate}, json=asked)
        self.voice_status, self.voice_error = answer.status, answer.error
        if answer.status != 200:
            self._end("call request")
            return None
        told = _object(answer.body)
        if told is None or answer.content_type != "application/json":
            self.violations.append(f"answer: {answer.content_type} is not a JSON object")
            told = told or {}
        url = told.get("url")
        if not isinstance(url, str) or urlsplit(url).scheme not in {"ws", "wss"}:
            self._end("call request")  # the page was told that there is no call
            return None
        if told.get("rate") != rate:
            self.violations.append(f"answer: rate {told.get('rate')!r} instead of {rate}")
        self.media_url = url
        return url

    # --- the stream ---------------------------------------------------------------------------------

    async def _tick_for_ever(self, ws: aiohttp.ClientWebSocketResponse, voice: Iterator[Tick]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        chunk_s = CHUNK_SAMPLES / self.ear.fmt.sample_rate
        n_chunks = n_ticks = 0
        while not self._over.is_set():
            n_chunks += 1
            # A chunk is there when its last sample is recorded. The clock is absolute.
            due = begun + n_chunks * chunk_s / self.speed
            await asyncio.sleep(max(0.0, due - loop.time()))
            while len(self._recorded) < self._chunk_bytes:
                n_ticks += 1
                now_ns = time.monotonic_ns()
                self.ear.tick(now_ns)
                await self._emit(ws, next(voice), now_ns, n_ticks)
            chunk = bytes(self._recorded[: self._chunk_bytes])
            await super()._send_audio(ws, chunk, n_ticks)
            del self._recorded[: self._chunk_bytes]

    def _n_unsent(self) -> int:
        return super()._n_unsent() + len(self._recorded)

    async def _open(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """A page just begins."""

    async def _send_audio(self, ws: aiohttp.ClientWebSocketResponse, audio: bytes, n_ticks: int) -> None:
        self._recorded += audio

    def _frame(self, audio: bytes, n_ticks: int) -> bytes:
        return audio

    async def _send_digit(self, ws: aiohttp.ClientWebSocketResponse, digit: str) -> None:
        await ws.send_str(json.dumps({"type": "dtmf", "digit": digit}))

    async def _send_marks(self, ws: aiohttp.ClientWebSocketResponse, names: Sequence[str]) -> None:
        """A page tells nobody what it has played."""

    async def _farewell(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_str('{"type":"hangup"}')
        self.hangup_sent = True

    async def _receive(
        self, ws: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage, now_ns: int
    ) -> None:
        if message.type is aiohttp.WSMsgType.BINARY:
            self._hear(message.data, now_ns)
        elif message.type is aiohttp.WSMsgType.TEXT:
            self._be_told(message.data, now_ns)

    def _hear(self, audio: bytes, now_ns: int) -> None:
        if not audio or len(audio) % self.ear.fmt.bytes_per_sample:
            # The page's Int16Array would refuse it.
            self.violations.append(f"audio: {len(audio)} bytes are not whole samples")
            return
        self._note_payload(audio, now_ns)
        self.ear.media(audio)

    def _be_told(self, text: str, now_ns: int) -> None:
        told = _object(text)
        if told is None or told.get("type") not in _TOLD:
            what = "not a JSON object" if told is None else f"unknown type {told.get('type')!r}"
            self.violations.append(f"text: {what}")
            return
        self.texts.append(told)
        if told["type"] == "user-interrupted":
            self.ear.clear(now_ns)


def _object(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
