"""A bridge that dials, between a provider's REST API and the Vapi of ``scene``: the fakes, or a stub that obeys."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree

from aiohttp import web
from scene import ACCOUNT, AUTH_TOKEN, PUBLIC_URL, Scene, Vapi, running
from twilio.request_validator import RequestValidator
from wire import Answer, Wire, connected

from vapimedia import Bridge, Call
from vapimedia.session import CallProgress
from vapimedia.testing import FakeTwilioApi
from vapimedia.testing.fake_vonage_api import FakeVonageApi
from vapimedia.testing.vonage_wire import make_application_key, sign

TO, FROM = "+15557770456", "+15557770123"
PROVIDERS = ("twilio", "vonage")
APPLICATION, API_KEY = "11111111-2222-3333-4444-555555555555", "a1b2c3d4"
SIGNATURE_SECRET = "signature-secret-of-the-test-0123456789"
# The two providers' words for the same thing.
NO_ANSWER = {"twilio": "no-answer", "vonage": "unanswered"}

application_key = functools.cache(make_application_key)


def call_id(provider: str, number: int = 1) -> str:
    return f"CA{number:032x}" if provider == "twilio" else f"00000000-0000-4000-8000-{number:012x}"


def account(api_url: str) -> dict[str, Any]:
    """The settings of both accounts."""
    return {
        "providers": PROVIDERS,
        "twilio_account_sid": ACCOUNT,
        "twilio_api_url": api_url,
        "twilio_from": FROM,
        "vonage_api_key": API_KEY,
        "vonage_application_id": APPLICATION,
        "vonage_private_key": application_key()[0],
        "vonage_signature_secret": SIGNATURE_SECRET,
        "vonage_api_url": api_url,
        "vonage_from": FROM,
    }


@dataclass
class Asked:
    """What a bridge asked an API for, and the two URLs that it gave."""

    request: web.Request
    fields: dict[str, Any]
    media_url: str
    status_url: str

    @classmethod
    async def read(cls, request: web.Request, provider: str) -> Asked:
        text = await request.text()
        if provider == "twilio":
            fields: dict[str, Any] = dict(parse_qsl(text))
            stream = ElementTree.fromstring(fields["Twiml"]).find("./Connect/Stream")
            assert stream is not None
            return cls(request, fields, stream.attrib["url"], fields["StatusCallback"])
        fields = json.loads(text)
        return cls(request, fields, fields["ncco"][0]["endpoint"][0]["uri"], fields["event_url"][0])


MakeHook = Callable[[Asked], Awaitable[web.StreamResponse | None]]


@dataclass
class StubApi:
    """Both providers' REST API; *make* may hold the answer to a new call up, or replace it.

    A hang-up takes *hang_up_s*, and is given the next of *refusals*.
    """

    make: MakeHook | None = None
    hang_up_s: float = 0.0
    refusals: list[int] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    hang_ups: list[str] = field(default_factory=list)
    url: str = ""

    @asynccontextmanager
    async def serving(self, port: int = 0) -> AsyncIterator[StubApi]:
        app = web.Application()
        app.on_response_prepare.append(_close_after_answer)
        app.router.add_post("/2010-04-01/Accounts/{account}/Calls.json", self._twilio)
        app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", self._hang_up)
        app.router.add_post("/v1/calls", self._vonage)
        app.router.add_put("/v1/calls/{call}", self._hang_up)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _twilio(self, request: web.Request) -> web.StreamResponse:
        return await self._make(request, "twilio")

    async def _vonage(self, request: web.Request) -> web.StreamResponse:
        return await self._make(request, "vonage")

    async def _make(self, request: web.Request, provider: str) -> web.StreamResponse:
        asked = await Asked.read(request, provider)
        self.asked.append(asked)
        made = {"sid": call_id(provider, len(self.asked)), "uuid": call_id(provider, len(self.asked))}
        answer = await self.make(asked) if self.make is not None else None
        return answer or web.json_response(made, status=201)

    async def _hang_up(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.hang_up_s)  # cut off, it did nothing
        self.hang_ups.append(request.match_info["call"])
        if self.refusals:
            return web.json_response({}, status=self.refusals.pop(0))
        return web.json_response({})


async def _close_after_answer(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Connection"] = "close"  # a pooled connection would look like a leak


@dataclass
class Line:
    """A bridge that dials through *provider*."""

    scene: Scene
    provider: str

    async def dial(self, to: str | None = TO, **wanted: Any) -> Call:
        return await self.scene.bridge.dial(to, provider=self.provider, **wanted)

    @property
    def statuses(self) -> list[str]:
        """How far the call has come, as the user was told."""
        return [event.status for event in self.scene.events if isinstance(event, CallProgress)]

    @property
    def reasons(self) -> list[str]:
        """How calls ended."""
        return [event.reason for event in self.scene.ended]

    def expect_nothing_left(self) -> None:
        """No call in the book, no token, no task of the bridge."""
        bridge = self.scene.bridge
        assert bridge.calls == [] and bridge.book.is_empty.is_set()
        assert not bridge.reception.tokens._waiting and not bridge.reception.tokens._claims
        assert not bridge._tasks

    async def status(
        self, url: str, status: str, number: int = 1, *, signed: bool = True, **more: Any
    ) -> Answer:
        """Post a status callback of the call to *url*, as the provider would; *status* is Twilio's word."""
        if self.provider == "twilio":
            fields = {"AccountSid": ACCOUNT, "CallSid": call_id("twilio", number), "CallStatus": status}
            fields |= {"Direction": "outbound-api", "From": FROM, "To": TO} | more
            token = AUTH_TOKEN if signed else "another-token"
            return await self.scene.webhook(urlsplit(url).path, fields, token)
        word = {"in-progress": "answered", "no-answer": "unanswered"}.get(status, status)
        event = {"uuid": call_id("vonage", number), "conversation_uuid": "CON-1", "status": word}
        event |= {"direction": "outbound", "from": FROM[1:], "to": TO[1:]} | more
        body = json.dumps(event).encode()
        secret = SIGNATURE_SECRET if signed else "another-secret-of-the-test-0123456789"
        headers = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {sign(secret, api_key=API_KEY, application_id=APPLICATION, body=body)}",
        }
        return await self.scene.post(urlsplit(url).path, body, headers)

    @asynccontextmanager
    async def media(self, url: str) -> AsyncIterator[tuple[Wire, Answer]]:
        """Ask for the media socket at *url*, signed."""
        token = sign(SIGNATURE_SECRET, api_key=API_KEY, application_id=APPLICATION)
        headers = {
            "twilio": {"X-Twilio-Signature": RequestValidator(AUTH_TOKEN).compute_signature(url, {})},
            "vonage": {"Authorization": f"Bearer {token}"},
        }
        async with connected(self.scene.bridge.port) as wire:
            yield wire, await wire.upgrade(urlsplit(url).path, headers[self.provider])


