"""A webhook for which Vonage wants an NCCO is sent again when it fails, and then to the fallback URL."""

from __future__ import annotations

import asyncio
from typing import Any

import jwt
import pytest
from aiohttp import web
from loopback import on_loopback
from naive_vonage_bridge import (
    API_KEY,
    APPLICATION,
    PUBLIC,
    SECRET,
    VonageBridge,
    ncco,
    on_connected,
    serving,
)

from vapimedia.testing import FakeVonageCall
from vapimedia.testing.caller import HangUp
from vapimedia.testing.vonage_http import VonageHttp

TALK = [{"action": "talk", "text": "One moment."}]
FALLBACK = f"{PUBLIC}/vonage/fallback"


def asked(bridge: VonageBridge, path: str) -> list[str]:
    """The ids of the tokens of the requests for *path*."""
    tokens = [request.headers["Authorization"][7:] for request, _ in bridge.requests if request.path == path]
    return [jwt.decode(token, SECRET, algorithms=["HS256"])["jti"] for token in tokens]


def attempts(call: FakeVonageCall, word: str) -> list[tuple[int, int]]:
    return [(post.attempt, post.status) for post in call.callbacks if post.url.endswith(f"/{word}")]


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("status", [429, 503, 504, 0])
async def test_an_answer_url_that_fails_once_is_asked_again_with_another_token(
    status: int, method: str
) -> None:
    bridge = VonageBridge()
    bridge.answer_statuses = [status]
    async with serving(bridge):
        call = await bridge.phone(HangUp(), answer_method=method, fallback_answer_url=FALLBACK).run()
    assert (call.voice_status, call.ended_by, call.violations) == (200, "caller", [])
    assert attempts(call, "answer") == [(1, status), (2, 200)]
    assert len(set(asked(bridge, "/vonage/answer"))) == 2
    assert bridge.fallbacks == []


async def test_an_answer_url_that_fails_twice_ends_the_call_without_a_fallback() -> None:
    bridge = VonageBridge()
    bridge.answer_statuses = [503] * 3
    async with serving(bridge):
        call = await bridge.phone().run()
    assert (call.voice_status, call.ended_by) == (503, "voice webhook")
    assert attempts(call, "answer") == [(1, 503), (2, 503)]
    assert call.phone_statuses == ["started", "ringing", "completed"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
async def test_an_answer_url_that_refuses_is_asked_once(status: int) -> None:
    bridge = VonageBridge()
    bridge.answer_statuses = [status]
    async with serving(bridge):
        call = await bridge.phone(fallback_answer_url=FALLBACK).run()
    assert (attempts(call, "answer"), call.ended_by) == ([(1, status)], "voice webhook")
    assert bridge.fallbacks == []


async def test_the_fallback_is_told_why_and_its_ncco_is_run() -> None:
    bridge = VonageBridge()
    bridge.answer_statuses, bridge.fallback_statuses = [503, 504], [503]
    bridge.fallback = ncco(8000)
    async with serving(bridge):
        call = await bridge.phone(HangUp(), fallback_answer_url=FALLBACK).run()
    assert (call.voice_status, call.ended_by, call.violations) == (200, "caller", [])
    assert attempts(call, "fallback") == [(3, 503), (4, 200)]
    assert call.ear.fmt.sample_rate == 8000
    first, second = bridge.fallbacks
    assert (
        first
        == second
        == {
            "from": call.from_,
            "to": call.to,
            "uuid": call.call_uuid,
            "conversation_uuid": call.conversation_uuid,
            "reason": "HTTP status 504",
            "original_request": {"url": f"{PUBLIC}/vonage/answer", "type": "answer"},
        }
    )
    tokens = asked(bridge, "/vonage/answer") + asked(bridge, "/vonage/fallback")
    assert len(set(tokens)) == 4


async def test_a_fallback_that_fails_twice_ends_the_call() -> None:
    bridge = VonageBridge()
    bridge.answer_statuses, bridge.fallback_statuses = [503] * 2, [503] * 2
    async with serving(bridge):
        call = await bridge.phone(fallback_answer_url=FALLBACK).run()
    assert (call.voice_status, call.ended_by, len(bridge.fallbacks)) == (503, "voice webhook", 2)


async def test_a_fallback_may_be_elsewhere() -> None:
    told: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        told.append(await request.json())
        return web.json_response(TALK)

    bridge = VonageBridge()
    bridge.answer_statuses = [0, 0]
    async with serving(bridge), on_loopback(web.post("/static", answer)) as elsewhere:
        call = await bridge.phone(fallback_answer_url=f"{elsewhere}/static").run()
    assert (call.ended_by, call.violations, len(told)) == ("ncco", [], 1)
    assert "connection broke" in told[0]["reason"]


async def test_a_bridge_that_is_not_there_is_asked_twice() -> None:
    async with on_loopback() as gone:
        pass
    bridge = VonageBridge()
    bridge.base = gone
    call = await bridge.phone(event_url=None).run()
    assert (call.voice_status, call.ended_by) == (0, "voice webhook")
    assert "cannot connect" in call.voice_error
    assert attempts(call, "answer") == [(1, 0), (2, 0)]


async def test_an_answer_that_takes_too_long_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VonageHttp, "answer_timeout_s", 0.3)
    n_asked, over = 0, asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal n_asked
        n_asked += 1
        if n_asked == 1:
            await over.wait()
        return web.json_response([])

    async with on_loopback(web.post("/answer", answer)) as base:
        call = FakeVonageCall(
            f"{base}/answer", api_key=API_KEY, application_id=APPLICATION, signature_secret=SECRET
        )
        await call.run()
        over.set()
    assert (call.voice_status, call.ended_by, attempts(call, "answer")) == (200, "ncco", [(1, 0), (2, 200)])


