from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from aiohttp import web

from vapimedia import AudioFormat, ConfigError, VapiClient, VapiError
from vapimedia.io import vapi_requests
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.vapi import CreateCall

KEY = "sk-canary-5f3a"
REQUEST = CreateCall(format=AudioFormat("mulaw", 8000), assistant_id="asst_1")
CREATED = {"id": "call-1", "transport": {"websocketCallUrl": "wss://api.vapi.ai/call-1/transport"}}


class Api:
    """Answers ``POST /call`` with statuses one after the other; 201 when there are none left."""

    def __init__(self, statuses: Sequence[int], headers: dict[str, str], body: object) -> None:
        self.statuses, self.headers, self.body = list(statuses), headers, body
        self.requests: list[tuple[dict[str, str], object]] = []
        self.others: list[tuple[str, str]] = []
        self.url = ""

    async def create(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((dict(request.headers), await request.json()))
        status = self.statuses.pop(0) if self.statuses else 201
        if status == 0:  # never answer
            await asyncio.sleep(30)
        if status == -1:  # break the connection
            assert request.transport is not None
            request.transport.abort()
        if status == 201:
            return web.json_response(CREATED if self.body is None else self.body, status=201)
        return web.json_response(
            {"message": f"no, {KEY} is not good", "statusCode": status}, status=status, headers=self.headers
        )

    async def other(self, request: web.Request) -> web.StreamResponse:
        self.others.append((request.method, request.path))
        return web.Response(status=404 if request.path == "/gone" else 200)


@asynccontextmanager
async def api(
    *statuses: int, headers: dict[str, str] | None = None, body: object = None
) -> AsyncIterator[Api]:
    served = Api(statuses, headers or {}, body)
    app = web.Application()
    app.router.add_post("/call", served.create)
    app.router.add_route("*", "/{path}", served.other)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield served
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vapi_requests, "_FIRST_PAUSE_S", 0.001)


async def test_a_call_is_created_with_key_and_user_agent() -> None:
    async with api() as vapi, VapiClient(KEY, base_url=vapi.url + "/") as client:
        created = await client.create_call(REQUEST)
        assert created.websocket_call_url == "wss://api.vapi.ai/call-1/transport"
    [(headers, body)] = vapi.requests
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["User-Agent"].startswith("vapimedia/")
    assert body == json.loads(REQUEST.body())


@pytest.mark.parametrize(
    ("statuses", "n_tries"),
    [
        ((400,), 1),
        ((401,), 1),
        ((403,), 1),
        ((302,), 1),
        ((504,), 1),  # a proxy gave up waiting: the call may exist
        ((-1,), 1),  # so it may when the connection broke
        ((429, 429, 429), 3),
        ((500, 502, 503), 3),
        ((520, 500), 1),
        ((524, 500), 1),
    ],
)
async def test_only_what_is_safe_is_tried_again_and_three_times_at_most(
    statuses: tuple[int, ...], n_tries: int
) -> None:
    async with api(*statuses) as vapi, VapiClient(KEY, base_url=vapi.url) as client:
        with pytest.raises(VapiError) as caught:
            await client.create_call(REQUEST)
        assert len(vapi.requests) == n_tries
        assert KEY not in str(caught.value)


@pytest.mark.parametrize("statuses", [(500,), (503, 429)])
async def test_a_call_that_a_later_try_creates_is_taken(statuses: tuple[int, ...]) -> None:
    async with api(*statuses) as vapi, VapiClient(KEY, base_url=vapi.url) as client:
        assert (await client.create_call(REQUEST)).id == "call-1"
        assert len(vapi.requests) == len(statuses) + 1


async def test_an_error_tells_the_status_and_what_the_api_said_without_the_key() -> None:
    async with api(401) as vapi, VapiClient(KEY, base_url=vapi.url) as client:
        with pytest.raises(VapiError, match=r"401.*is not good") as caught:
            await client.create_call(REQUEST)
        assert caught.value.status == 401
        assert KEY not in repr(caught.value) and caught.value.__cause__ is None


async def test_429_is_tried_again_after_the_time_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def record(pause_s: float, _given_up: object) -> None:
        pauses.append(pause_s)

    monkeypatch.setattr(vapi_requests, "_pause", record)
    for said in ("3", formatdate(time.time() + 4, usegmt=True)):
        async with (
            api(429, headers={"Retry-After": said}) as vapi,
            VapiClient(KEY, base_url=vapi.url) as client,
        ):
            await client.create_call(REQUEST)
    assert pauses[0] == 3.0
    assert 2 < pauses[1] <= 4


@pytest.mark.parametrize(
    "said", ["", "soon", "-3", "Thu, 01 Jan 1970 00:00:00 -0000", "Thu, 99 Jan 1970", f"Thu, 01 Jan {10**20}"]
)
async def test_a_retry_after_that_says_nothing_is_like_none(said: str) -> None:
    async with (
        api(429, headers={"Retry-After": said}) as vapi,
        VapiClient(KEY, base_url=vapi.url) as client,
    ):
        assert (await client.create_call(REQUEST)).id == "call-1"


async def test_a_call_that_is_given_up_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vapi_requests, "_FIRST_PAUSE_S", 3.0)
    given_up = asyncio.Event()
    async with api(503) as vapi, VapiClient(KEY, base_url=vapi.url) as client:
        creating = asyncio.create_task(client.create_call(REQUEST, given_up=given_up))
        while not vapi.requests:
            await asyncio.sleep(0.01)
        given_up.set()
        async with asyncio.timeout(2):  # much less than the pause
            with pytest.raises(VapiError, match="not wanted"):
                await creating
        assert len(vapi.requests) == 1


