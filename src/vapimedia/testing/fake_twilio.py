"""A fake Twilio phone call: the voice webhook, the media stream, the caller's voice and the caller's ear."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin

import aiohttp

from vapimedia.formats import AudioFormat
from vapimedia.testing.caller import CallerStep
from vapimedia.testing.ear import Ear
from vapimedia.testing.fake_phone import FakePhone, Said
from vapimedia.testing.phone_faults import PhoneFaults
from vapimedia.testing.twilio_http import TwilioHttp
from vapimedia.testing.twilio_wire import Twiml, judge_message, parse_twiml, sign

__all__ = ["FakeTwilioCall", "Said"]

_MULAW = AudioFormat("mulaw", 8000)
_USER_AGENT = "TwilioProxy/1.1"


class FakeTwilioCall(FakePhone):
    """One inbound call, as Twilio would make it.

    ``await run()`` posts the voice webhook at *voice_url*, connects to the stream its TwiML names, plays
    *caller* and listens until either side ends the call. *public_url* is the origin the bridge was told it
    has (``https://voice.example.com``): it is what gets signed, while connections go to *voice_url*'s host.
    *status_url* receives the final ``CallStatus``. *speed* divides every interval (2.0: twice real time);
    other than 1, the bridge must be ``unpaced`` (``BridgeConfig(unpaced=True)``), or it drops what is too fast.
    *max_s* ends a call that nobody ends. With *twiml* it is a call that the REST API made: no voice webhook is
    posted, *voice_url* only tells where the bridge is. ``redirected`` is the TwiML that the REST API let the call
    go on with: it is judged and kept, not performed. Nothing is raised for what the bridge does wrong: it is
    recorded.
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
        faults: PhoneFaults | None = None,
        on_media_start: Callable[[FakeTwilioCall], None] | None = None,
        twiml: str | None = None,
    ) -> None:
        self.voice_url, self.public_url, self.status_url = voice_url, public_url, status_url
        self.auth_token, self.account_sid = auth_token, account_sid
        self.call_sid = call_sid or "CA" + secrets.token_hex(16)
        self.stream_sid = "MZ" + secrets.token_hex(16)
        self.from_, self.to = from_, to
        super().__init__(
            caller=caller,
            ear=Ear(_MULAW),
            speed=speed,
            max_s=max_s,
            faults=faults,
            on_media_start=on_media_start,
        )
        self.direction = "inbound" if twiml is None else "outbound-api"
        self._inline = twiml

        self.twiml: Twiml | None = None
        self.redirected: Twiml | None = None
        self.stop_sent = False
        self._web = TwilioHttp(voice_url, public_url, auth_token)
        self.callbacks = self._web.posts
        self.violations = self._web.violations
        self._sequence = 0
        self._chunk = 0

    def redirect(self, document: str) -> bool:
        """Have the call go on with other TwiML, as the REST API may: its stream ends. False once it is over."""
        if self.ended_by is not None:
            return False
        self.redirected = parse_twiml(document)
        self.violations.extend(f"redirect: {text}" for text in self.redirected.violations)
        self.hang_up("redirect")
        return True

    async def run(self) -> FakeTwilioCall:
        """Make the call and return it once it is over. A call object runs once."""
        async with aiohttp.ClientSession(headers={"User-Agent": _USER_AGENT}) as http:
            if await self._answered(http):
                await self._media(http)
            if self.status_url is not None:
                await self._web.post(
                    http, self.status_url, {**self._call_form("completed"), "CallDuration": "1"}
                )
        return self

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

    async def _media(self, http: aiohttp.ClientSession) -> None:
        url = self.twiml.stream_url if self.twiml is not None else None
        if url is None:
            return
        headers = {"x-twilio-signature": sign(self.auth_token, url)}
        ws = await self._upgraded(http, self._web.dialled(url), headers)
        if ws is None:
            return
        events = asyncio.create_task(self._stream_event(http, "stream-started"))
        await self._stream(ws)
        await events
        await self._stream_event(http, "stream-stopped")

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
        url = urljoin(self._web.public(self.voice_url), self.twiml.status_callback)
        await self._web.post(http, self._web.dialled(url), form)

    async def _send(self, ws: aiohttp.ClientWebSocketResponse, event: str, body: dict[str, Any]) -> None:
        self._sequence += 1
        message = {"event": event, "sequenceNumber": str(self._sequence), event: body}
        await ws.send_str(json.dumps({**message, "streamSid": self.stream_sid}, separators=(",", ":")))

    async def _greet(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_str('{"event":"connected","protocol":"Call","version":"1.0.0"}')

    async def _open(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await self._send(
            ws,
            "start",
            {
                "accountSid": self.account_sid,
                "streamSid": self.stream_sid,
                "callSid": self.call_sid,
                "tracks": ["inbound"],
                "mediaFormat": {
                    "encoding": self.faults.wrong_encoding or "audio/x-mulaw",
                    "sampleRate": self.faults.wrong_rate or 8000,
                    "channels": 1,
                },
                "customParameters": self.twiml.parameters if self.twiml is not None else {},
            },
        )

    async def _farewell(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await self._send(ws, "stop", {"accountSid": self.account_sid, "callSid": self.call_sid})
        self.stop_sent = True

    async def _send_marks(self, ws: aiohttp.ClientWebSocketResponse, names: Sequence[str]) -> None:
        for name in names:
            await self._send(ws, "mark", {"name": name})

    async def _send_digit(self, ws: aiohttp.ClientWebSocketResponse, digit: str) -> None:
        await self._send(ws, "dtmf", {"track": "inbound_track", "digit": digit})

    def _frame(self, audio: bytes, n_ticks: int) -> str:
        self._chunk += 1
        self._sequence += 1
        payload = base64.b64encode(audio).decode()
        # Written by hand: fifty calls in one process send 2500 of these a second.
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound",'
            f'"chunk":"{self._chunk}","timestamp":"{n_ticks * 20 - 15}","payload":"{payload}"}},'
            f'"streamSid":"{self.stream_sid}"}}'
        )

    async def _receive(
        self, ws: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage, now_ns: int
    ) -> None:
        if message.type is not aiohttp.WSMsgType.TEXT:
            self.violations.append("31950 a binary frame")
            return
        decoded, warning = judge_message(message.data, self.stream_sid)
        if warning is not None:
            self.violations.append(warning)
        if decoded is not None:
            await self._act(ws, decoded, now_ns)

    async def _act(self, ws: aiohttp.ClientWebSocketResponse, message: dict[str, Any], now_ns: int) -> None:
        names: list[str] = []
        match message["event"]:
            case "media":
                payload: bytes = message["media"]["payload"]
                self._note_payload(payload, now_ns)
                if not self.ear.media(payload):
                    self.violations.append("31931 more than 10 minutes queued")
            case "mark":
                names = self.ear.mark(message["mark"]["name"], now_ns)
            case "clear":
                names = self.ear.clear(now_ns)
        await self._send_marks(ws, names)