@asynccontextmanager
async def stubbed(
    provider: str, make: MakeHook | None = None, vapi: Vapi | None = None, **changes: Any
) -> AsyncIterator[tuple[Line, StubApi]]:
    """A bridge before an API that answers as *make* says and does nothing more."""
    async with (
        StubApi(make).serving() as api,
        running(vapi, **account(api.url) | changes) as scene,
    ):
        yield Line(scene, provider), api


@asynccontextmanager
async def faked(
    provider: str,
    outcome: str = "answered",
    ring_s: float = 0.05,
    prepare: Callable[[Bridge], object] | None = None,
    **changes: Any,
) -> AsyncIterator[tuple[Line, FakeTwilioApi | FakeVonageApi]]:
    """A bridge before the fake of *provider*'s API, whose next calls come to *outcome*, in its own words."""
    api: FakeTwilioApi | FakeVonageApi
    if provider == "twilio":
        api = FakeTwilioApi(
            account_sid=ACCOUNT,
            auth_token=AUTH_TOKEN,
            outcome=outcome,  # type: ignore[arg-type]
            ring_s=ring_s,
            amd_s=0.05,
            max_s=10,
            public_url=PUBLIC_URL,
        )
    else:
        api = FakeVonageApi(
            application_id=APPLICATION,
            public_key=application_key()[1],
            api_key=API_KEY,
            signature_secret=SIGNATURE_SECRET,
            outcomes=outcome,  # type: ignore[arg-type]
            ring_s=ring_s,
            max_s=10,
            public_url=PUBLIC_URL,
        )
    async with api, running(prepare=prepare, **account(api.url) | changes) as scene:
        api.bridge_url = f"http://127.0.0.1:{scene.bridge.port}"
        yield Line(scene, provider), api
