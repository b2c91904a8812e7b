"""One live call: a session joined to its two sockets. Does what the session says and waits for nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
import picows

from vapimedia.errors import ConcurrencyBlocked, ConfigError, VapiError
from vapimedia.io import media_transport
from vapimedia.io.call_figures import figures_of
from vapimedia.io.call_log import NOBODY, CallLog, CallNames, plain
from vapimedia.io.call_story import CallStory
from vapimedia.io.config import BridgeConfig
from vapimedia.io.control_line import ControlLine
from vapimedia.io.forward import trouble_with
from vapimedia.io.hooks import Call, CallInfo
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.phone_requests import PhoneRequests
from vapimedia.io.pump import Pump, now_ns
from vapimedia.io.recording import Recorder, Recording
from vapimedia.io.tls import trouble_of
from vapimedia.io.vapi_client import USER_AGENT, VapiClient
from vapimedia.io.wire_log import WireLog, regarding, regarding_call
from vapimedia.protocols.commands import CloseSocket, Command, HttpCall, SendBinary, SendText
from vapimedia.protocols.dialect import Dialect, Document, Refusal
from vapimedia.protocols.events import ProviderEvent
from vapimedia.protocols.vapi import CreateCall, CreatedCall, check_url_from_api
from vapimedia.secret import Secret
from vapimedia.session import (
    Actions,
    CallEnded,
    CallEvent,
    CallProgress,
    CallSession,
    CallStarted,
    CallSummary,
    ForwardTarget,
    SessionConfig,
)

__all__ = ["CallHost", "LiveCall"]

_CONNECT_TIMEOUT_S = 4.8
_T = TypeVar("_T")


class CallHost(Protocol):
    """What a live call needs of its bridge."""

    config: BridgeConfig
    pump: Pump
    client: VapiClient
    wire: WireLog | None

    def run(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run *work* beside everything else."""

    def count(self, what: str, n: int = 1) -> None: ...
    def carry_out(self, request: HttpCall, *, ends: str = "", log: CallLog = NOBODY) -> asyncio.Task[bool]:
        """Make a request that nobody waits for; the task says whether it did its work.

        *ends* is our reference of the call that it is to end: if it does not, it is tried again when the provider
        tells of that call.
        """

    def tell(self, call: LiveCall, event: CallEvent) -> None:
        """Pass an event to the user."""

    def started(self, call: LiveCall, call_id: str) -> None: ...
    def named(self, call: LiveCall) -> None:
        """The call has a name that it had not before: its provider's, Vapi's, or ours."""

    def ended(self, call: LiveCall, summary: CallSummary) -> None:
        """The call is over on both legs. Called exactly once."""

    def leaving(self, call: LiveCall) -> None:
        """The call is over, but a socket of it came after that."""