@pytest.mark.parametrize(
    ("fallback_url", "statuses", "kept"),
    [
        (None, [503], TALK),
        (None, [503, 503], None),
        (FALLBACK, [503, 503], TALK),
        (FALLBACK, [500], None),
    ],
)
async def test_a_report_that_may_be_answered_with_an_ncco_is_sent_again(
    fallback_url: str | None, statuses: list[int], kept: object
) -> None:
    bridge = VonageBridge(on_connected("close"))
    bridge.fallback, bridge.report_statuses = TALK, list(statuses)
    async with serving(bridge):
        call = await bridge.phone(fallback_answer_url=fallback_url).run()
    assert call.fallback_ncco == kept
    assert call.websocket_statuses == ["started", "answered", "disconnected"]
    reports = [event["status"] for event in bridge.events].count("disconnected")
    assert reports == (1 if statuses == [500] else 2)
    for told in bridge.fallbacks:
        assert (told["uuid"], told["status"]) == (call.websocket_uuid, "disconnected")
        assert told["original_request"] == {"url": f"{PUBLIC}/vonage/event", "type": "event"}
    assert len(bridge.fallbacks) == (fallback_url is not None and statuses == [503, 503])


async def test_an_event_for_which_no_ncco_is_wanted_is_sent_once() -> None:
    bridge = VonageBridge()
    bridge.event_status = 503
    async with serving(bridge):
        call = await bridge.phone(HangUp(), fallback_answer_url=FALLBACK).run()
    assert {attempt for attempt, _ in attempts(call, "event")} == {1}
    assert bridge.fallbacks == []


async def test_a_url_of_the_ncco_that_is_not_public_is_a_violation() -> None:
    bridge = VonageBridge()
    async with serving(bridge):
        bridge.ncco = ncco(uri=f"{bridge.base.replace('http', 'ws')}/vonage/media/t0")
        bridge.ncco[0]["eventUrl"] = ["http://voice.example.com/vonage/event"]
        call = await bridge.phone(HangUp()).run()
    assert (call.upgrade_status, len(call.violations)) == (101, 2)
