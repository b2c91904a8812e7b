"""A fake Vonage phone call: the answer webhook, the events, the media socket, the caller's voice and ear."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp

from vapimedia.formats import AudioFormat
from vapimedia.testing.caller import CallerStep
from vapimedia.testing.ear import Ear
from vapimedia.testing.fake_phone import FakePhone
from vapimedia.testing.phone_faults import PhoneFaults
from vapimedia.testing.vonage_http import VonageHttp
from vapimedia.testing.vonage_ncco import Ncco, parse_ncco, read_actions, read_endpoint
from vapimedia.testing.vonage_outbound import CallOutcome, Outbound
from vapimedia.testing.vonage_wire import bill, compact, judge_message, timestamp
from vapimedia.testing.webhook_http import Answer

__all__ = ["CallOutcome", "FakeVonageCall", "Outbound"]

_PCM16 = AudioFormat("pcm_s16le", 16000)
_DTMF_MS = 260
# Ends of the media socket that were not Vonage's doing: they raise "disconnected".
_LOST = {"bridge", "reset", "cut", "wrong size"}
_LEG_HUNG_UP = "api leg"
_DETAILS = {"failed": "cannot_route", "unanswered": "timeout"}


class FakeVonageCall(FakePhone):
    """One call, as Vonage would make it: inbound, or with *outbound* one that the REST API made.

    ``await run()`` asks *answer_url* for an NCCO, posts the events of both legs, connects to the socket that the
    NCCO names, plays *caller* and listens until either side ends the call. *public_url* is the origin that the
    bridge was told it has, while connections go to *answer_url*'s host. *event_url* is the application's: it is
    told of the phone's leg, and of the socket's where the NCCO names no other. The content-type of the NCCO
    decides the format (``ear.fmt``). A message that is not exactly one frame drops the leg without a close
    frame; messages beyond *buffer_messages* unplayed ones are dropped and counted. Notifies that a ``clear``
    overtakes stay without an answer, unless *clear_returns_notifies*. ``fallback_ncco`` is what the bridge
    answered when its socket was lost: it is judged and kept, not performed, and over at once. ``went_on`` is what
    else the caller went on to, the rest of the NCCO, and then the phone's leg is not completed. Where an NCCO is
    wanted, a webhook that fails is sent twice, then twice to *fallback_answer_url*. *speed* divides every
    interval (2.0: twice real time); other than 1, the bridge must be ``unpaced``. *max_s* ends a call that
    nobody ends. Nothing is raised for what the bridge does wrong: it is recorded.
    """

    lacks = frozenset({"stop_twice", "media_after_stop"})  # it says no stop

    def __init__(
        self,
        answer_url: str,
        *,
        api_key: str,
        application_id: str,
        signature_secret: str,
        caller: Sequence[CallerStep] = (),
        call_uuid: str | None = None,
        from_: str = "15005550006",
        to: str = "15005550001",
        public_url: str | None = None,
        event_url: str | None = None,
        fallback_answer_url: str | None = None,
        answer_method: Literal["POST", "GET"] = "POST",
        event_method: Literal["POST", "GET"] = "POST",
        buffer_messages: int = 1024,
        clear_returns_notifies: bool = False,
        speed: float = 1.0,
        max_s: float = 120.0,
        faults: PhoneFaults | None = None,
        signed: bool = True,
        on_media_start: Callable[[FakeVonageCall], None] | None = None,
        outbound: Outbound | None = None,
    ) -> None:
        super().__init__(
            caller=caller,
            ear=Ear(_PCM16),
            speed=speed,
            max_s=max_s,
            faults=faults,
            on_media_start=on_media_start,
        )
        self.answer_url, self.answer_method, self.public_url = answer_url, answer_method, public_url
        self.event_url, self.event_method = event_url, event_method
        self.from_, self.to, self.outbound = from_, to, outbound
        self.buffer_messages, self.clear_returns_notifies = buffer_messages, clear_returns_notifies
        self.direction = "inbound" if outbound is None else "outbound"
        self.call_uuid = call_uuid or str(uuid.uuid4())
        self._is_socket_alone = outbound is not None and outbound.endpoint is not None
        self.websocket_uuid = self.call_uuid if self._is_socket_alone else str(uuid.uuid4())
        self.conversation_uuid = f"CON-{uuid.uuid4()}"

        self.ncco: Ncco | None = None
        self.fallback_ncco: list[dict[str, Any]] | None = None
        self.went_on: list[dict[str, Any]] = []
        self.wrong_size_messages = 0
        self._web = VonageHttp(
            answer_url, public_url, signature_secret, api_key, application_id, signed, fallback_answer_url
        )
        self.callbacks = self._web.posts
        self.violations = self._web.violations
        self._http: aiohttp.ClientSession | None = None
        self._telling: asyncio.Task[Answer] | None = None
        self._has_socket_leg = False
        self._notifies: deque[dict[str, Any]] = deque()  # payloads of marks that wait
        self._begun = datetime.now(UTC)

    @property
    def phone_statuses(self) -> list[str]:
        """What events said about the phone's leg, in order."""
        return [] if self._is_socket_alone else self._statuses(self.call_uuid)

    @property
    def websocket_statuses(self) -> list[str]:
        """What events said about the media socket's leg, in order."""
        return self._statuses(self.websocket_uuid)

    def _statuses(self, leg: str) -> list[str]:
        return [
            post.form["status"]
            for post in self.callbacks
            if post.form.get("uuid") == leg and "status" in post.form and post.attempt == 1
        ]

    def transfer(self, ncco: list[dict[str, Any]]) -> None:
        """Have the phone go on with *ncco*, as the REST API may: the media socket's leg ends."""
        self.violations.extend(f"transfer: {text}" for text in read_actions(ncco).violations)
        self.went_on = ncco
        self.hang_up("transfer")

    def hang_up_socket(self) -> bool:
        """Hang up the media socket's leg alone, as the REST API may; false where there is none.

        The caller goes on to what follows in the NCCO.
        """
        if self._has_socket_leg:
            self.hang_up(_LEG_HUNG_UP)
        return self._has_socket_leg

    async def run(self) -> FakeVonageCall:
        """Make the call and return it once it is over. A call object runs once."""
        async with aiohttp.ClientSession() as http:
            http._retry_connection = False  # a GET would go out again with the token of the first
            self._http, self._begun = http, datetime.now(UTC)
            try:
                if await self._picked_up():
                    await self._live(http)
            finally:
                if self._telling is not None:
                    await asyncio.gather(self._telling, return_exceptions=True)
                self._http = None
        return self

    # --- the phone's leg ----------------------------------------------------------------------------

    async def _picked_up(self) -> bool:
        """Ring; false when that is all there is to the call."""
        outbound = self.outbound
        if self._is_socket_alone:
            return True
        await self._tell_phone("started")
        if outbound is None:
            await self._tell_phone("ringing")
            return True
        outcome = outbound.outcome
        if outcome != "failed":
            await self._tell_phone("ringing")
            if outbound.ringing_timer_s < outbound.ring_s:
                outcome = "timeout"
            ring_s = min(outbound.ringing_timer_s, outbound.ring_s) / self.speed
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), ring_s)
            if self._over.is_set():
                await self._tell_phone("cancelled")
                return False
        is_machine = outcome == "machine" and outbound.machine_detection != ""
        if outcome == "answered" or (outcome == "machine" and outbound.machine_detection != "hangup"):
            await self._tell_phone("answered")
            if is_machine:
                await self._tell_phone("machine")
            return True
        self._end(outcome)
        detail = _DETAILS.get(outcome)
        await self._tell_phone(outcome, **({"detail": detail} if detail else {}))
        if is_machine:
            await self._tell_phone("completed", **bill(self._begun, datetime.now(UTC)))
        return False

    async def _live(self, http: aiohttp.ClientSession) -> None:
        ncco = self.ncco = await self._instructions(http)
        if ncco is not None:
            self.violations.extend(ncco.violations)
            if self.outbound is None:
                self._tell_phone("answered")
            if ncco.uri is None:
                self._end("ncco")
            elif not self._over.is_set():
                self.ear = Ear(
                    ncco.fmt,
                    buffer_ms=None,
                    buffer_messages=self.buffer_messages,
                    clear_returns_marks=self.clear_returns_notifies,
                )
                await self._connect(http, ncco, ncco.uri)
            if self.fallback_ncco is None and self.ended_by in {*_LOST, "upgrade", _LEG_HUNG_UP}:
                self.went_on = self.went_on or ncco.after
        if not self._is_socket_alone and not self.went_on:
            await self._tell_phone("completed", **bill(self._begun, datetime.now(UTC)))

    async def _instructions(self, http: aiohttp.ClientSession) -> Ncco | None:
        if self.outbound is not None and self.outbound.endpoint is not None:
            ncco = Ncco()
            read_endpoint(self.outbound.endpoint, ncco)
            return ncco
        if self.outbound is not None and self.outbound.ncco is not None:
            return read_actions(self.outbound.ncco)
        form = {
            "from": self.from_,
            "to": self.to,
            "uuid": self.call_uuid,
            "conversation_uuid": self.conversation_uuid,
        }
        url = self._web.reached(self.answer_url)
        answer = await self._web.ask(http, url, form, self.answer_method, kind="answer")
        self.voice_status, self.voice_error = answer.status, answer.error
        if answer.status != 200:
            self._end("voice webhook")
            return None
        if answer.content_type != "application/json":
            self.violations.append(f"NCCO: Content-Type {answer.content_type}")
        return parse_ncco(answer.body)

    # --- the socket's leg ---------------------------------------------------------------------------

    async def _connect(self, http: aiohttp.ClientSession, ncco: Ncco, uri: str) -> None:
        self._has_socket_leg = True
        await self._tell_socket(ncco, "started")
        if self._over.is_set():
            await self._tell_socket(ncco, "cancelled")
            return
        headers = {}
        match ncco.authorization:
            case {"type": "vonage"} if self._web.signed:
                headers["Authorization"] = f"Bearer {self._web.token()}"
            case {"type": "custom", "value": value}:
                headers["Authorization"] = value
        ws = await self._upgraded(http, self._web.dialled(uri), headers)
        if ws is None and self.ended_by == "upgrade":
            refused = self.upgrade_status is not None
            status, detail = ("failed", "cannot_route") if refused else ("unanswered", "unavailable")
            await self._lose(ncco, status, detail=detail)
            return
        if ws is not None:
            self._tell_socket(ncco, "answered", start_time=None, rate=None, network=None)
            await self._stream(ws)
        if self.ended_by in _LOST:
            await self._lose(ncco, "disconnected")
        else:
            await self._tell_socket(ncco, "completed", **bill(self._begun, datetime.now(UTC)))

    async def _lose(self, ncco: Ncco, status: str, **more: Any) -> None:
        """Report a socket that is not there, and take the NCCO that may be the answer."""
        answer = await self._tell_socket(ncco, status, wants_ncco=ncco.synchronous, **more)
        try:
            actions = json.loads(answer.body)
        except ValueError:
            return
        if answer.status != 200 or not isinstance(actions, list):
            return
        if not ncco.synchronous:
            self.violations.append("fallback: an NCCO came, but the action's eventType is not synchronous")
            return
        self.fallback_ncco = actions
        if answer.content_type != "application/json":
            self.violations.append(f"fallback: Content-Type {answer.content_type}")
        self.violations.extend(f"fallback: {text}" for text in read_actions(actions).violations)

    async def _open(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        ncco, faults = self.ncco or Ncco(), self.faults
        told = ncco.content_type
        if faults.wrong_rate or faults.wrong_encoding:
            told = f"{faults.wrong_encoding or 'audio/l16'};rate={faults.wrong_rate or ncco.fmt.sample_rate}"
        connected = {"event": "websocket:connected", "content-type": told, **ncco.headers}
        await ws.send_str(compact(connected))

    async def _farewell(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        """Say nothing: Vonage just closes."""

    def _frame(self, audio: bytes, n_ticks: int) -> bytes:
        return audio

    async def _send_digit(self, ws: aiohttp.ClientWebSocketResponse, digit: str) -> None:
        await ws.send_str(compact({"event": "websocket:dtmf", "digit": digit, "duration": _DTMF_MS}))

    async def _send_marks(self, ws: aiohttp.ClientWebSocketResponse, names: Sequence[str]) -> None:
        for _ in names:
            await ws.send_str(compact({"event": "websocket:notify", "payload": self._notifies.popleft()}))

    async def _receive(
        self, ws: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage, now_ns: int
    ) -> None:
        if self._over.is_set():
            return
        match message.type:
            case aiohttp.WSMsgType.BINARY:
                self._hear(message.data, now_ns)
            case aiohttp.WSMsgType.TEXT:
                await self._act(ws, message.data, now_ns)
            case _:
                self.violations.append(f"message: not valid WebSocket ({message.data})")

    def _hear(self, payload: bytes, now_ns: int) -> None:
        n_frame = self.ear.fmt.frame_bytes()
        if len(payload) != n_frame:
            self.wrong_size_messages += 1
            self.violations.append(f"message: {len(payload)} bytes of audio, not {n_frame}: leg dropped")
            self.close_code = 1006
            self._cut = True
            self._end("wrong size")
            return
        self._note_payload(payload, now_ns)
        if not self.ear.media(payload) and self.ear.overflow_messages == 1:
            self.violations.append(f"message: more than {self.buffer_messages} wait to be played")

    async def _act(self, ws: aiohttp.ClientWebSocketResponse, text: str, now_ns: int) -> None:
        message, wrong = judge_message(text)
        if wrong is not None:
            self.violations.append(wrong)
        if message is None:
            return
        if message["action"] == "notify":
            payload: dict[str, Any] = message["payload"]
            self._notifies.append(payload)
            name = payload.get("name")
            await self._send_marks(
                ws, self.ear.mark(name if isinstance(name, str) else compact(payload), now_ns)
            )
            return
        names = self.ear.clear(now_ns)
        if not self.clear_returns_notifies:
            self._notifies.clear()
        await ws.send_str('{"event":"websocket:cleared"}')
        await self._send_marks(ws, names)

    # --- events -------------------------------------------------------------------------------------

    def _tell_phone(self, status: str, **more: Any) -> asyncio.Task[Answer]:
        form = {"from": self.from_, "to": self.to, "uuid": self.call_uuid}
        form |= self._said(status, self.direction, {}, more)
        return self._tell(self._event_url(), form, self.event_method)

    def _tell_socket(
        self, ncco: Ncco, status: str, *, wants_ncco: bool = False, **more: Any
    ) -> asyncio.Task[Answer]:
        form = {"from": ncco.from_ or self.to, "to": ncco.uri, "uuid": self.websocket_uuid}
        form |= self._said(status, "outbound", ncco.headers, more)
        if ncco.event_url is not None:
            return self._tell(self._web.dialled(ncco.event_url), form, ncco.event_method, wants_ncco)
        return self._tell(self._event_url(), form, self.event_method, wants_ncco)

    def _event_url(self) -> str | None:
        return self._web.reached(self.event_url) if self.event_url is not None else None

    def _said(
        self, status: str, direction: str, headers: dict[str, Any], more: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "conversation_uuid": self.conversation_uuid,
            "status": status,
            "direction": direction,
            **more,
            "timestamp": timestamp(datetime.now(UTC)),
            "headers": headers,
        }

    def _tell(
        self, url: str | None, form: dict[str, Any], method: str, wants_ncco: bool = False
    ) -> asyncio.Task[Answer]:
        """Send an event once those before it are answered. Awaiting it is up to the caller."""
        before, http = self._telling, self._http

        async def tell() -> Answer:
            if before is not None:
                await before
            if url is None or http is None:
                return Answer()
            if wants_ncco:
                return await self._web.ask(http, url, form, method, kind="event")
            return await self._web.tell(http, url, form, method)

        self._telling = asyncio.create_task(tell())
        return self._telling
