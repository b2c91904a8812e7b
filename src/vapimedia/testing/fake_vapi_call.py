"""One call at the fake Vapi: its record, its socket and its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from vapimedia.formats import AudioFormat
from vapimedia.testing.faults import GARBAGE, VapiFaults
from vapimedia.testing.pacing import Pacing
from vapimedia.testing.vapi_rest import now_iso
from vapimedia.testing.vapi_webhooks import ToolCall, WebhookPost, post_webhook

__all__ = ["Assistant", "FakeVapiCall", "Utterance", "VapiSettings"]

_CLOSE_TIMEOUT_S = 5.0
_CONTROLS = {
    "say",
    "add-message",
    "append-context",
    "control",
    "end-call",
    "hangup",
    "transfer",
    "handoff",
    "send-transport-message",
}


@dataclass
class VapiSettings:
    """What all calls of a ``FakeVapi`` share."""

    pacing: Pacing
    speed: float
    faults: VapiFaults
    server_url: str | None
    server_secret: str | None
    webhook_timeout_s: float
    on_event: Callable[[FakeVapiCall, dict[str, Any]], None] | None
    on_tool_reply: Callable[[FakeVapiCall, ToolCall], None] | None = None


@dataclass
class Utterance:
    """One stretch of downlink audio: what was meant to be said, and what was sent before it was cut short.

    ``sizes`` and ``sent_ns`` are the bytes and the time of each message.
    """

    name: str
    planned: bytes
    sent: bytearray = field(default_factory=bytearray)
    started_ns: int = 0
    ended_ns: int = 0
    interrupted: bool = False
    sizes: list[int] = field(default_factory=list)
    sent_ns: list[int] = field(default_factory=list)


class Assistant(Protocol):
    """What sits behind the socket."""

    async def run(self) -> None:
        """Play the part; cancelled when the call ends."""

    async def heard(self, chunk: bytes) -> None:
        """Take the caller's audio."""

    async def told(self, message: dict[str, Any]) -> None:
        """Take a control message, from the socket or by HTTP."""


