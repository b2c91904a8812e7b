"""``POST /call`` that fails: 401 is final, 429 is tried again when it says, 5xx three times at most with jitter, all
within 10 s; and nothing is sent again once the call may exist."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from canaries import CANARIES, SETTINGS
from fault_scene import faulty
from scene import Vapi, stream_url
from skipped_time import in_skipped_time
from twilio.request_validator import RequestValidator
from wire import connected, until

from vapimedia import AudioFormat, VapiClient, VapiError
from vapimedia.protocols.vapi import CreateCall

REQUEST = CreateCall(
    format=AudioFormat("mulaw", 8000),
    assistant_id="asst_1",
    metadata={"said": CANARIES["a transcript"], "number": CANARIES["the digits of a number"]},
)
TOKEN = CANARIES["the token in Vapi's URLs"]
NEVER = 3600.0
LIMIT_S = 10.0
TURN_S = 0.1
"""What the sockets and the machine may take beside the timers, which are exact here."""


@dataclass
class Step:
    """What one request gets: an answer after a while, or a broken connection (status 0)."""

    status: int
    after_s: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Api:
    """Answers as its steps say, and 201 after them; ``at_s`` has the moments of the requests."""

    steps: list[Step]
    at_s: list[float] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.at_s.append(asyncio.get_running_loop().time())
        await request.read()
        step = self.steps.pop(0) if self.steps else Step(201)
        await asyncio.sleep(step.after_s)
        if step.status == 0 and request.transport is not None:
            request.transport.abort()
        if step.status == 201:
            url = f"wss://api.vapi.ai/call-1/transport?{TOKEN}"
            body = {"id": "call-1", "transport": {"websocketCallUrl": url}}
            return web.json_response(body, status=201)
        return web.json_response({"message": "no"}, status=step.status or 500, headers=step.headers)

    @property
    def pauses_s(self) -> list[float]:
        return [later - at for at, later in zip(self.at_s, self.at_s[1:], strict=False)]


@asynccontextmanager
async def api(*steps: Step) -> AsyncIterator[tuple[Api, VapiClient]]:
    served = Api(list(steps))
    app = web.Application()
    app.router.add_post("/call", served.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with VapiClient(SETTINGS["vapi_api_key"], base_url=served.url) as client:
            yield served, client
    finally:
        await runner.cleanup()


async def fail(client: VapiClient) -> tuple[VapiError, float]:
    """Create a call that cannot be created; return the error and how long it took."""
    begun = asyncio.get_running_loop().time()
    with pytest.raises(VapiError) as caught:
        await client.create_call(REQUEST)
    return caught.value, asyncio.get_running_loop().time() - begun


@in_skipped_time
async def test_401_is_not_tried_again() -> None:
    async with api(Step(401)) as (served, client):
        error, took_s = await fail(client)
        assert (error.status, len(served.at_s)) == (401, 1)
        assert took_s < TURN_S


@pytest.mark.parametrize("said_s", [1, 3, 8])
@in_skipped_time
async def test_429_is_tried_again_when_it_says(said_s: int) -> None:
    async with api(Step(429, headers={"Retry-After": str(said_s)})) as (served, client):
        assert (await client.create_call(REQUEST)).id == "call-1"
        [pause_s] = served.pauses_s
        assert said_s <= pause_s < said_s + TURN_S


@in_skipped_time
async def test_5xx_is_tried_three_times_with_growing_pauses_of_which_no_two_are_alike() -> None:
    firsts, seconds = [], []
    for status in (500, 502, 503, 500, 502, 503):
        async with api(*[Step(status)] * 3) as (served, client):
            error, took_s = await fail(client)
            assert (error.status, len(served.at_s)) == (status, 3)
            assert took_s < 2
            firsts.append(served.pauses_s[0])
            seconds.append(served.pauses_s[1])
    for pauses, shortest_s in ((firsts, 0.25), (seconds, 0.5)):
        assert all(shortest_s <= pause_s < 2 * shortest_s + TURN_S for pause_s in pauses)
        assert max(pauses) - min(pauses) > shortest_s / 20  # by chance less: once in some million runs


@pytest.mark.parametrize(
    "steps",
    [
        [Step(201, NEVER)],
        [Step(503), Step(201, NEVER)],
        [Step(503, 4), Step(503, 4), Step(503, 4)],
        [Step(429, headers={"Retry-After": "9"}), Step(201, NEVER)],
        [Step(429, headers={"Retry-After": "6"}), Step(429, headers={"Retry-After": "6"})],
        [Step(429, headers={"Retry-After": "3600"})],
        [Step(429, 9, headers={"Retry-After": "5"})],
    ],
    ids=["hangs", "fails, hangs", "is slow", "waits, hangs", "waits twice", "an hour", "late and later"],
)
@in_skipped_time
async def test_all_of_it_takes_10_s_at_most(steps: list[Step]) -> None:
    async with api(*steps) as (_served, client):
        _error, took_s = await fail(client)
        assert took_s < LIMIT_S + TURN_S


@pytest.mark.parametrize(
    "step",
    [Step(201, NEVER), Step(504), Step(520), Step(524), Step(0), Step(0, 3.0)],
    ids=["a hang", "504", "520", "524", "a break", "a late break"],
)
@in_skipped_time
async def test_what_may_have_made_a_call_is_never_sent_again(step: Step) -> None:
    async with api(step) as (served, client):
        await fail(client)
        await asyncio.sleep(60)
        assert len(served.at_s) == 1


async def test_a_caller_who_is_there_already_is_hung_up_on_a_refusal() -> None:
    phone_is_there = asyncio.Event()

    async def create(_request: web.Request, _body: object) -> web.Response:
        await phone_is_there.wait()
        return web.json_response({"message": f"{CANARIES['the API key']} is no key"}, status=401)

    async with faulty(Vapi(create=create)) as scene:
        async with scene.phone() as phone:
            phone_is_there.set()
            assert await phone.close_code() == 1000
            phone.close()
        await until(lambda: scene.ended)
        assert [end.reason for end in scene.ended] == ["vapi_failed"]
        assert "401" in scene.ended[0].detail
        assert len(scene.vapi.requests) == 1


async def test_a_call_that_vapi_may_have_made_is_not_asked_for_again_and_its_media_token_is_dead() -> None:
    async def create(_request: web.Request, _body: object) -> web.Response:
        await asyncio.sleep(NEVER)
        return web.Response()

    async with faulty(Vapi(create=create)) as scene:
        scene.bridge.client._timeout_s = 0.1
        url = stream_url(await scene.voice())
        await until(lambda: scene.ended)
        assert [end.reason for end in scene.ended] == ["vapi_failed"]
        async with connected(scene.bridge.port) as wire:
            signature = RequestValidator(scene.auth_token).compute_signature(url, {})
            answer = await wire.upgrade(urlsplit(url).path, {"X-Twilio-Signature": signature})
            assert answer.status == 403
        assert len(scene.vapi.requests) == 1
