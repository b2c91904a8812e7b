"""A fake Vapi: the REST API, call sockets, control and listen URLs, webhooks, an assistant behind."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from types import TracebackType
from typing import Any

import aiohttp
from aiohttp import web

from vapimedia.testing.assistant import EchoAssistant, ScriptedAssistant, StreamingAssistant
from vapimedia.testing.fake_vapi_call import Assistant, FakeVapiCall, VapiSettings
from vapimedia.testing.faults import VapiFaults
from vapimedia.testing.listen import LISTEN_FORMAT, Listener
from vapimedia.testing.pacing import Pacing
from vapimedia.testing.script import AssistantScript, Echo, StreamBytes
from vapimedia.testing.vapi_rest import RefusalError, call_json, check_create
from vapimedia.testing.vapi_webhooks import ToolCall

__all__ = ["ApiRequest", "FakeVapi"]

_MAX_WEBHOOK_WAIT_S = 5.0

Behaviour = AssistantScript | Echo | StreamBytes | None


@dataclass
class ApiRequest:
    """One ``POST /call`` and the HTTP status it was given."""

    body: Any
    headers: dict[str, str]
    status: int


def _json_or_none(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


class FakeVapi:
    """Serve a Vapi on loopback: ``async with FakeVapi(assistant=default_script()) as vapi: ... vapi.url``.

    *assistant* is what every call gets: a script, ``Echo()``, ``StreamBytes(...)``, ``None`` (silent), or a
    function from the call to one of these. Webhooks go to *server_url* (settable later, and overridden by a
    request's ``assistantOverrides.server``) with *server_secret* as ``X-Vapi-Secret``. *require_ws_bearer*
    refuses call sockets without the API key. A call without a socket after *connect_window_s* is given up.
    *speed* divides every interval; above 1 the bridge must be ``unpaced`` (``BridgeConfig(unpaced=True)``):
    one that keeps real time drops what comes faster. *on_event* is called with every event that is sent,
    *on_tool_reply* once a tool call was answered, or failed.

    Calls are in ``calls`` by id, in order; every ``POST /call``, refused ones too, in ``requests``.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        api_key: str = "vapi-test-key",
        assistant: Behaviour | Callable[[FakeVapiCall], Behaviour] = None,
        require_ws_bearer: bool = False,
        server_url: str | None = None,
        server_secret: str | None = None,
        webhook_timeout_s: float = 20.0,
        connect_window_s: float = 20.0,
        pacing: Pacing | None = None,
        chunk_sizes: tuple[int, ...] = (),
        speed: float = 1.0,
        faults: VapiFaults | None = None,
        seed: int = 0,
        on_event: Callable[[FakeVapiCall, dict[str, Any]], None] | None = None,
        on_tool_reply: Callable[[FakeVapiCall, ToolCall], None] | None = None,
    ) -> None:
        self.host, self.port, self.api_key = host, port, api_key
        self.assistant, self.require_ws_bearer, self.seed = assistant, require_ws_bearer, seed
        self.settings = VapiSettings(
            pacing or Pacing.irregular(chunk_bytes=chunk_sizes),
            speed,
            faults or VapiFaults(),
            server_url,
            server_secret,
            webhook_timeout_s,
            on_event,
            on_tool_reply,
        )
        self.connect_window_s = connect_window_s
        self.calls: dict[str, FakeVapiCall] = {}
        self.requests: list[ApiRequest] = []
        self._new_call = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession | None = None
        self._give_ups: list[asyncio.TimerHandle] = []

    @property
    def url(self) -> str:
        """Base URL of the API, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    @property
    def server_url(self) -> str | None:
        """Where webhooks go."""
        return self.settings.server_url

    @server_url.setter
    def server_url(self, url: str | None) -> None:
        self.settings.server_url = url

    @property
    def faults(self) -> VapiFaults:
        """What goes wrong; may be changed at any time."""
        return self.settings.faults

    async def wait_for_call(self, number: int = 1, timeout_s: float = 10.0) -> FakeVapiCall:
        """Wait until *number* calls have been created; returns the last of them."""
        async with asyncio.timeout(timeout_s), self._new_call:
            await self._new_call.wait_for(lambda: len(self.calls) >= number)
        return list(self.calls.values())[number - 1]

    async def start(self) -> None:
        """Listen; ``port`` and ``url`` are known afterwards."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/call", self._create)
        app.router.add_get("/call/{id}", self._get)
        app.router.add_get("/{id}/transport", self._transport)
        app.router.add_get("/{id}/listen", self._listen)
        app.router.add_post("/{id}/control", self._control)
        self._http = aiohttp.ClientSession(headers={"User-Agent": "vapi-webhooks"})
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """End what is still running, wait for the webhooks, stop listening."""
        for timer in self._give_ups:
            timer.cancel()
        open_calls = [call for call in self.calls.values() if call.status == "in-progress"]
        await asyncio.gather(*(call.end("worker-shutdown") for call in open_calls))
        connected = [call for call in self.calls.values() if call.connected_ns]
        if connected:
            waits = [asyncio.ensure_future(call.ended(_MAX_WEBHOOK_WAIT_S)) for call in connected]
            await asyncio.gather(*waits, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()
        if self._http is not None:
            await self._http.close()

    async def __aenter__(self) -> FakeVapi:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- REST ---------------------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        faults = self.faults
        body = _json_or_none(await request.read())
        if faults.create_delay_s:
            await asyncio.sleep(faults.create_delay_s)
        planned, *rest = faults.create_statuses or (0,)
        faults.create_statuses = tuple(rest)
        try:
            fmt = check_create(request.headers, body, self.api_key, planned_status=planned)
        except RefusalError as refusal:
            self.requests.append(ApiRequest(body, dict(request.headers), refusal.status))
            return self._refuse(refusal)
        self.requests.append(ApiRequest(body, dict(request.headers), 201))
        random = Random(f"{self.seed}/{len(self.calls)}")  # noqa: S311  # reproducible on purpose
        call_id = str(uuid.UUID(int=random.getrandbits(128), version=4))
        call = FakeVapiCall(
            call_id, request=body, headers=request.headers, fmt=fmt, settings=self.settings, random=random
        )
        call.json = call_json(call_id, body, fmt, self.url, "queued")
        call.assistant = self._assistant(call)
        loop = asyncio.get_running_loop()
        self._give_ups.append(loop.call_later(self.connect_window_s, call.give_up))
        async with self._new_call:
            self.calls[call_id] = call
            self._new_call.notify_all()
        limits = {"concurrencyBlocked": faults.subscription_blocked, "concurrencyLimit": 10}
        return web.json_response({**call.json, "subscriptionLimits": limits}, status=201)

    def _refuse(self, refusal: RefusalError) -> web.Response:
        if refusal.status == 403:
            return web.Response(status=403, text=refusal.message)
        headers = {}
        if self.faults.retry_after_s is not None:
            headers["Retry-After"] = str(self.faults.retry_after_s)
        body = {"message": refusal.message, "statusCode": refusal.status}
        return web.json_response(body, status=refusal.status, headers=headers)

    def _assistant(self, call: FakeVapiCall) -> Assistant | None:
        behaviour = self.assistant(call) if callable(self.assistant) else self.assistant
        match behaviour:
            case AssistantScript():
                return ScriptedAssistant(call, behaviour)
            case Echo():
                return EchoAssistant(call)
            case StreamBytes():
                return StreamingAssistant(call, behaviour)
            case None:
                return None

    async def _get(self, request: web.Request) -> web.Response:
        call = self._call(request)
        if not self._has_bearer(request):
            return self._refuse(RefusalError(401, "Invalid Key."))
        return web.json_response({**call.json, "status": call.status, "endedReason": call.ended_reason})

    def _call(self, request: web.Request) -> FakeVapiCall:
        call = self.calls.get(request.match_info["id"])
        if call is None:
            raise web.HTTPNotFound(text='{"message":"Call not found","statusCode":404}')
        return call

    def _has_bearer(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {self.api_key}"

    # --- sockets and control ------------------------------------------------------------------------------

    async def _transport(self, request: web.Request) -> web.StreamResponse:
        call = self._call(request)
        await asyncio.sleep(self.faults.upgrade_delay_s)
        if self.faults.upgrade_status is not None:
            return web.Response(status=self.faults.upgrade_status)
        if self.require_ws_bearer and not self._has_bearer(request):
            return web.Response(status=401)
        if call.connected_ns or call.ended_reason is not None or self._http is None:
            call.violations.append("socket: a second connection, or one after the end")
            return web.Response(status=410)
        return await call.serve(request, self._http)

    async def _listen(self, request: web.Request) -> web.StreamResponse:
        call = self._call(request)
        ws = web.WebSocketResponse()
        about = {"type": "start", "encoding": "linear16", "container": "raw", "channels": 1}
        try:
            await ws.prepare(request)
            await ws.send_json({**about, "sampleRate": LISTEN_FORMAT.sample_rate})
        except ConnectionError:  # the listener has gone meanwhile
            return ws if ws.prepared else web.Response(status=400)
        listener = Listener(call.format)
        call.taps.append(listener.tap)
        sender = asyncio.create_task(self._send_chunks(ws, listener, call))
        try:
            async for _ in ws:
                pass  # receive only
        finally:
            call.taps.remove(listener.tap)
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
        return ws

    async def _send_chunks(self, ws: web.WebSocketResponse, listener: Listener, call: FakeVapiCall) -> None:
        while call.status != "ended":
            try:
                async with asyncio.timeout(0.2):
                    await ws.send_bytes(await listener.chunks.get())
            except TimeoutError:
                continue  # look again whether the call is over
        await ws.close()

    async def _control(self, request: web.Request) -> web.Response:
        call = self._call(request)
        if call.status != "in-progress":
            return web.json_response({"message": "Call is not in progress", "statusCode": 410}, status=410)
        problem = await call.control(_json_or_none(await request.read()))
        if problem is not None:
            call.violations.append(f"controlUrl: {problem}")
            return web.json_response({"message": problem, "statusCode": 400}, status=400)
        return web.json_response({})