class FakeVapiCall:
    """The record of a call. Times are monotonic nanoseconds; 0 means not yet.

    ``uplink`` is all the caller's audio as it came, ``uplink_messages`` a ``(time_ns, n_bytes)`` per message.
    ``downlink`` is what was said. ``violations`` lists what a bridge must not do.
    """

    def __init__(
        self,
        call_id: str,
        *,
        request: dict[str, Any],
        headers: Mapping[str, str],
        fmt: AudioFormat,
        settings: VapiSettings,
        random: Random,
    ) -> None:
        self.id, self.request, self.request_headers, self.format = call_id, request, dict(headers), fmt
        self.settings, self.random = settings, random
        self.json: dict[str, Any] = {}
        self.ws_headers: dict[str, str] = {}
        self.uplink = bytearray()
        self.uplink_messages: list[tuple[int, int]] = []
        self.events_sent: list[tuple[int, dict[str, Any]]] = []
        self.texts_received: list[tuple[int, Any]] = []
        self.controls: list[dict[str, Any]] = []
        self.downlink: list[Utterance] = []
        self.interrupts_ns: list[int] = []
        self.tool_calls: list[ToolCall] = []
        self.webhooks: list[WebhookPost] = []
        self.violations: list[str] = []
        self.step_timeouts = 0
        self.created_ns = time.monotonic_ns()
        self.connected_ns = self.ended_ns = 0
        self.close_code: int | None = None
        self.closed_by: str | None = None
        self.ended_reason: str | None = None

        self.assistant: Assistant | None = None
        self.taps: list[Callable[[str, bytes], None]] = []
        self.muted_assistant = self.muted_customer = False
        self._ws: web.WebSocketResponse | None = None
        self._transport: asyncio.Transport | None = None
        self._closing: asyncio.Task[bool] | None = None
        self._http: aiohttp.ClientSession | None = None
        self._posts: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self._ended = asyncio.Event()

    # --- for tests --------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """The call's status as the API would tell it."""
        return "ended" if self._ended.is_set() else "in-progress" if self.connected_ns else "queued"

    @property
    def largest_uplink_gap_ms(self) -> float:
        """The longest time between two messages of the caller."""
        times = [time_ns for time_ns, _ in self.uplink_messages]
        return max((late - early for early, late in pairwise(times)), default=0) / 1e6

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of one type that were sent on the socket."""
        return [event for _, event in self.events_sent if event["type"] == kind]

    async def connected(self, timeout_s: float = 10.0) -> FakeVapiCall:
        """Wait until the call socket is open; returns the call."""
        await asyncio.wait_for(self._connected.wait(), timeout_s)
        return self

    async def ended(self, timeout_s: float = 60.0) -> FakeVapiCall:
        """Wait until the call is over and its webhooks are answered; returns the call."""
        await asyncio.wait_for(self._ended.wait(), timeout_s)
        if self._posts:
            await asyncio.wait(self._posts, timeout=timeout_s)
        return self

    async def send_event(self, event: dict[str, Any]) -> None:
        """Send one event on the socket; nothing happens when it is closed."""
        self.events_sent.append((time.monotonic_ns(), event))
        if self.settings.on_event is not None:
            self.settings.on_event(self, event)
        await self.send_text(json.dumps(event))

    async def send_text(self, text: str) -> None:
        """Send any text frame; nothing happens when the socket is closed."""
        if self._ws is not None and not self._ws.closed:
            try:
                await self._ws.send_str(text)
            except ConnectionError:
                self._end_with("customer-ended-call", "peer")

    async def send_audio(self, chunk: bytes) -> bool:
        """Send one binary frame; ``False`` when the socket is closed."""
        if self._ws is None or self._ws.closed:
            return False
        if self.muted_assistant:
            return True
        try:
            await self._ws.send_bytes(chunk)
        except ConnectionError:
            self._end_with("customer-ended-call", "peer")
            return False
        for tap in self.taps:
            tap("assistant", chunk)
        return True

    async def end(self, reason: str = "assistant-ended-call") -> None:
        """End the call from Vapi's side: ``status-update`` ended, then close 1000."""
        if self._end_with(reason, "vapi"):
            await self.send_event({"type": "status-update", "status": "ended", "endedReason": reason})
            await self._close(1000)

    async def _close(self, code: int) -> None:
        # A task of its own: the one that asked may be cancelled when reading stops, amid the handshake.
        if self._ws is not None and not self._ws.closed:
            self._closing = asyncio.create_task(self._ws.close(code=code))
            await asyncio.shield(self._closing)

    def drop(self) -> None:
        """Cut the TCP connection: no event, no close frame."""
        self._end_with("call.in-progress.error-vapifault-worker-died", "dropped")
        if self._transport is not None:
            self._transport.abort()

    # --- the socket -------------------------------------------------------------------------------------

    async def serve(self, request: web.Request, http: aiohttp.ClientSession) -> web.StreamResponse:
        """Serve the call socket until it closes. One socket a call."""
        faults = self.settings.faults
        self._http = http
        self.ws_headers = dict(request.headers)
        ws = web.WebSocketResponse(timeout=_CLOSE_TIMEOUT_S, max_msg_size=0, compress=False)
        try:
            await ws.prepare(request)
        except ConnectionError:  # the bridge has gone meanwhile; aiohttp would log a traceback
            self._end_with("customer-ended-call", "peer")
            self._ended.set()
            return web.Response(status=400)  # reaches nobody
        self._ws, self.connected_ns = ws, time.monotonic_ns()
        self._transport = request.transport
        self._connected.set()
        tasks = [asyncio.create_task(self._break(faults))]
        try:
            await self.send_event({"type": "status-update", "status": "in-progress"})
            self.post({"type": "status-update", "status": "in-progress"})
            if self.assistant is not None:
                tasks.append(asyncio.create_task(self.assistant.run()))
            await self._read(ws)
        finally:
            if self._closing is not None:
                await asyncio.gather(self._closing, return_exceptions=True)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._finish(ws)
        return ws

    async def _read(self, ws: web.WebSocketResponse) -> None:
        faults = self.settings.faults
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                await self._hear(message.data)
            elif message.type is aiohttp.WSMsgType.TEXT:
                await self._be_told(message.data)
            if faults.stall_after_s is not None and self._age_s() >= faults.stall_after_s:
                faults.stall_after_s = None
                await asyncio.sleep(faults.stall_s)

    def _age_s(self) -> float:
        return (time.monotonic_ns() - self.connected_ns) / 1e9

    async def _hear(self, chunk: bytes) -> None:
        self.uplink_messages.append((time.monotonic_ns(), len(chunk)))
        self.uplink += chunk
        if not chunk:
            self.violations.append("uplink: an empty binary frame")
        if len(chunk) % self.format.bytes_per_sample:
            self.violations.append(f"uplink: {len(chunk)} bytes are not whole samples")
        for tap in self.taps:
            tap("customer", chunk)
        if self.assistant is not None and not self.muted_customer:
            await self.assistant.heard(chunk)

    async def _be_told(self, text: str) -> None:
        try:
            message = json.loads(text)
        except ValueError:
            message = None
        self.texts_received.append((time.monotonic_ns(), text if message is None else message))
        problem = await self.control(message)
        if problem is not None:
            self.violations.append(f"socket: {problem}")

    async def control(self, message: object) -> str | None:
        """Act on a control message; returns what is wrong with it."""
        kind = message.get("type") if isinstance(message, dict) else None
        if not isinstance(message, dict) or kind not in _CONTROLS:
            return f"unknown control message {kind!r}"
        if kind == "say" and not isinstance(message.get("content"), str):
            return "say: content must be a string"
        if kind == "add-message":
            inner = message.get("message")
            if not isinstance(inner, dict) or not {"role", "content"} <= set(inner):
                return "add-message: message must hold role and content"
        self.controls.append(message)
        if kind in {"end-call", "hangup"}:
            await self.end("customer-ended-call" if kind == "hangup" else "manually-canceled")
        elif kind == "control":
            verb, _, side = str(message.get("control")).partition("-")
            if side in {"assistant", "customer"}:
                setattr(self, f"muted_{side}", verb == "mute")
        elif self.assistant is not None:
            await self.assistant.told(message)
        return None

    async def _break(self, faults: VapiFaults) -> None:
        if faults.garbage:
            for text in GARBAGE:
                await self.send_text(text)
        if faults.drop_after_s is not None:
            await asyncio.sleep(faults.drop_after_s)
            self.drop()
        if faults.close_after_s is not None:
            await asyncio.sleep(faults.close_after_s)
            self._end_with("worker-shutdown", "vapi")
            await self._close(faults.close_code)

    # --- the end ----------------------------------------------------------------------------------------

    def _end_with(self, reason: str, by: str) -> bool:
        if self.ended_reason is not None:
            return False
        self.ended_reason, self.closed_by = reason, by
        return True

    def give_up(self) -> None:
        """End a call whose socket never came."""
        if not self.connected_ns:
            self._end_with("call.in-progress.error-vapifault-transport-never-connected", "vapi")
            self._ended.set()

    def _finish(self, ws: web.WebSocketResponse) -> None:
        self._end_with("customer-ended-call", "peer")
        self.close_code = ws.close_code
        self.ended_ns = time.monotonic_ns()
        report = {"endedReason": self.ended_reason, "endedAt": now_iso()}
        self.post({"type": "status-update", "status": "ended", "endedReason": self.ended_reason})
        empty: dict[str, Any] = {"messages": [], "messagesOpenAIFormatted": [], "transcript": ""}
        self.post({"type": "end-of-call-report", **report, "cost": 0, "artifact": empty, "analysis": {}})
        self._ended.set()

    # --- webhooks ---------------------------------------------------------------------------------------

    def post(self, message: dict[str, Any]) -> None:
        """Post a webhook without waiting for it."""
        task = asyncio.create_task(self._post_and_forget(message))
        self._posts.add(task)
        task.add_done_callback(self._posts.discard)

    async def _post_and_forget(self, message: dict[str, Any]) -> None:
        await self.ask(message, self.settings.webhook_timeout_s)

    async def ask(self, message: dict[str, Any], timeout_s: float) -> WebhookPost | None:
        """Post a webhook and return the answer; ``None`` without a server URL."""
        overrides = self.request.get("assistantOverrides")
        server = overrides.get("server") if isinstance(overrides, dict) else None
        server = server if isinstance(server, dict) else {}
        url = server.get("url", self.settings.server_url)
        if url is None or self._http is None:
            return None
        call = {**self.json, "status": self.status, "updatedAt": now_iso()}
        full = {**message, "timestamp": time.time_ns() // 1_000_000, "call": call}
        secret = server.get("secret", self.settings.server_secret)
        post = await post_webhook(self._http, url, secret, full, timeout_s)
        self.webhooks.append(post)
        return post