class LiveCall:
    """The owner of both sockets of one call (``SocketOwner`` of the pump)."""

    def __init__(self, host: CallHost, dialect: Dialect, config: SessionConfig, info: CallInfo) -> None:
        self.host = host
        self.info = info
        self.handle = Call(self)
        self.call_id = info.call_id
        self.vapi_call_id = ""
        self.token = Secret()
        self.reference = ""
        """Our own name for a call that we make; empty for one that came in."""
        self.placing: asyncio.Task[Any] | None = None
        """What asks the provider for a call that we make."""
        self.end: asyncio.Future[CallEnded] = asyncio.get_running_loop().create_future()
        self.answer: Document | None = None
        """What the provider's voice webhook was answered with; ``None`` if there was none."""
        self.recording: Recording | None = None
        self.is_over = False
        self.session = CallSession(dialect, config, now_ns=now_ns(), carries_media=False)
        own = secrets.token_hex(4)
        self.log = CallLog(lambda: CallNames(own, self.call_id, self.vapi_call_id, info.provider))
        self._story = CallStory(self.log, self.session)
        self._wire = None if host.wire is None else host.wire.of(self.log, self.session)
        self.provider = MediaSocket(self, "provider", host.pump.reactor)
        self.vapi = MediaSocket(self, "vapi", host.pump.reactor)
        self.provider.log, self.vapi.log = self.log.of_leg("provider"), self.log.of_leg("vapi")
        # Asked more often than one is due: the end of an utterance shifts the marks.
        self.vapi.mark_every_ms = max(1, config.mark_interval_ms // 4)
        self.controls = ControlLine(host, self.log)
        self._created: CreatedCall | None = None
        self._request: CreateCall | None = None
        self._untold, self._is_telling = deque[CallEvent](), False
        self._task: asyncio.Task[None] | None = None
        self._provider_is_there = asyncio.Event()
        self._is_given_up, self._requests = asyncio.Event(), PhoneRequests()
        host.pump.add(self.provider, self._tick)
        host.pump.add(self.vapi, self._tick)
        self.log.note("call_created", direction=info.direction)
        self._do(self.session.tick(now_ns()))

    @property
    def creating(self) -> asyncio.Task[None] | None:
        """What waits for Vapi to make the call, if anything does."""
        task = self._task
        return task if task is not None and not task.done() and self._created is None else None

    @property
    def unfinished(self) -> list[asyncio.Task[Any]]:
        """The requests that something hangs on: cut, a call would live on at Vapi or ring on at the provider."""
        tasks = (self.creating, self.placing, *self._requests.pending)
        return [task for task in tasks if task is not None and not task.done()]

    @property
    def is_gone(self) -> bool:
        """Whether nothing of the call is left: no connection, and no request that something hangs on."""
        return not (self.provider.is_connected or self.vapi.is_connected or self.unfinished)

    # --- Vapi's leg ------------------------------------------------------------------------------

    def start_vapi(self, request: CreateCall) -> None:
        """Create the call at Vapi now, and open its socket once the provider's is there."""
        self._task = self.host.run(regarding_call(self.log, self._run_vapi(request)))

    def start_vapi_when_answered(self, request: CreateCall) -> None:
        """Create the call at Vapi as soon as somebody has answered the call that we make."""
        self._request = request

    def _is_answered(self) -> None:
        request, self._request = self._request, None
        if request is not None and not self.is_over:
            self.start_vapi(request)

    async def _run_vapi(self, request: CreateCall) -> None:
        try:
            created = await self.host.client.create_call(request, given_up=self._is_given_up)
            self._take_created(created)
            if self.is_over:
                return
            self._check(created)
            await self._provider_is_there.wait()
            await self._connect(created)
        except (VapiError, ConfigError) as error:
            if isinstance(error, ConcurrencyBlocked) and error.call is not None:
                self._take_created(error.call)  # Vapi has it all the same: it is ended there
            if not self.is_over:
                self.vapi.log.fault("vapi_failed", "%s", plain(str(error), 500))
            self._do(self.session.vapi_failed(str(error), now_ns()))
        except Exception as error:  # whatever broke, the caller must not be left in silence
            self.vapi.log.broke("vapi_failed", error)
            self._do(self.session.vapi_failed(type(error).__name__, now_ns()))

    def _take_created(self, created: CreatedCall) -> None:
        """Learn how to end the call before anything is found wrong with it."""
        self._created = created
        self.vapi_call_id = created.id
        self.vapi.log.note("vapi_created")
        self.controls.made(created)
        self.host.named(self)
        control_url = created.control_url if self._refusal(created.control_url) is None else Secret()
        self._do(self.session.set_vapi_call(created.id, control_url, self.host.client.monitor_authorization))

    def _check(self, created: CreatedCall) -> None:
        """Refuse URLs that the key and the caller's voice must not go to."""
        for url in (created.websocket_call_url, created.control_url):
            refusal = self._refusal(url) if url else None
            if refusal is not None:
                raise VapiError(f"Vapi's answer cannot be used: {refusal.reason}")

    def _refusal(self, url: Secret) -> Refusal | None:
        return check_url_from_api(url, self.host.config.vapi_url, self.host.config.vapi_hosts)

    async def _connect(self, created: CreatedCall) -> None:
        headers: dict[str, str | Secret] = {"User-Agent": USER_AGENT}
        if self.host.config.vapi_ws_auth:
            headers |= self.host.client.authorization
        url, ping_interval_s = created.websocket_call_url, self.host.config.ping_interval_s
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                await media_transport.connect(url, self.vapi, headers, ping_interval_s)
        except TimeoutError:
            raise VapiError(f"Vapi's call socket did not open within {_CONNECT_TIMEOUT_S:g} s") from None
        except (OSError, ValueError, RuntimeError, picows.WSError) as error:
            # The text of these may hold the URL, which is a secret. RuntimeError: an answer that is not HTTP.
            raise VapiError(f"Vapi's call socket could not be opened: {trouble_of(error)}") from None

    def record(self, recorder: Recorder) -> None:
        """Have both legs recorded, from the provider's start message on, or from now if that was before."""
        self.recording = recorder.take(self.session, self.log)
        if self.session.started is not None:
            self.recording.begin(self.info.provider, self.call_id)

    # --- what the sockets say --------------------------------------------------------------------

    def socket_opened(self, socket: MediaSocket) -> None:
        """Join the new socket to the media paths, then let the session act."""
        if self.is_over:
            self.host.leaving(self)
            socket.close(1001)
            return
        session = self.session
        socket.log.note("leg_open")
        if self._wire is not None:
            self._wire.opened(socket.name)
        if socket is self.provider:
            socket.connect_media(session.uplink, session.downlink, self.vapi)
            self._provider_is_there.set()
            self._is_answered()
            self._do(session.provider_opened(now_ns()))
        else:
            socket.connect_media(session.downlink, session.uplink, self.provider)
            self._do(session.vapi_opened(now_ns()))
            self.controls.open()

    def socket_message(self, socket: MediaSocket, message: bytes, is_text: bool) -> None:
        """Hand over what the media paths did not take."""
        if self._wire is not None:
            self._wire.came(socket.name, message, is_text)
        take = self.session.provider_message if socket is self.provider else self.session.vapi_message
        self._do(take(message, is_text, now_ns()))
        self.vapi.drop_inbound_until(self.session.drop_downlink_until_ns)

    def socket_mark_due(self, socket: MediaSocket) -> None:
        """Send a mark after the audio that has just gone to the provider, if it is time for one."""
        mark = self.session.mark_due(now_ns())
        if mark is not None:
            self._command(self.provider, [mark])

    def socket_closed(self, socket: MediaSocket, code: int) -> None:
        """Let the session end the call."""
        if self._wire is not None:
            self._wire.closed(socket.name, code)
        if socket is self.provider:
            self._requests.socket_closed()
        closed = self.session.provider_closed if socket is self.provider else self.session.vapi_closed
        self._do(closed(code, now_ns(), breach=socket.was_breach))

    # --- what others say -------------------------------------------------------------------------

    def dialled(self, call_id: str) -> None:
        """The provider has made the call, and names it so."""
        is_foreign = self.call_id not in ("", call_id)  # the media that came meanwhile is of another call
        self.call_id = call_id
        self.info = msgspec.structs.replace(self.info, call_id=call_id)
        self.host.named(self)
        if is_foreign:
            self.host.count("foreign_start")
            self.hang_up("the media is of another call than the one that was made")

    def ask_provider(self, command: HttpCall) -> asyncio.Task[bool]:
        """Make a request of the provider's API. Where no closing socket ends the call too, close waits for it."""
        request = self.host.carry_out(command, ends=self.reference, log=self.provider.log)
        if not self.provider.is_connected:
            self._requests.keep(request)
        return request

    def provider_events(self, events: Sequence[ProviderEvent]) -> None:
        """Take what a status callback says."""
        self._do(self.session.provider_events(events, now_ns()))

    def send_to_vapi(self, data: bytes) -> None:
        """Send a control message to the assistant, now or when its socket opens."""
        self._do(self.session.send_to_vapi(data, now_ns()))

    def hang_up(self, reason: str) -> None:
        """End the call on both legs."""
        self._do(self.session.hang_up(reason, now_ns()))

    def hang_up_when_heard(self, detail: str) -> None:
        """End the call on Vapi's word, once the caller has heard what was already said."""
        self._do(self.session.hang_up_when_heard(detail, now_ns()))

    def forward(self, destination: ForwardTarget) -> None:
        """Have the phone call go on at *destination*; what keeps it from that is told by ``ForwardFailed``."""
        self.log.note("forward")
        self._do(self.session.forward(destination, now_ns()))

    async def _ask_forward(self, command: HttpCall) -> bool:
        regarding(self.log)
        trouble = await trouble_with(self.host.client, command)
        self._do(self.session.forward_answered(trouble, now_ns()))
        return not trouble

    def summary(self) -> CallSummary:
        """Return the call in figures, with what the sockets counted."""
        return figures_of(self)

    def _tick(self, at_ns: int) -> None:
        self._do(self.session.tick(at_ns))

    # --- doing what the session says -------------------------------------------------------------

    def _do(self, actions: Actions) -> None:
        self._command(self.vapi, actions.to_vapi)
        self._command(self.provider, actions.to_provider)
        if not self.is_over:
            self.host.pump.set_deadline(self.provider, actions.next_tick_ns)
        self._story.look(now_ns())
        self._untold += actions.events
        if self._is_telling:
            return  # a callback asked for this: what came before it is told first
        self._is_telling = True
        try:
            while self._untold:
                self._tell(self._untold.popleft())
        finally:
            self._is_telling = False

    def _tell(self, event: CallEvent) -> None:
        if isinstance(event, CallStarted):
            if not self.call_id:
                self.call_id = event.call_id
                self.host.named(self)
            self.host.started(self, event.call_id)
            if self.recording is not None:
                self.recording.begin(self.info.provider, self.call_id)
        if isinstance(event, CallProgress) and event.status == "answered":
            self._is_answered()
        if isinstance(event, CallEnded):
            event = msgspec.structs.replace(event, summary=self.summary())
            self._finish(event)
        self._story.take(event)
        self.host.tell(self, event)
        if isinstance(event, CallEnded) and not self.end.done():
            self.end.set_result(event)

    def _command(self, socket: MediaSocket, commands: Sequence[Command]) -> None:
        is_phone = socket is self.provider
        if self._wire is not None and commands:
            self._wire.goes(socket.name, commands)
        request = self._requests.forward if is_phone else None
        for command in commands:
            match command:
                case SendText(data):
                    socket.send_text(data)
                case SendBinary(data):
                    socket.send_binary(data)
                case CloseSocket() if request is not None and command.grace_ms:
                    self._requests.close_after(request, socket, command)
                case CloseSocket(code, reason):
                    socket.close(code, reason)
                case HttpCall(awaited=True):
                    request = self._requests.keep(self.host.run(self._ask_forward(command)))
                    self._requests.forward = request
                case HttpCall() if is_phone:
                    request = self.ask_provider(command)
                case HttpCall():
                    self.host.carry_out(command, log=self.vapi.log)

    def _finish(self, event: CallEnded) -> None:
        if self.is_over:
            return
        self.is_over = True
        self.controls.close()
        if self._wire is not None:
            self._wire.over()
        if self.recording is not None:
            self.recording.finish()
        self.host.pump.remove(self.provider)
        self.host.pump.remove(self.vapi)
        for socket in (self.provider, self.vapi):
            socket.connect_media(None, None, None)
        self._abandon_vapi()
        self.host.ended(self, event.summary)

    def _abandon_vapi(self) -> None:
        """Stop what was still being opened. A call that Vapi may be making now is waited for, to end it."""
        self._is_given_up.set()
        task = self._task
        if task is None or task.done() or task is asyncio.current_task():
            return
        if self._created is not None:
            task.cancel()
