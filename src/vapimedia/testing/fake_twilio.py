"""A fake Twilio phone call: the voice webhook, the media stream, the caller's voice and the caller's ear."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import aiohttp

from vapimedia.formats import AudioFormat
from vapimedia.testing.caller import CallerStep, Interrupt, Tick, play_caller
from vapimedia.testing.ear import BargeIn, Clear, Ear, Mark
from vapimedia.testing.twilio_http import TwilioHttp
from vapimedia.testing.twilio_wire import Twiml, judge_message, parse_twiml, sign

__all__ = ["FakeTwilioCall", "Said"]

_MULAW = AudioFormat("mulaw", 8000)
_TICK_S = 0.020
_USER_AGENT = "TwilioProxy/1.1"


@dataclass
class Said:
    """One thing the caller said: which step, and when its first and last frame left."""

    clip: str | bytes
    started_ns: int
    ended_ns: int
    interrupting: bool


class FakeTwilioCall:
    """One inbound call, as Twilio would make it.

    ``await run()`` posts the voice webhook at *voice_url*, connects to the stream its TwiML names, plays
    *caller* and listens until either side ends the call. *public_url* is the origin the bridge was told it
    has (``https://voice.example.com``): it is what gets signed, while connections go to *voice_url*'s host.
    *status_url* receives the final ``CallStatus``. *speed* divides every interval (2.0: twice real time);
    other than 1, the bridge must be ``unpaced`` (``BridgeConfig(unpaced=True)``), or it drops what is too fast.
    *max_s* ends a call that nobody ends. With *twiml* it is a call that the REST API made: no voice webhook is
    posted, *voice_url* only tells where the bridge is. Nothing is raised for what the
    bridge does wrong: it is recorded.
    """

    def __init__(
        self,
        voice_url: str,
        *,
        auth_token: str,
        caller: Sequence[CallerStep] = (),
        account_sid: str = "AC" + "0" * 31 + "1",
        call_sid: str | None = None,
        from_: str = "+15005550006",
        to: str = "+15005550001",
        public_url: str | None = None,
        status_url: str | None = None,
        speed: float = 1.0,
        max_s: float = 120.0,
        start_delay_s: float = 0.0,
        on_media_start: Callable[[FakeTwilioCall], None] | None = None,
        twiml: str | None = None,
    ) -> None:
        self.voice_url, self.public_url, self.status_url = voice_url, public_url, status_url
        self.auth_token, self.account_sid = auth_token, account_sid
        self.call_sid = call_sid or "CA" + secrets.token_hex(16)
        self.stream_sid = "MZ" + secrets.token_hex(16)
        self.from_, self.to = from_, to
        self.caller, self.speed, self.max_s, self.start_delay_s = tuple(caller), speed, max_s, start_delay_s
        self.on_media_start = on_media_start
        self.direction = "inbound" if twiml is None else "outbound-api"
        self._inline = twiml

        self.voice_status: int | None = None
        self.voice_error = ""
        self.twiml: Twiml | None = None
        self.upgrade_status: int | None = None
        self.close_code: int | None = None
        self.ended_by: str | None = None
        self.stop_sent = False
        self.started_ns = self.ended_ns = 0
        self.sent = bytearray()
        self.received = bytearray()
        self.received_ns: list[int] = []
        self.payload_sizes: list[int] = []
        self.digits: list[tuple[str, int]] = []
        self.said: list[Said] = []
        self.step_timeouts = 0
        self._web = TwilioHttp(voice_url, public_url, auth_token)
        self.callbacks = self._web.posts
        self.violations = self._web.violations
        self.late_ticks_ms = 0.0
        self.ear = Ear()

        self._ws: aiohttp.ClientWebSocketResponse | None = None
        self._sequence = 0
        self._chunk = 0
        self._last_step: CallerStep | None = None
        self._over = asyncio.Event()
        self._streaming = asyncio.Event()

    # --- what came of it ----------------------------------------------------------------------------

    @property
    def heard(self) -> bytes:
        """The caller's ear: mulaw/8000 in real time from the stream's start, gaps as 0xFF."""
        return bytes(self.ear.heard)

    @property
    def marks(self) -> list[Mark]:
        """Marks received, with the times they were returned."""
        return self.ear.marks

    @property
    def clears(self) -> list[Clear]:
        """Clears received."""
        return self.ear.clears

    @property
    def barge_ins(self) -> list[BargeIn]:
        """What became of every ``Interrupt`` that was spoken."""
        spoken = [said for said in self.said if said.interrupting]
        found = []
        for index, said in enumerate(spoken):
            until = spoken[index + 1].started_ns if index + 1 < len(spoken) else time.monotonic_ns()
            clears = (one.received_ns for one in self.clears if said.started_ns <= one.received_ns < until)
            clear_ns = next(clears, None)
            silent_ns = self.ear.silent_since_ns(said.started_ns if clear_ns is None else clear_ns)
            found.append(BargeIn(said.started_ns, clear_ns, silent_ns))
        return found

    # --- what a test may do -------------------------------------------------------------------------

    async def run(self) -> FakeTwilioCall:
        """Make the call and return it once it is over. A call object runs once."""
        async with aiohttp.ClientSession(headers={"User-Agent": _USER_AGENT}) as http:
            if await self._answered(http) and await self._connected(http):
                await self._stream(http)
            if self.status_url is not None:
                await self._web.post(
                    http, self.status_url, {**self._call_form("completed"), "CallDuration": "1"}
                )
        return self

    async def streaming(self, timeout_s: float = 10.0) -> None:
        """Wait until ``start`` has been sent."""
        await asyncio.wait_for(self._streaming.wait(), timeout_s)

    def hang_up(self, by: str = "caller") -> None:
        """End the call from the phone's side: ``stop``, then close."""
        self._end(by)

    def reset(self) -> None:
        """Cut the TCP connection with a reset: no ``stop``, no close frame."""
        self._end("reset")
        raw: Any = self._ws.get_extra_info("socket") if self._ws is not None else None
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def send_raw(self, text: str) -> None:
        """Send any text to the bridge, for tests of what a bridge must survive."""
        if self._ws is not None and not self._ws.closed:
            await self._ws.send_str(text)

    # --- the webhook --------------------------------------------------------------------------------

    def _call_form(self, status: str) -> dict[str, str]:
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_sid,
            "CallStatus": status,
            "Called": self.to,
            "Caller": self.from_,
            "Direction": self.direction,
            "From": self.from_,
            "To": self.to,
        }

    async def _answered(self, http: aiohttp.ClientSession) -> bool:
        if self._inline is not None:
            return self._obeys(self._inline)
        answer = await self._web.post(http, self.voice_url, self._call_form("ringing"))
        self.voice_status, self.voice_error = answer.status, answer.error
        if answer.status != 200:
            self.ended_by = "voice webhook"
            return False
        if answer.content_type not in {"text/xml", "application/xml"}:
            self.violations.append(f"12300 TwiML: Content-Type {answer.content_type}")
        return self._obeys(answer.body)

    def _obeys(self, document: str) -> bool:
        self.twiml = parse_twiml(document)
        self.violations.extend(self.twiml.violations)
        if self.twiml.stream_url is None:
            self.ended_by = "twiml"
            return False
        return True

    # --- the stream ---------------------------------------------------------------------------------

    async def _connected(self, http: aiohttp.ClientSession) -> bool:
        url = self.twiml.stream_url if self.twiml is not None else None
        if url is None:
            return False
        headers = {"x-twilio-signature": sign(self.auth_token, url)}
        timeout = aiohttp.ClientWSTimeout(ws_close=5.0)
        try:
            self._ws = await http.ws_connect(
                self._web.dialled(url), headers=headers, timeout=timeout, max_msg_size=0
            )
        except aiohttp.WSServerHandshakeError as error:
            self.upgrade_status = error.status
            self.ended_by = "upgrade"
            return False
        except aiohttp.ClientError:
            self.ended_by = "upgrade"
            return False
        self.upgrade_status = 101
        return True

    async def _stream(self, http: aiohttp.ClientSession) -> None:
        ws = self._ws
        if ws is None:
            return
        self.started_ns = time.monotonic_ns()
        events = asyncio.create_task(self._stream_event(http, "stream-started"))
        reader = asyncio.create_task(self._read(ws))
        speaker = asyncio.create_task(self._speak(ws))
        try:
            await asyncio.wait_for(self._over.wait(), self.max_s)
        except TimeoutError:
            self._end("timeout")
        finally:
            speaker.cancel()
            await asyncio.gather(speaker, return_exceptions=True)
            await self._close(ws)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            self.ended_ns = time.monotonic_ns()
        await events
        await self._stream_event(http, "stream-stopped")

    async def _close(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        if not ws.closed and self.ended_by != "bridge":
            if self.ended_by == "reset":
                # SO_LINGER 0 is set: closing the response drops the connection with a TCP reset.
                ws._response.close()
                return
            try:
                await self._send(ws, "stop", {"accountSid": self.account_sid, "callSid": self.call_sid})
                self.stop_sent = True
            except (ConnectionError, aiohttp.ClientError):
                pass  # the bridge was faster
        await ws.close(code=1000)
        self.close_code = ws.close_code

    async def _stream_event(self, http: aiohttp.ClientSession, event: str) -> None:
        if self.twiml is None or self.twiml.status_callback is None:
            return
        form = {
            "AccountSid": self.account_sid,
            "CallSid": self.call_sid,
            "StreamSid": self.stream_sid,
            "StreamName": self.stream_sid,
            "StreamEvent": event,
            "Timestamp": datetime.now(UTC).isoformat(),
        }
        await self._web.post(
            http, self._web.dialled(urljoin(self.voice_url, self.twiml.status_callback)), form
        )

    def _end(self, by: str) -> None:
        if self.ended_by is None:
            self.ended_by = by
        self._over.set()

    async def _send(self, ws: aiohttp.ClientWebSocketResponse, event: str, body: dict[str, Any]) -> None:
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence), event: body}
        await ws.send_str(json.dumps({**message, "streamSid": self.stream_sid}, separators=(",", ":")))

    async def _speak(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        await asyncio.sleep(self.start_delay_s)
        await self._send(
            ws,
            "start",
            {
                "accountSid": self.account_sid,
                "streamSid": self.stream_sid,
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                "customParameters": self.twiml.parameters if self.twiml is not None else {},
            },
        )
        self._streaming.set()
        if self.on_media_start is not None:
            self.on_media_start(self)
        voice = play_caller(self.caller, self.ear, _MULAW)
        try:
            await self._tick_for_ever(ws, voice)
        except (ConnectionError, aiohttp.ClientError):
            self._end("bridge")

    async def _tick_for_ever(self, ws: aiohttp.ClientWebSocketResponse, voice: Iterator[Tick]) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        n_ticks = 0
        while not self._over.is_set():
            # The clock is absolute: a late wake-up is made up for, never carried along.
            due = begun + n_ticks * _TICK_S / self.speed
            await asyncio.sleep(max(0.0, due - loop.time()))
            self.late_ticks_ms = max(self.late_ticks_ms, (loop.time() - due) * 1000)
            n_ticks += 1
            now_ns = time.monotonic_ns()
            for name in self.ear.tick(now_ns):
                await self._send(ws, "mark", {"name": name})
            await self._emit(ws, next(voice), now_ns, n_ticks)

    async def _emit(self, ws: aiohttp.ClientWebSocketResponse, tick: Tick, now_ns: int, n_ticks: int) -> None:
        self.step_timeouts += tick.timed_out
        if tick.step is not None:
            self._note_said(tick, now_ns)
        if tick.digit is not None:
            self.digits.append((tick.digit, now_ns))
            await self._send(ws, "dtmf", {"track": "inbound_track", "digit": tick.digit})
        self._chunk += 1
        self._sequence += 1
        self.sent += tick.audio
        payload = base64.b64encode(tick.audio).decode()
        # Written by hand: fifty calls in one process send 2500 of these a second.
        await ws.send_str(
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{n_ticks * 20 - 15}","payload":"{payload}"}},'
            f'"streamSid":"{self.stream_sid}"}}'
        )
        if tick.hang_up:
            self.hang_up()

    def _note_said(self, tick: Tick, now_ns: int) -> None:
        step = tick.step
        if step is None:
            return
        if self._last_step is not step:
            self.said.append(Said(step.clip, now_ns, now_ns, isinstance(step, Interrupt)))
            self._last_step = step
        self.said[-1].ended_ns = now_ns

    async def _read(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        async for message in ws:
            now_ns = time.monotonic_ns()
            if message.type is not aiohttp.WSMsgType.TEXT:
                self.violations.append("31950 a binary frame")
                continue
            decoded, warning = judge_message(message.data, self.stream_sid)
            if warning is not None:
                self.violations.append(warning)
            if decoded is not None:
                await self._act(ws, decoded, now_ns)
        self._end("bridge")

    async def _act(self, ws: aiohttp.ClientWebSocketResponse, message: dict[str, Any], now_ns: int) -> None:
        names: list[str] = []
        match message["event"]:
            case "media":
                payload: bytes = message["media"]["payload"]
                self.received += payload
                self.received_ns.append(now_ns)
                self.payload_sizes.append(len(payload))
                if not self.ear.media(payload):
                    self.violations.append("31931 more than 10 minutes queued")
            case "mark":
                names = self.ear.mark(message["mark"]["name"], now_ns)
            case "clear":
                names = self.ear.clear(now_ns)
        for name in names:
            await self._send(ws, "mark", {"name": name})
