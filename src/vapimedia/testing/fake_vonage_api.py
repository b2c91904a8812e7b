"""A fake of Vonage's REST resource for calls: making one, hanging one up."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import jwt
from aiohttp import web

from vapimedia.errors import ConfigError
from vapimedia.testing.caller import CallerStep
from vapimedia.testing.fake_vonage import FakeVonageCall
from vapimedia.testing.forwarded import Forwarded, read_transfer
from vapimedia.testing.vonage_ncco import judge_call_body
from vapimedia.testing.vonage_outbound import CallOutcome, Outbound
from vapimedia.testing.vonage_wire import public_key_of
from vapimedia.testing.webhook_http import WebhookHttp

__all__ = ["FakeVonageApi", "MadeCall", "VonageRequest"]

_ACTIONS = ("hangup", "transfer", "mute", "unmute", "earmuff", "unearmuff")
_CLOCK_SKEW_S = 60
_HEAD_START_S = 0.02  # the answer to a request is on its way before the call's first event is


@dataclass
class VonageRequest:
    """A request that was made, and the HTTP status it was given. ``call_uuid`` is empty for a call to be made."""

    method: str
    call_uuid: str
    body: dict[str, Any] = field(default_factory=dict)
    status: int = 0


@dataclass
class MadeCall:
    """A call that was asked for with *body*. ``call`` runs it."""

    body: dict[str, Any]
    call: FakeVonageCall


class FakeVonageApi:
    """Serve ``POST /v1/calls`` and ``PUT /v1/calls/{uuid}`` on loopback, for one application.

    Requests must carry the application's RS256 token, each its own. ``register`` inbound calls so that they can
    be hung up by their uuid, or the media socket alone by its own, or transferred to an NCCO, which ends the media
    socket (``forwards`` is where to; nobody is dialled); calls that are made here are known. Other updates are not
    played: they are a violation, answered with 501. Each call that is made takes the next of
    *outcomes* (the last one stays) after *ring_s* and, once answered, plays *caller*. Their events and sockets go
    to *bridge_url*'s host when the bridge was told that its origin is *public_url*. *status* makes every request
    fail with that HTTP status. Use as an async context manager; ``url`` is the base to give to the bridge.
    """

    def __init__(
        self,
        *,
        application_id: str,
        public_key: str = "",
        private_key: str = "",
        api_key: str = "",
        signature_secret: str = "",
        outcomes: CallOutcome | Sequence[CallOutcome] = "answered",
        caller: Sequence[CallerStep] = (),
        ring_s: float = 0.1,
        public_url: str | None = None,
        bridge_url: str = "",
        buffer_messages: int = 1024,
        speed: float = 1.0,
        max_s: float = 120.0,
        signed: bool = True,
        host: str = "127.0.0.1",
        port: int = 0,
        status: int | None = None,
    ) -> None:
        if not public_key and not private_key:
            raise ConfigError(
                "FakeVonageApi needs public_key or private_key; make_application_key() makes both"
            )
        self.application_id, self.api_key = application_id, api_key
        self.signature_secret, self.signed = signature_secret, signed
        self.outcomes: list[CallOutcome] = [outcomes] if isinstance(outcomes, str) else list(outcomes)
        self.caller, self.ring_s = tuple(caller), ring_s
        self.public_url, self.bridge_url = public_url, bridge_url
        self.buffer_messages, self.speed, self.max_s = buffer_messages, speed, max_s
        self.host, self.port, self.status = host, port, status
        self.requests: list[VonageRequest] = []
        self.calls: list[MadeCall] = []
        self.forwards: list[tuple[str, Forwarded]] = []
        self.violations: list[str] = []
        self._public_key = public_key or public_key_of(private_key)
        self._seen: set[str] = set()
        self._known: dict[str, FakeVonageCall] = {}
        self._running: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    def register(self, call: FakeVonageCall) -> FakeVonageCall:
        """Make a call known by the uuids of both its legs; returns it."""
        self._known[call.call_uuid] = self._known[call.websocket_uuid] = call
        return call

    async def finished(self, timeout_s: float = 30.0) -> None:
        """Wait until every call that was made here is over. Raises what broke one, or ``TimeoutError``."""
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*self._running)

    async def __aenter__(self) -> FakeVonageApi:
        app = web.Application()
        app.router.add_post("/v1/calls", self._create)
        app.router.add_put("/v1/calls/{uuid}", self._update)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, self.host, self.port).start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._runner is not None:
            await self._runner.cleanup()

    # --- requests -----------------------------------------------------------------------------------

    async def _create(self, request: web.Request) -> web.Response:
        asked, refusal = await self._accepted(request)
        if refusal is not None:
            return refusal
        refused, odd = judge_call_body(asked.body)
        self.violations += [*refused, *odd]
        if refused:
            return _problem(asked, 400, "Bad Request", "; ".join(refused))
        call = self._made(asked.body)
        asked.status = 201
        answer = {
            "uuid": call.call_uuid,
            "status": "started",
            "direction": "outbound",
            "conversation_uuid": call.conversation_uuid,
        }
        return web.json_response(answer, status=201)

    async def _update(self, request: web.Request) -> web.Response:
        asked, refusal = await self._accepted(request)
        if refusal is not None:
            return refusal
        action = asked.body.get("action")
        if action not in _ACTIONS:
            self.violations.append(f"call update: unknown action {action!r}")
            return _problem(asked, 400, "Bad Request", "unknown action")
        wanted = {"action", "destination"} if action == "transfer" else {"action"}
        if set(asked.body) != wanted:
            self.violations.append(f"call update {action}: documented keys are {sorted(wanted)}")
            return _problem(asked, 400, "Bad Request", "unexpected or missing keys")
        call = self._known.get(asked.call_uuid)
        if call is None or call.ended_by is not None:
            return _problem(asked, 404, "Not Found", "no such call, or it has ended")
        if action == "transfer":
            return self._transfer(asked, call)
        if action != "hangup":
            self.violations.append(f"call update {action}: the fake does not play it")
            return _problem(asked, 501, "Not Implemented", "the fake does not play it")
        if asked.call_uuid == call.call_uuid:
            call.hang_up("api")
        elif not call.hang_up_socket():
            return _problem(asked, 404, "Not Found", "no such call yet")
        asked.status = 204
        return web.Response(status=204)

    def _transfer(self, asked: VonageRequest, call: FakeVonageCall) -> web.Response:
        match asked.body["destination"]:
            case {"type": "ncco", "ncco": [*actions], **rest} if actions and not rest:
                pass
            case _:
                self.violations.append("call update transfer: destination must be an inline ncco")
                return _problem(asked, 400, "Bad Request", "destination must be an inline ncco")
        if asked.call_uuid != call.call_uuid:
            self.violations.append("call update transfer: it is the media socket's leg, not the phone's")
        forwarded = read_transfer(actions)
        if forwarded is not None:
            self.forwards.append((asked.call_uuid, forwarded))
        call.transfer(actions)
        asked.status = 204
        return web.Response(status=204)

    async def _accepted(self, request: web.Request) -> tuple[VonageRequest, web.Response | None]:
        """Note a request; with the refusal where its token or its body is not worth a look."""
        asked = VonageRequest(request.method, request.match_info.get("uuid", ""))
        self.requests.append(asked)
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        if isinstance(body, dict):
            asked.body = body
        if self.status is not None:
            return asked, _problem(asked, self.status, "made to fail", "made to fail")
        wrong = self._unauthorized(request)
        if wrong is not None:
            self.violations.append(f"token: {wrong}")
            return asked, _problem(asked, 401, "Unauthorized", wrong)
        if not isinstance(body, dict):
            self.violations.append("request: the body is not a JSON object")
            return asked, _problem(asked, 400, "Bad Request", "the body is not a JSON object")
        return asked, None

    def _unauthorized(self, request: web.Request) -> str | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return "no bearer token"
        try:
            claims = jwt.decode(
                token,
                self._public_key,
                algorithms=["RS256"],
                options={"require": ["application_id", "exp", "iat", "jti"]},
                leeway=_CLOCK_SKEW_S,
            )
        except jwt.InvalidTokenError as error:
            return f"{type(error).__name__}"
        if claims["application_id"] != self.application_id:
            return "the application_id is another one"
        if claims["exp"] - claims["iat"] > 24 * 3600 or claims["iat"] < time.time() - 24 * 3600:
            return "it lives for more than a day"
        if claims["jti"] in self._seen:
            return "its jti was used before"
        self._seen.add(claims["jti"])
        return None

    # --- calls that are made here -------------------------------------------------------------------

    def _made(self, body: dict[str, Any]) -> FakeVonageCall:
        to = body["to"][0]
        is_socket = to.get("type") == "websocket"
        at = min(len(self.calls), len(self.outcomes) - 1)
        answer_url = (body.get("answer_url") or [""])[0]
        event_url = (body.get("event_url") or [None])[0]
        # Only its host counts where no answer URL is asked.
        where = WebhookHttp(self.bridge_url, self.public_url if self.bridge_url else None)
        call = FakeVonageCall(
            where.dialled(answer_url) if answer_url else self.bridge_url or event_url or "",
            api_key=self.api_key,
            application_id=self.application_id,
            signature_secret=self.signature_secret,
            signed=self.signed,
            caller=self.caller,
            call_uuid=str(uuid.uuid4()),
            from_=(body.get("from") or {}).get("number", "15005550009"),
            to=to.get("uri" if is_socket else "number", ""),
            public_url=self.public_url,
            event_url=where.dialled(event_url) if event_url is not None else None,
            event_method=body.get("event_method", "POST"),
            answer_method=body.get("answer_method", "GET"),
            buffer_messages=self.buffer_messages,
            speed=self.speed,
            max_s=self.max_s,
            outbound=Outbound(
                ncco=body.get("ncco"),
                endpoint=to if is_socket else None,
                outcome=self.outcomes[at],
                machine_detection=_machine_detection(body),
                ring_s=self.ring_s,
                ringing_timer_s=body.get("ringing_timer") or 60,
            ),
        )
        self.violations += where.violations
        self.calls.append(MadeCall(body, self.register(call)))
        self._running.append(asyncio.create_task(self._run(call)))
        return call

    async def _run(self, call: FakeVonageCall) -> None:
        await asyncio.sleep(_HEAD_START_S)
        await call.run()


def _machine_detection(body: dict[str, Any]) -> str:
    advanced = body.get("advanced_machine_detection")
    if isinstance(advanced, dict):
        return str(advanced.get("behavior", "continue"))
    return str(body.get("machine_detection", ""))


def _problem(asked: VonageRequest, status: int, title: str, detail: str) -> web.Response:
    asked.status = status
    return web.json_response({"title": title, "detail": detail}, status=status)
