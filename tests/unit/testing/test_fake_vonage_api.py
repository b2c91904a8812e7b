"""FakeVonageApi: tokens, hang-ups, and calls that end once, each in its own way."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Any

import aiohttp
import jwt
import pytest
from naive_vonage_bridge import API_KEY, APPLICATION, PUBLIC, SECRET, SPEED, VonageBridge, ncco, serving
from vonage_jwt.jwt import JwtClient
from vonage_voice.models import CreateCallRequest

from vapimedia.errors import ConfigError
from vapimedia.testing import FakeVonageApi, HangUp, Silence, make_application_key

PRIVATE, PUBLIC_KEY = make_application_key()
OTHER, _ = make_application_key()
HANG_UP = {"action": "hangup"}


def token(private_key: str = PRIVATE, without: str = "", **changes: Any) -> str:
    now = int(time.time())
    claims = {"application_id": APPLICATION, "iat": now, "exp": now + 900, "jti": str(uuid.uuid4())}
    claims |= changes
    claims.pop(without, None)
    return jwt.encode(claims, private_key, algorithm="RS256")


def api_for(bridge: VonageBridge | None = None, **settings: Any) -> FakeVonageApi:
    defaults = {
        "application_id": APPLICATION,
        "public_key": PUBLIC_KEY,
        "api_key": API_KEY,
        "signature_secret": SECRET,
        "public_url": PUBLIC,
        "bridge_url": bridge.base if bridge is not None else "",
        "caller": (Silence(100), HangUp()),
        "speed": SPEED,
    }
    return FakeVonageApi(**(defaults | settings))


def body(**changes: Any) -> dict[str, Any]:
    whole = {
        "to": [{"type": "phone", "number": "15005550007"}],
        "from": {"type": "phone", "number": "15005550001"},
        "ncco": ncco(),
        "event_url": [f"{PUBLIC}/vonage/event"],
    }
    return {name: value for name, value in (whole | changes).items() if value is not None}


async def ask(
    api: FakeVonageApi, method: str, path: str, json: object, bearer: str | None = None
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {bearer or token()}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.request(method, f"{api.url}/v1/calls{path}", json=json) as answer,
    ):
        return answer.status, await answer.json() if answer.status != 204 else None


@pytest.mark.parametrize(("leg", "by"), [("call_uuid", "api"), ("websocket_uuid", "api leg")])
async def test_either_leg_is_hung_up_once_and_none_is_disconnected(leg: str, by: str) -> None:
    async with serving(VonageBridge()) as bridge, api_for() as api:
        call = api.register(bridge.phone())
        running = asyncio.create_task(call.run())
        await call.streaming()
        first, _ = await ask(api, "PUT", f"/{getattr(call, leg)}", HANG_UP)
        second, _ = await ask(api, "PUT", f"/{getattr(call, leg)}", HANG_UP)
        await running
    assert (first, second) == (204, 404)
    assert (call.ended_by, bridge.close_code) == (by, 1000)
    assert call.websocket_statuses == ["started", "answered", "completed"]
    assert (call.phone_statuses[-1], call.went_on, call.violations) == ("completed", [], [])
    assert [(one.method, one.body, one.status) for one in api.requests] == [
        ("PUT", HANG_UP, 204),
        ("PUT", HANG_UP, 404),
    ]


@pytest.mark.parametrize("leg", ["call_uuid", "websocket_uuid"])
async def test_only_the_phones_uuid_ends_a_call_that_has_more_to_do(leg: str) -> None:
    talk = {"action": "talk", "text": "Goodbye."}
    bridge = VonageBridge()
    bridge.ncco = [*ncco(), talk]
    async with serving(bridge), api_for() as api:
        call = api.register(bridge.phone())
        running = asyncio.create_task(call.run())
        await call.streaming()
        assert (await ask(api, "PUT", f"/{getattr(call, leg)}", HANG_UP))[0] == 204
        await running
    assert call.websocket_statuses[-1] == "completed"
    if leg == "call_uuid":
        assert (call.went_on, call.phone_statuses[-1]) == ([], "completed")
    else:
        assert (call.went_on, call.phone_statuses[-1]) == ([talk], "answered")


async def test_a_socket_that_is_not_called_yet_cannot_be_hung_up() -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge, ring_s=60.0) as api:
        await ask(api, "POST", "", body())
        call = api.calls[0].call
        assert (await ask(api, "PUT", f"/{call.websocket_uuid}", HANG_UP))[0] == 404
        assert call.ended_by is None
        await ask(api, "PUT", f"/{call.call_uuid}", HANG_UP)
        await api.finished()
    assert call.ended_by == "api"


async def test_a_token_of_the_official_sdk_is_taken() -> None:
    async with api_for() as api:
        bearer = JwtClient(APPLICATION, PRIVATE).generate_application_jwt().decode()
        status, _ = await ask(api, "PUT", "/nobody", HANG_UP, bearer)
    assert (status, api.violations) == (404, [])


@pytest.mark.parametrize(
    "bearer",
    [
        lambda: "x",
        lambda: token(OTHER),
        lambda: token(application_id="another"),
        lambda: token(exp=int(time.time()) - 600, iat=int(time.time()) - 1200),
        lambda: token(iat=int(time.time()) + 600),
        lambda: token(exp=int(time.time()) + 90_000),
        *(lambda name=name: token(without=name) for name in ("application_id", "exp", "iat", "jti")),
        lambda: jwt.encode({"application_id": APPLICATION}, SECRET, algorithm="HS256"),
    ],
)
async def test_any_other_token_is_refused(bearer: Callable[[], str]) -> None:
    async with api_for() as api:
        status, _ = await ask(api, "PUT", "/nobody", HANG_UP, bearer())
    assert (status, len(api.violations)) == (401, 1)


async def test_a_token_is_good_for_one_request() -> None:
    async with api_for() as api:
        bearer = token()
        statuses = [(await ask(api, "PUT", "/nobody", HANG_UP, bearer))[0] for _ in range(2)]
    assert statuses == [404, 401]


@pytest.mark.parametrize(
    ("update", "status"),
    [
        ({"action": "transfer", "destination": {"type": "ncco", "ncco": []}}, 400),
        ({"action": "mute"}, 501),
        ({"action": "fly"}, 400),
        ({"action": "hangup", "why": "done"}, 400),
        (["hangup"], 400),
    ],
)
async def test_updates_that_are_not_played_or_unknown_are_refused_and_noted(
    update: object, status: int
) -> None:
    async with api_for() as api, serving(VonageBridge()) as bridge:
        call = api.register(bridge.phone())
        assert (await ask(api, "PUT", f"/{call.call_uuid}", update))[0] == status
    assert (call.ended_by, api.requests[0].status) == (None, status)
    assert len(api.violations) == 1


async def test_a_status_makes_every_request_fail() -> None:
    async with api_for(status=503) as api:
        assert (await ask(api, "PUT", "/nobody", HANG_UP))[0] == 503
        assert (await ask(api, "POST", "", body()))[0] == 503
    assert api.calls == []


@pytest.mark.parametrize(
    ("outcome", "changes", "statuses"),
    [
        ("answered", {}, ["started", "ringing", "answered", "completed"]),
        ("busy", {}, ["started", "ringing", "busy"]),
        ("unanswered", {}, ["started", "ringing", "unanswered"]),
        ("failed", {}, ["started", "failed"]),
        ("rejected", {}, ["started", "ringing", "rejected"]),
        ("timeout", {}, ["started", "ringing", "timeout"]),
        ("machine", {}, ["started", "ringing", "answered", "completed"]),
        (
            "machine",
            {"machine_detection": "continue"},
            ["started", "ringing", "answered", "machine", "completed"],
        ),
        ("machine", {"machine_detection": "hangup"}, ["started", "ringing", "machine", "completed"]),
    ],
)
async def test_every_outcome_ends_once(outcome: str, changes: dict[str, Any], statuses: list[str]) -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge, outcomes=outcome) as api:
        status, answer = await ask(api, "POST", "", body(**changes))
        await api.finished()
    (made,) = api.calls
    call = made.call
    assert (status, api.violations, call.violations) == (201, [], [])
    assert answer == {
        "uuid": call.call_uuid,
        "status": "started",
        "direction": "outbound",
        "conversation_uuid": call.conversation_uuid,
    }
    assert call.phone_statuses == statuses
    is_live = "answered" in statuses
    assert call.websocket_statuses == (["started", "answered", "completed"] if is_live else [])
    assert call.ended_by == ("caller" if is_live else outcome)
    assert not any(request.path == "/vonage/answer" for request, _ in bridge.requests)


async def test_calls_take_their_outcomes_in_turn() -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge, outcomes=["busy", "rejected"]) as api:
        for _ in range(3):
            await ask(api, "POST", "", body())
        await api.finished()
    assert [made.call.ended_by for made in api.calls] == ["busy", "rejected", "rejected"]


async def test_a_call_that_rings_too_long_times_out() -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge, ring_s=1.5) as api:
        await ask(api, "POST", "", body(ringing_timer=1))
        await api.finished()
    assert api.calls[0].call.phone_statuses == ["started", "ringing", "timeout"]


async def test_a_hang_up_while_it_rings_cancels_the_call() -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge, ring_s=60.0) as api:
        _, answer = await ask(api, "POST", "", body())
        while api.calls[0].call.phone_statuses[-1:] != ["ringing"]:
            await asyncio.sleep(0.01)
        status, _ = await ask(api, "PUT", f"/{answer['uuid']}", HANG_UP)
        await api.finished()
    assert (status, api.calls[0].call.ended_by) == (204, "api")
    assert api.calls[0].call.phone_statuses == ["started", "ringing", "cancelled"]


async def test_a_websocket_is_called_itself() -> None:
    (connect,) = ncco(24000)
    to = connect["endpoint"]
    talk = [{"action": "talk", "text": "Hello."}]
    async with serving(VonageBridge()) as bridge, api_for(bridge) as api:
        status, answer = await ask(api, "POST", "", body(to=to, ncco=talk))
        await api.finished()
    (made,) = api.calls
    assert (status, made.body["ncco"], api.violations, made.call.violations) == (201, talk, [], [])
    assert answer["uuid"] == made.call.call_uuid == made.call.websocket_uuid
    assert (made.call.phone_statuses, made.call.websocket_statuses) == (
        [],
        ["started", "answered", "completed"],
    )
    assert {len(frame) for frame in bridge.frames} == {960}


async def test_an_answer_url_is_asked_once_the_call_is_answered() -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge) as api:
        await ask(api, "POST", "", body(ncco=None, answer_url=[f"{PUBLIC}/vonage/answer"]))
        await api.finished()
    call = api.calls[0].call
    assert (call.voice_status, call.ended_by, call.violations) == (200, "caller", [])


@pytest.mark.parametrize(
    "changes",
    [
        {"event_url": ["http://127.0.0.1:8080/vonage/event"]},
        {"event_url": ["http://voice.example.com/vonage/event"]},
        {"ncco": None, "answer_url": ["https://127.0.0.1:8080/vonage/answer"]},
    ],
)
async def test_a_body_with_a_url_that_is_not_public_is_a_violation(changes: dict[str, Any]) -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge, outcomes="busy") as api:
        assert (await ask(api, "POST", "", body(**changes)))[0] == 201
        await api.finished()
    assert len(api.violations) == 1
    assert api.calls[0].call.phone_statuses[-1] == "busy"


async def test_a_body_of_the_official_models_has_no_violations() -> None:
    request = CreateCallRequest(
        to=[{"type": "phone", "number": "15005550007"}],
        from_={"type": "phone", "number": "15005550001"},
        ncco=[{"action": "talk", "text": "Hello."}],
        event_url=[f"{PUBLIC}/vonage/event"],
        machine_detection="continue",
        ringing_timer=30,
    )
    async with serving(VonageBridge()) as bridge, api_for(bridge, outcomes="busy") as api:
        sent = request.model_dump(mode="json", by_alias=True, exclude_none=True)
        status, _ = await ask(api, "POST", "", sent)
        await api.finished()
    assert (status, api.violations) == (201, [])


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"to": None}, 400),
        ({"to": [{"type": "phone", "number": "+15005550007"}]}, 400),
        ({"from": None}, 400),
        ({"from": "15005550001"}, 400),
        ({"ncco": None}, 400),
        ({"answer_url": [f"{PUBLIC}/vonage/answer"]}, 400),
        ({"event_url": f"{PUBLIC}/vonage/event"}, 400),
        ({"ringing_timer": 121}, 400),
        ({"machine_detection": "maybe"}, 400),
        ({"eventUrl": []}, 201),
    ],
)
async def test_a_body_must_be_as_documented(changes: dict[str, Any], status: int) -> None:
    async with serving(VonageBridge()) as bridge, api_for(bridge, outcomes="busy") as api:
        assert (await ask(api, "POST", "", body(**changes)))[0] == status
        await api.finished()
    assert api.violations != []
    assert not any("5005550007" in text for text in api.violations)
    assert len(api.calls) == (status == 201)


async def test_calls_that_are_not_over_end_with_the_api() -> None:
    async with serving(VonageBridge()) as bridge:
        async with api_for(bridge, caller=()) as api:
            await ask(api, "POST", "", body())
            await asyncio.sleep(0.05)
            await api.calls[0].call.streaming()
        await asyncio.wait_for(bridge.closed.wait(), 5)
    assert bridge.close_code == 1000


def test_an_api_needs_a_key() -> None:
    with pytest.raises(ConfigError, match="make_application_key"):
        FakeVonageApi(application_id=APPLICATION)


def test_a_private_key_is_enough() -> None:
    assert FakeVonageApi(application_id=APPLICATION, private_key=PRIVATE)._public_key == PUBLIC_KEY
