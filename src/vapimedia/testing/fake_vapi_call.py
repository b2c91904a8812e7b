"""One call at the fake Vapi: its record, what it is told, what it tells, and its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Coroutine, Mapping
from itertools import pairwise
from random import Random
from typing import Any

from vapimedia.formats import AudioFormat
from vapimedia.testing.listen import Listener
from vapimedia.testing.vapi_messages import CLIENT_MESSAGES, Conversation, as_subscribed
from vapimedia.testing.vapi_parts import Assistant, Leg, Utterance, VapiSettings
from vapimedia.testing.vapi_questions import Questions
from vapimedia.testing.vapi_rest import now_iso
from vapimedia.testing.vapi_shapes import PROVEN_ON_SOCKET, control_problem
from vapimedia.testing.vapi_webhooks import ToolCall, WebhookPost, server_of

__all__ = ["FakeVapiCall"]

_HANG_UP_GRACE_S = 5.0
_COST_PER_MINUTE = 0.05


class FakeVapiCall(Questions):
    """The record of a call. Times are monotonic nanoseconds; 0 means not yet.

    ``uplink`` is all the caller's audio as it came, ``uplink_messages`` a ``(time_ns, n_bytes)`` per message.
    ``downlink`` is what was said. ``violations`` lists what a bridge must not do, ``warnings`` what nobody
    knows to work. ``controls`` are the control messages that were taken.
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
        self.warnings: list[str] = []
        self.step_timeouts = 0
        self.created_ns = time.monotonic_ns()
        self.connected_ns = self.ended_ns = 0
        self.close_code: int | None = None
        self.closed_by: str | None = None
        self.ended_reason: str | None = None
        self.deleted = False

        self.assistant: Assistant | None = None
        self.conversation = Conversation()
        self.listeners: list[Listener] = []
        self.muted_assistant = self.muted_customer = False
        self.client_messages = frozenset(self.setting("clientMessages") or CLIENT_MESSAGES)
        self.server_messages = frozenset(self.setting("serverMessages") or settings.server_messages)
        self._phase = "scheduled" if "schedulePlan" in request else "queued"
        self._leg: Leg | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answered = asyncio.Event()
        self._connected = asyncio.Event()
        self._ended = asyncio.Event()

    # --- for tests --------------------------------------------------------------------------------------

    @property
    def status(self) -> str:
        """The call's status as the API would tell it."""
        return "ended" if self._ended.is_set() else self._phase

    @property
    def is_phone_call(self) -> bool:
        """Whether this is an ordinary phone call, without a call socket."""
        return "transport" not in self.request

    @property
    def listen_url(self) -> str:
        """Where to listen; empty when the monitor plan forbids it."""
        return str(self.json.get("monitor", {}).get("listenUrl", ""))

    @property
    def control_url(self) -> str:
        """Where control messages go; empty when the monitor plan forbids it."""
        return str(self.json.get("monitor", {}).get("controlUrl", ""))

    @property
    def largest_uplink_gap_ms(self) -> float:
        """The longest time between two messages of the caller."""
        times = [time_ns for time_ns, _ in self.uplink_messages]
        return max((late - early for early, late in pairwise(times)), default=0) / 1e6

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of one type that were sent on the socket."""
        return [event for _, event in self.events_sent if event["type"] == kind]

    def setting(self, name: str) -> Any:
        """Return a setting of the assistant: the request's overrides, or the assistant it brought."""
        for place in ("assistantOverrides", "assistant"):
            found = self.request.get(place)
            if isinstance(found, dict) and name in found:
                return found[name]
        return None

    def answer(self) -> None:
        """Let the customer of a phone call pick up; one that rings by itself does so in time."""
        self._answered.set()

    async def answered(self, timeout_s: float | None) -> bool:
        """Wait for ``answer()``; ``False`` when it does not come."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._answered.wait()
        except TimeoutError:
            return False
        return True

    async def connected(self, timeout_s: float = 10.0) -> FakeVapiCall:
        """Wait until the call socket is open, or the phone answered; returns the call."""
        await asyncio.wait_for(self._connected.wait(), timeout_s)
        return self

    async def ended(self, timeout_s: float = 60.0) -> FakeVapiCall:
        """Wait until the call is over and its webhooks are answered; returns the call."""
        await asyncio.wait_for(self._ended.wait(), timeout_s)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        return self

    # --- what it tells ----------------------------------------------------------------------------------

    async def emit(self, event: dict[str, Any]) -> None:
        """Tell an event to who subscribed to it: the socket, the listeners, the server URL. Not after the end."""
        if self.ended_reason is not None:
            return
        if seen := as_subscribed(event, self.client_messages):
            await self.send_event(seen)
        if posted := as_subscribed(event, self.server_messages):
            self.post(posted)

    async def send_event(self, event: dict[str, Any]) -> None:
        """Send one event on the socket, subscribed to or not; nothing happens when it is closed, or the call over."""
        if self.ended_reason is None:
            await self._tell(event)

    async def _tell(self, event: dict[str, Any]) -> None:
        self.events_sent.append((time.monotonic_ns(), event))
        if self.settings.on_event is not None:
            self.settings.on_event(self, event)
        for listener in self.listeners:
            listener.tell(event)
        await self.send_text(json.dumps(event))

    async def send_text(self, text: str) -> None:
        """Send any text frame; nothing happens when the socket is closed."""
        if self._leg is not None and not await self._leg.send_text(text):
            self.close_with("customer-ended-call", "peer")

    async def send_audio(self, chunk: bytes) -> bool:
        """Send one binary frame; ``False`` when the socket is closed, or the call over."""
        if self._leg is None or self.ended_reason is not None:
            return False
        return await self._leg.send_audio(chunk)

    def as_muted(self, chunk: bytes) -> bytes:
        """Return what is sent in place of *chunk*: silence while the assistant is muted."""
        if not self.muted_assistant:
            return chunk
        return (self.format.silence * len(chunk))[: len(chunk)]

    def flush(self) -> None:
        """Drop what was said and has not been heard yet, where Vapi plays it out itself."""
        if self._leg is not None:
            self._leg.flush()
        for listener in self.listeners:
            listener.flush()

    def monitor(self, side: str, chunk: bytes) -> None:
        """Let the listeners hear *chunk* of ``customer`` or ``assistant``."""
        for listener in self.listeners:
            listener.take(side, chunk)

    # --- what it is told --------------------------------------------------------------------------------

    async def hear(self, chunk: bytes) -> None:
        """Take the caller's audio."""
        self.uplink_messages.append((time.monotonic_ns(), len(chunk)))
        self.uplink += chunk
        if not chunk:
            self.violations.append("uplink: an empty binary frame")
        if len(chunk) % self.format.bytes_per_sample:
            self.violations.append(f"uplink: {len(chunk)} bytes are not whole samples")
        self.monitor("customer", chunk)
        if self.assistant is not None and not self.muted_customer:
            await self.assistant.heard(chunk)

    async def control(self, message: Any, *, on_socket: bool = False) -> str | None:
        """Act on a control message; returns what is wrong with it."""
        problem = control_problem(message)
        if problem is not None:
            return problem
        kind = message["type"]
        self.controls.append(message)
        if on_socket and kind not in PROVEN_ON_SOCKET:
            self.warnings.append(f"{kind}: not proven to work on the socket")
        if kind == "send-transport-message" and not self.is_phone_call:
            self.warnings.append(f"{kind}: there is no transport below a websocket call")
        if self.settings.on_control is not None:
            self.settings.on_control(self, message)
        match kind:
            case "end-call":
                await self.end("manually-canceled")
            case "hangup":
                await self.end("customer-ended-call")
            case "control" if message["control"] != "say-first-message":
                verb, _, side = message["control"].partition("-")
                setattr(self, f"muted_{side}", verb == "mute")
            case "transfer" | "handoff":
                self._start(self._move(message))
            case _ if self.assistant is not None:
                await self.assistant.told(message)
        return None

    async def _move(self, message: dict[str, Any]) -> None:
        if message.get("content") and self.assistant is not None:
            await self.assistant.say(message["content"])
        destination: Any = message.get("destination")
        if message["type"] == "handoff":
            name = destination.get("assistantName") or destination.get("assistantId") or "assistant"
            to = destination.get("assistant") or {"name": name}
            about = {
                "fromAssistant": self.json.get("assistant") or {"name": "corner store"},
                "toAssistant": to,
            }
            await self.emit({"type": "transfer-update", "destination": destination, **about})
            await self.emit({"type": "assistant.started", "newAssistant": to})
            return
        await self.transfer(destination)

    async def transfer(self, destination: dict[str, Any] | None) -> None:
        """Transfer the call as the assistant would: a phone call ends here, a websocket call goes on.

        Without a destination the server is asked for one. Who subscribed to ``phone-call-control`` is told to do
        it instead.
        """
        if destination is None:
            reply = (await self.request_transfer()).json
            destination = reply.get("destination") if isinstance(reply, dict) else None
        if destination is None or self.ended_reason is not None:  # it may have ended while it was asked
            return
        await self.emit({"type": "transfer-update", "destination": destination})
        if "phone-call-control" in self.server_messages:
            await self.request_phone_call_control("forward", destination)
            return
        about = {"destination": destination, **self.conversation.history()}
        self._post_status("forwarding", transcript=self.conversation.transcript, **about)
        if self.is_phone_call:
            self._phase = "forwarding"
            await self.end("assistant-forwarded-call")

    async def hang_up(self, reason: str = "assistant-ended-call") -> None:
        """End the call as the assistant would; who subscribed to ``phone-call-control`` is asked to."""
        if "phone-call-control" in self.server_messages and self.ended_reason is None:
            await self.request_phone_call_control("hang-up")
            try:
                async with asyncio.timeout(_HANG_UP_GRACE_S / self.settings.speed):
                    await self._ended.wait()
            except TimeoutError:
                self.violations.append("phone-call-control: the call was not hung up")
        await self.end(reason)

    # --- the life of a call -----------------------------------------------------------------------------

    def ring(self) -> None:
        """Note that the phone rings."""
        self._phase = "ringing"
        self._post_status("ringing")

    async def begin(self, leg: Leg) -> None:
        """Note that the caller is there."""
        self._leg, self.connected_ns, self._phase = leg, time.monotonic_ns(), "in-progress"
        self.json["startedAt"] = now_iso()
        self._connected.set()
        await self.emit({"type": "status-update", "status": "in-progress"})

    async def end(self, reason: str = "assistant-ended-call") -> None:
        """End the call from Vapi's side: ``status-update`` ended, then close 1000."""
        if self.close_with(reason, "vapi"):
            event = {"type": "status-update", "status": "ended", "endedReason": reason}
            if as_subscribed(event, self.client_messages):
                await self._tell(event)
            if self._leg is not None:
                await self._leg.close(1000)

    def drop(self) -> None:
        """Cut the TCP connection: no event, no close frame."""
        self.close_with("call.in-progress.error-vapifault-worker-died", "dropped")
        if self._leg is not None:
            self._leg.abort()

    def close_with(self, reason: str, by: str) -> bool:
        """Note why the call ends; ``False`` when that is known already."""
        if self.ended_reason is not None:
            return False
        self.ended_reason, self.closed_by = reason, by
        self._answered.set()  # a phone that rings stops
        return True

    def give_up(self) -> None:
        """End a call whose socket never came."""
        if not self.connected_ns:
            self.close_with("call.in-progress.error-vapifault-transport-never-connected", "vapi")
            self.ended_ns = time.monotonic_ns()
            self._ended.set()

    def finish(self, close_code: int | None = None) -> None:
        """Note that the call is over, and report it."""
        self.close_with("customer-ended-call", "peer")
        self.close_code = close_code
        self.ended_ns = time.monotonic_ns()
        self.json["endedAt"] = now_iso()
        self._post_status("ended", endedReason=self.ended_reason)
        about: dict[str, Any] = {
            name: self.json[name] for name in ("startedAt", "endedAt") if name in self.json
        }
        report = {"type": "end-of-call-report", "endedReason": self.ended_reason, **about, **self.settled()}
        if "end-of-call-report" in self.server_messages:
            self.post(report)
        self._ended.set()

    def age_since_end_s(self) -> float:
        """Return how long ago the call ended."""
        return (time.monotonic_ns() - self.ended_ns) / 1e9

    def settled(self) -> dict[str, Any]:
        """Return what is known of a call some time after its end."""
        minutes = (self.ended_ns - self.connected_ns) / 60e9 if self.connected_ns else 0.0
        costs = [
            {"type": "vapi", "subType": "normal", "minutes": minutes, "cost": minutes * _COST_PER_MINUTE}
        ]
        return {
            "cost": round(minutes * _COST_PER_MINUTE, 6),
            "costs": costs,
            "analysis": {"summary": "", "successEvaluation": "true"},
            "artifact": self.conversation.artifact(),
        }

    # --- webhooks ---------------------------------------------------------------------------------------

    def _post_status(self, status: str, **fields: Any) -> None:
        if "status-update" in self.server_messages:
            self.post({"type": "status-update", "status": status, **fields})

    def post(self, message: dict[str, Any]) -> None:
        """Post a webhook without waiting for it."""
        self._start(self.ask(message))

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def ask(self, message: dict[str, Any], timeout_s: float | None = None) -> WebhookPost:
        """Post any server message about this call; nothing is sent without a server URL."""
        call = {**self.json, "status": self.status, "updatedAt": now_iso()}
        full = {**message, "timestamp": time.time_ns() // 1_000_000, "call": call}
        full.setdefault("artifact", self.conversation.artifact())
        for name in ("assistant", "customer", "phoneNumber"):
            if isinstance(self.request.get(name), dict):
                full[name] = self.request[name]
        server = server_of(message, self.setting)
        if self.settings.faults.webhook_delay_s:
            await asyncio.sleep(self.settings.faults.webhook_delay_s)
        post = await self.settings.sender.deliver(full, server, timeout_s=timeout_s)
        if post.statuses:
            self.webhooks.append(post)
            if self.settings.on_webhook is not None:
                self.settings.on_webhook(self, post)
        return post