async def test_a_retry_after_the_limit_is_not_waited_for() -> None:
    async with (
        api(429, headers={"Retry-After": "3600"}) as vapi,
        VapiClient(KEY, base_url=vapi.url) as client,
    ):
        with pytest.raises(VapiError) as caught:
            await client.create_call(REQUEST)
        assert (caught.value.status, len(vapi.requests)) == (429, 1)


async def test_a_timeout_is_not_tried_again() -> None:
    async with api(0) as vapi, VapiClient(KEY, base_url=vapi.url, timeout_s=0.1) as client:
        with pytest.raises(VapiError, match=r"did not answer within 0\.1 s"):
            await client.create_call(REQUEST)
        assert len(vapi.requests) == 1


async def test_a_timeout_is_told_as_one_whatever_came_before() -> None:
    async with api(503, 0) as vapi, VapiClient(KEY, base_url=vapi.url, timeout_s=0.3) as client:
        with pytest.raises(VapiError, match=r"did not answer within 0\.3 s") as caught:
            await client.create_call(REQUEST)
        assert (caught.value.status, len(vapi.requests)) == (None, 2)


async def test_nobody_listening_is_said_in_one_sentence(unused_tcp_port: int) -> None:
    async with VapiClient(KEY, base_url=f"http://127.0.0.1:{unused_tcp_port}") as client:
        with pytest.raises(VapiError, match=r"cannot connect to Vapi at 127\.0\.0\.1:\d+: "):
            await client.create_call(REQUEST)


@pytest.mark.parametrize("body", [{}, [], {"id": "x"}, {"id": "x", "transport": {}}, {"id": 7}])
async def test_an_answer_without_a_call_is_an_error(body: object) -> None:
    async with api(body=body) as vapi, VapiClient(KEY, base_url=vapi.url) as client:
        with pytest.raises(VapiError, match="201"):
            await client.create_call(REQUEST)


async def test_an_answer_over_1_mib_is_an_error() -> None:
    async with api(body={"x": "y" * (1 << 21)}) as vapi, VapiClient(KEY, base_url=vapi.url) as client:
        with pytest.raises(VapiError, match="larger than"):
            await client.create_call(REQUEST)


async def test_other_requests_never_raise_and_say_whether_they_worked(
    caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    caplog.set_level(logging.DEBUG)
    async with api() as vapi, VapiClient(KEY, base_url=vapi.url) as client:

        async def done(url: str, **how: object) -> bool:
            secret = {"Authorization": "Basic c2VjcmV0"}
            call = HttpCall("hangup", "POST", url, secret, b"secret-body", **how)  # type: ignore[arg-type]
            return await client.carry_out(call)

        assert await done(f"{vapi.url}/ok")
        assert await done(f"{vapi.url}/gone")
        assert not await done(f"{vapi.url}/gone", gone=frozenset())
        assert not await done(f"http://127.0.0.1:{unused_tcp_port}/secret-path")
        assert not await done("nonsense://")
    for secret in ("c2VjcmV0", "secret-body", "secret-path", KEY):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "api.vapi.ai",
        "https://user@api.vapi.ai",
        "https://api.vapi.ai?x=1",
        "ftp://x",
    ],
)
def test_a_base_that_the_key_must_not_go_to_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base of Vapi's API must be"):
        VapiClient(KEY, base_url=url)


async def test_a_closed_client_opens_nothing_any_more() -> None:
    async with api() as vapi:
        client = VapiClient(KEY, base_url=vapi.url)
        await client.create_call(REQUEST)
        await client.close()
        with pytest.raises(VapiError, match="closed"):
            await client.create_call(REQUEST)
        assert not await client.carry_out(HttpCall("hangup", "POST", f"{vapi.url}/ok"))
        assert (len(vapi.requests), vapi.others) == (1, [])


@pytest.mark.parametrize("key", [f"{KEY}\r\nX-Other: 1", f"{KEY} {KEY}", f"{KEY}\u2013"])
def test_what_is_no_key_is_refused_before_it_can_be_sent(key: str) -> None:
    for given in ({"key": key}, {"key": KEY, "public_key": key}):
        with pytest.raises(ConfigError, match="no key has") as caught:
            VapiClient(**given)
        assert KEY not in str(caught.value)


async def test_a_key_may_end_in_a_line_end_and_none_is_told_before_anything_is_sent() -> None:
    async with api() as vapi:
        async with VapiClient(f"{KEY}\n", base_url=vapi.url) as client:
            await client.create_call(REQUEST)
        [(headers, _)] = vapi.requests
        assert headers["Authorization"] == f"Bearer {KEY}"
        async with VapiClient(" ", base_url=vapi.url) as client:
            with pytest.raises(ConfigError, match="key is empty"):
                await client.create_call(REQUEST)
        assert len(vapi.requests) == 1
    with pytest.raises(ConfigError, match="must be text, not NoneType"):
        VapiClient(None)  # type: ignore[arg-type]


async def test_requests_in_flight_end_with_an_error_when_the_client_closes() -> None:
    async with api(0, 0) as vapi:
        client = VapiClient(KEY, base_url=vapi.url)
        creating = asyncio.create_task(client.create_call(REQUEST))
        while not vapi.requests:
            await asyncio.sleep(0.001)
        await client.close()
        with pytest.raises(VapiError):
            await creating
        assert len(vapi.requests) == 1


def test_the_key_is_not_in_the_repr() -> None:
    assert KEY not in repr(VapiClient(KEY))
