"""Who gets the fallback NCCO: callers whose media was lost, and nobody whose call was to end."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import jwt
import pytest
from vonage_scene import API_KEY, APPLICATION, SIGNATURE_SECRET, Scene, running
from wire import until

from vapimedia import Bridge, CallInfo
from vapimedia.testing import AssistantScript, EndCall, FakeVonageCall, Pause

CURT = AssistantScript((Pause(300), EndCall()))
FALLBACK = [{"action": "talk", "text": "Our assistant is not available."}]


def with_fallback(asked: list[str]) -> Callable[[Bridge], None]:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_fallback
        async def fall_back(info: CallInfo, status: str) -> Any:
            asked.append(status)
            return FALLBACK

    return prepare


async def until_live(scene: Scene) -> None:
    await until(lambda: any(call.uplink for call in scene.vapi.calls.values()))


async def hang_up(scene: Scene) -> None:
    await until_live(scene)
    scene.bridge.calls[0].hang_up("enough")


async def drop_vapi(scene: Scene) -> None:
    await until_live(scene)
    next(iter(scene.vapi.calls.values())).drop()


async def wait(scene: Scene) -> None:
    await until(lambda: scene.ended)


@pytest.mark.parametrize("keys", ["none", "refused", "ignored"])
@pytest.mark.parametrize(
    ("assistant", "act", "reason"),
    [(CURT, wait, "vapi_ended"), (None, hang_up, "hang_up"), (None, drop_vapi, "vapi_lost")],
)
async def test_a_call_that_was_to_end_has_no_fallback_even_if_vonage_calls_it_disconnected(
    assistant: Any,
    act: Callable[[Scene], Awaitable[None]],
    reason: str,
    keys: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vapimedia.protocols.vonage._HANGUP_GRACE_MS", 100)
    asked: list[str] = []
    changes: dict[str, Any] = {"vonage_private_key": ""} if keys == "none" else {}
    api = {"status": 401} if keys == "refused" else {}
    async with running(assistant, with_fallback(asked), api=api, **changes) as scene:
        phone = scene.phone()
        if keys == "ignored":
            scene.api._known.clear()  # 404 counts as over, and yet nobody closes the socket
        call = asyncio.create_task(phone.run())
        await act(scene)
        await call
        assert [end.reason for end in scene.ended] == [reason]
        assert "disconnected" in phone.websocket_statuses
        assert (asked, phone.fallback_ncco) == ([], None)


@pytest.mark.parametrize("policy", ["hang_up", "continue"])
async def test_a_lost_vapi_has_a_fallback_only_where_calls_go_on_without_it(policy: str) -> None:
    asked: list[str] = []
    async with running(None, with_fallback(asked), on_vapi_lost=policy, vonage_private_key="") as scene:
        phone = scene.phone()
        call = asyncio.create_task(phone.run())
        await drop_vapi(scene)
        await call
        assert bool(phone.fallback_ncco) is bool(asked) is (policy == "continue")


async def test_a_bridge_that_remembers_nothing_of_a_call_still_has_a_fallback() -> None:
    asked: list[str] = []
    async with running(None, with_fallback(asked)) as scene:
        phone: FakeVonageCall = scene.phone()
        call = asyncio.create_task(phone.run())
        await until_live(scene)
        phone.reset()
        scene.bridge.book._ended.clear()
        await call
        assert asked == ["disconnected"]


class Stubborn(FakeVonageCall):
    """Never closes its socket, whatever the API was asked to do."""

    def hang_up(self, by: str = "caller") -> None:
        if by != "api":
            super().hang_up(by)


async def test_the_end_of_the_bridge_closes_a_socket_that_vonage_was_to_close() -> None:
    async with running() as scene:
        phone = scene.phone(Stubborn)
        call = asyncio.create_task(phone.run())
        await until_live(scene)
        await scene.bridge.close()
        await call
        assert (phone.ended_by, phone.close_code) == ("bridge", 1001)
        assert [request.method for request in scene.api.requests] == ["PUT"]
        assert [end.reason for end in scene.ended] == ["drain"]


def signed(body: bytes, jti: str) -> dict[str, str]:
    claims = {
        "iss": "Vonage",
        "iat": int(time.time()),
        "jti": jti,
        "api_key": API_KEY,
        "application_id": APPLICATION,
        "payload_hash": hashlib.sha256(body).hexdigest(),
    }
    return {"Authorization": f"Bearer {jwt.encode(claims, SIGNATURE_SECRET, 'HS256')}"}


async def test_a_webhook_that_came_too_early_may_come_again() -> None:
    body = b'{"uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab","from":"15005550006","to":"15005550001"}'
    headers, statuses = signed(body, "one-time"), []
    async with running(max_calls=1) as scene, aiohttp.ClientSession() as http:
        first = scene.phone()
        call = asyncio.create_task(first.run())
        await until_live(scene)

        async def post() -> None:
            async with http.post(f"{scene.url}/vonage/answer", data=body, headers=headers) as answer:
                statuses.append(answer.status)

        await post()
        await post()
        first.hang_up()
        await call
        await until(lambda: not scene.bridge.calls)
        await post()
        await post()
    assert statuses == [503, 503, 200, 403]


async def test_a_host_that_is_none_is_not_put_into_an_answer() -> None:
    changes = {"auth": False, "public_url": ""}
    async with running(**changes) as scene, aiohttp.ClientSession() as http:
        body = b'{"uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab"}'
        async with http.post(
            f"{scene.url}/vonage/answer", data=body, headers={"Host": "evil.example/x?y"}
        ) as answer:
            assert answer.status == 400
        assert scene.vapi.requests == []
