"""A fake Vapi: the REST API, call sockets, control and listen URLs, webhooks, an assistant behind."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from random import Random
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

from vapimedia.testing.assistant import EchoAssistant, ScriptedAssistant, StreamingAssistant
from vapimedia.testing.fake_vapi_call import FakeVapiCall
from vapimedia.testing.fault_proxy import PATH_BYTES, FaultProxy
from vapimedia.testing.faults import VapiFaults
from vapimedia.testing.listen import ListenSettings, serve_listener
from vapimedia.testing.pacing import Pacing
from vapimedia.testing.phone_line import Callee, PhoneLine
from vapimedia.testing.script import AssistantScript, Echo, StreamBytes
from vapimedia.testing.vapi_api import ApiRequest, VapiApi, decoded
from vapimedia.testing.vapi_auth import SecretAuth, WebhookAuth
from vapimedia.testing.vapi_messages import QUIET_SERVER_MESSAGES, ToolSpelling, assistant_request, predial
from vapimedia.testing.vapi_parts import Assistant, VapiSettings
from vapimedia.testing.vapi_rest import call_json, check_create
from vapimedia.testing.vapi_socket import serve_socket
from vapimedia.testing.vapi_webhooks import Backoff, ToolCall, WebhookPost, WebhookSender

__all__ = ["ApiRequest", "FakeVapi"]

_MAX_WEBHOOK_WAIT_S = 5.0

Behaviour = AssistantScript | Echo | StreamBytes | None


class FakeVapi:
    """Serve a Vapi on loopback: ``async with FakeVapi(assistant=default_script()) as vapi: ... vapi.url``.

    *assistant* is what every call gets: a script, ``Echo()``, ``StreamBytes(...)``, ``None`` (silent), or a
    function from the call to one of these. *callee* is who answers ordinary phone calls (``POST /call`` with
    ``customer`` and ``phoneNumberId``, without a transport).

    Webhooks go to *server_url*, proven by *server_secret* or *webhook_auth* (settable later, as the URL is), sent
    again by *webhook_retries*; a request's ``assistantOverrides.server`` overrides them, its ``credentialId`` names one
    of *credentials*. *server_messages* are those that are posted where the request names none;
    ``SERVER_MESSAGES`` are Vapi's defaults. *tool_spelling* is how scripts spell tool calls.

    *require_ws_bearer* refuses call sockets without the API key; a monitor plan may demand *public_key* at the
    control and listen URLs. A listener hears *listen_channels* channels at *listen_sample_rate*, told in a first
    text frame unless *listen_start* is false, with the call's events if *listen_events*. Cost and conversation
    of a call are in its record *settle_s* after its end. A call without a socket after *connect_window_s* is
    given up. *speed* divides every interval; above 1 the bridge must be ``unpaced``
    (``BridgeConfig(unpaced=True)``): one that keeps real time drops what comes faster. *on_event* is called with
    every event that is sent, *on_tool_reply* once a tool call was answered, or failed, *on_control* with every
    control message that is taken, *on_webhook* once a webhook about a call was answered, or failed.

    Calls are in ``calls`` by id, in order; every ``POST /call``, refused ones too, in ``requests``. What was
    posted without a call is in ``webhooks``.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str = "vapi-test-key",
        public_key: str = "vapi-test-public-key",
        assistant: Behaviour | Callable[[FakeVapiCall], Behaviour] = None,
        callee: Callee | None = None,
        require_ws_bearer: bool = False,
        server_url: str | None = None,
        server_secret: str | None = None,
        server_messages: Collection[str] = QUIET_SERVER_MESSAGES,
        webhook_auth: WebhookAuth | None = None,
        webhook_retries: Backoff | None = None,
        webhook_timeout_s: float = 20.0,
        credentials: Mapping[str, WebhookAuth] | None = None,
        tool_spelling: ToolSpelling = "function",
        listen_channels: int = 1,
        listen_sample_rate: int = 16000,
        listen_start: bool = True,
        listen_events: bool = False,
        settle_s: float = 0.0,
        connect_window_s: float = 20.0,
        pacing: Pacing | None = None,
        chunk_sizes: tuple[int, ...] = (),
        speed: float = 1.0,
        faults: VapiFaults | None = None,
        seed: int = 0,
        on_event: Callable[[FakeVapiCall, dict[str, Any]], None] | None = None,
        on_tool_reply: Callable[[FakeVapiCall, ToolCall], None] | None = None,
        on_control: Callable[[FakeVapiCall, dict[str, Any]], None] | None = None,
        on_webhook: Callable[[FakeVapiCall, WebhookPost], None] | None = None,
    ) -> None:
        self.host, self.port, self.api_key, self.public_key = host, port, api_key, public_key
        self.assistant, self.require_ws_bearer, self.seed = assistant, require_ws_bearer, seed
        self.callee = callee or Callee()
        if webhook_auth is None and server_secret is not None:
            webhook_auth = SecretAuth(server_secret)
        self.sender = WebhookSender(
            server_url,
            webhook_auth,
            webhook_timeout_s,
            webhook_retries or Backoff(),
            credentials or {},
            speed,
        )
        self.settings = VapiSettings(
            pacing or Pacing.irregular(chunk_bytes=chunk_sizes),
            speed,
            faults or VapiFaults(),
            self.sender,
            ListenSettings(listen_channels, listen_sample_rate, listen_start, listen_events),
            frozenset(server_messages),
            tool_spelling,
            settle_s,
            on_event,
            on_tool_reply,
            on_control,
            on_webhook,
        )
        self.connect_window_s = connect_window_s
        self.calls: dict[str, FakeVapiCall] = {}
        self.requests: list[ApiRequest] = []
        self.webhooks: list[WebhookPost] = []
        self.closing = asyncio.Event()
        self.socket_proxy: FaultProxy | None = None
        self._socket_url: str | None = None
        self._new_call = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._give_ups: list[asyncio.TimerHandle] = []
        self._lines: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        """Base URL of the API, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    @property
    def socket_url(self) -> str:
        """Base URL that call sockets are announced at, of a proxy on the way to them perhaps; may be set."""
        return self._socket_url or self.url.replace("http", "ws", 1)

    @socket_url.setter
    def socket_url(self, url: str | None) -> None:
        self._socket_url = url

    @property
    def server_url(self) -> str | None:
        """Where webhooks go."""
        return self.sender.url

    @server_url.setter
    def server_url(self, url: str | None) -> None:
        self.sender.url = url

    @property
    def webhook_auth(self) -> WebhookAuth | None:
        """What proves webhooks whose server says nothing else."""
        return self.sender.auth

    @webhook_auth.setter
    def webhook_auth(self, auth: WebhookAuth | None) -> None:
        self.sender.auth = auth

    @property
    def faults(self) -> VapiFaults:
        """What goes wrong; may be changed at any time."""
        return self.settings.faults

    @property
    def phone_calls(self) -> list[FakeVapiCall]:
        """The ordinary phone calls, in order."""
        return [call for call in self.calls.values() if call.is_phone_call]

    async def wait_for_call(self, number: int = 1, timeout_s: float = 10.0) -> FakeVapiCall:
        """Wait until *number* calls have been created; returns the last of them."""
        async with asyncio.timeout(timeout_s), self._new_call:
            await self._new_call.wait_for(lambda: len(self.calls) >= number)
        return list(self.calls.values())[number - 1]

    async def start(self) -> None:
        """Listen; ``port`` and ``url`` are known afterwards."""
        app = web.Application(client_max_size=1 << 20)
        VapiApi(self).add_routes(app)
        app.router.add_get("/{id}/transport", self._transport)
        app.router.add_get("/{id}/listen", self._listen)
        app.router.add_post("/{id}/control", self._control)
        self.sender.http = aiohttp.ClientSession(headers={"User-Agent": "vapi-webhooks"})
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]
        if self.faults.network:
            self.socket_proxy = FaultProxy(
                self.host,
                self.port,
                faults=self.faults.network,
                listen_host=self.host,
                buffer_bytes=PATH_BYTES,
            )
            await self.socket_proxy.start()
            self.socket_url = self.socket_proxy.url("ws")

    async def close(self) -> None:
        """End what is still running, wait for the webhooks, stop listening."""
        self.closing.set()
        for timer in self._give_ups:
            timer.cancel()
        if self.socket_proxy is not None:
            await self.socket_proxy.let_go()
        live = [
            call for call in self.calls.values() if call.status in {"ringing", "in-progress", "forwarding"}
        ]
        await asyncio.gather(*(call.end("worker-shutdown") for call in live))
        for call in self.phone_calls:
            if call.status == "queued":
                call.close_with("worker-shutdown", "vapi")  # its line sees it
        await asyncio.gather(*self._lines, return_exceptions=True)
        begun = [call for call in self.calls.values() if call.connected_ns or call.status == "ended"]
        if begun:
            waits = [asyncio.ensure_future(call.ended(_MAX_WEBHOOK_WAIT_S)) for call in begun]
            await asyncio.gather(*waits, return_exceptions=True)
        if self.socket_proxy is not None:
            await self.socket_proxy.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self.sender.http is not None:
            await self.sender.http.close()

    async def __aenter__(self) -> FakeVapi:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- without a call -----------------------------------------------------------------------------------

    async def post(
        self,
        message: dict[str, Any],
        *,
        auth: WebhookAuth | None = None,
        retries: Backoff | int | None = None,
        url: str | None = None,
        timeout_s: float | None = None,
    ) -> WebhookPost:
        """Post any server message as it is, with the time added; *retries* may be a number of fast ones."""
        if isinstance(retries, int):
            retries = Backoff(max_retries=retries, base_delay_s=0.0)
        full = {"timestamp": time.time_ns() // 1_000_000, **message}
        server = {} if url is None else {"url": url}
        if self.faults.webhook_delay_s:
            await asyncio.sleep(self.faults.webhook_delay_s)
        post = await self.sender.deliver(full, server, timeout_s=timeout_s, auth=auth, retries=retries)
        self.webhooks.append(post)
        return post

    async def request_assistant(
        self, caller: str = "+15005550006", called: str = "+15005550001", **post: Any
    ) -> WebhookPost:
        """Ask which assistant answers an inbound phone call, with the fixed 7.5 s; *post* as for ``post``."""
        random = Random(f"{self.seed}/inbound/{len(self.webhooks)}")  # noqa: S311  # reproducible on purpose
        return await self.post(assistant_request(str(_uuid(random)), caller, called), **post)

    async def request_predial(self, number: str = "+15005550006", **post: Any) -> WebhookPost:
        """Ask whether a campaign may call *number*: ``campaign.predial``; *post* as for ``post``."""
        return await self.post(predial(number), **post)

    # --- calls --------------------------------------------------------------------------------------------

    def make_call(self, body: Any, headers: Mapping[str, str]) -> FakeVapiCall:
        """Return the call that a request asks for, seen by nobody yet; raises ``RefusalError``."""
        fmt = check_create(body)
        random = Random(f"{self.seed}/{len(self.calls)}")  # noqa: S311  # reproducible on purpose
        call_id = str(_uuid(random))
        call = FakeVapiCall(
            call_id, request=body, headers=headers, fmt=fmt, settings=self.settings, random=random
        )
        call.json = call_json(call_id, body, fmt, self.url, call.status, call_socket_url=self.socket_url)
        return call

    async def place_call(
        self,
        number: str = "+15005550006",
        *,
        assistant: Behaviour = None,
        callee: Callee | None = None,
        **fields: Any,
    ) -> FakeVapiCall:
        """Make an ordinary phone call without the API; *fields* are those of its request.

        *assistant* and *callee* are those of this call only. Returns before it rings.
        """
        body = {"assistantId": "asst_fake", "phoneNumberId": "number_fake", "customer": {"number": number}}
        call = self.make_call(body | fields, {})
        await self.admit(call, assistant=assistant, callee=callee)
        return call

    async def admit(
        self,
        call: FakeVapiCall,
        *,
        starts: bool = True,
        assistant: Behaviour = None,
        callee: Callee | None = None,
    ) -> None:
        """Take a call up; a phone call that *starts* is rung, a call socket is waited for."""
        if assistant is None:
            assistant = self.assistant(call) if callable(self.assistant) else self.assistant
        call.assistant = _behind(call, assistant)
        if not call.is_phone_call:
            loop = asyncio.get_running_loop()
            self._give_ups.append(loop.call_later(self.connect_window_s, call.give_up))
        elif starts and call.status == "queued":
            self._lines.append(asyncio.create_task(PhoneLine(call, callee or self.callee).run()))
        async with self._new_call:
            self.calls[call.id] = call
            self._new_call.notify_all()

    # --- sockets and control ------------------------------------------------------------------------------

    def _call(self, request: web.Request) -> FakeVapiCall:
        call = self.calls.get(request.match_info["id"])
        if call is None:
            raise web.HTTPNotFound(text='{"message":"Call not found","statusCode":404}')
        return call

    async def _transport(self, request: web.Request) -> web.StreamResponse:
        call = self._call(request)
        await asyncio.sleep(self.faults.upgrade_delay_s)
        if self.faults.upgrade_status is not None:
            return web.Response(status=self.faults.upgrade_status)
        if call.is_phone_call:
            return web.Response(status=404)
        if self.require_ws_bearer and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            return web.Response(status=401)
        if call.connected_ns or call.ended_reason is not None:
            call.violations.append("socket: a second connection, or one after the end")
            return web.Response(status=410)
        return await serve_socket(call, request)

    def _may_monitor(self, call: FakeVapiCall, request: web.Request, what: str) -> None:
        plan = call.setting("monitorPlan") or {}
        if not plan.get(f"{what}Enabled", True):
            raise web.HTTPNotFound(text='{"message":"Not enabled","statusCode":404}')
        known = request.headers.get("Authorization") == f"Bearer {self.public_key}"
        if plan.get(f"{what}AuthenticationEnabled", False) and not known:
            raise web.HTTPUnauthorized(text='{"message":"Invalid Key.","statusCode":401}')

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        call = self._call(request)
        self._may_monitor(call, request, "listen")
        return await serve_listener(call, request)

    async def _control(self, request: web.Request) -> web.Response:
        call = self._call(request)
        self._may_monitor(call, request, "control")
        if self.faults.control_delay_s:
            await asyncio.sleep(self.faults.control_delay_s)
        if (status := self.faults.control_status) is not None:
            return web.json_response({"message": "made to fail", "statusCode": status}, status=status)
        if call.status != "in-progress":
            return web.json_response({"message": "Call is not in progress", "statusCode": 410}, status=410)
        problem = await call.control(decoded(await request.read()))
        if problem is not None:
            call.violations.append(f"controlUrl: {problem}")
            return web.json_response({"message": problem, "statusCode": 400}, status=400)
        return web.json_response({})


def _behind(call: FakeVapiCall, behaviour: Behaviour) -> Assistant | None:
    match behaviour:
        case AssistantScript():
            return ScriptedAssistant(call, behaviour)
        case Echo():
            return EchoAssistant(call)
        case StreamBytes():
            return StreamingAssistant(call, behaviour)
        case None:
            return None


def _uuid(random: Random) -> uuid.UUID:
    return uuid.UUID(int=random.getrandbits(128), version=4)
