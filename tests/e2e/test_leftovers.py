"""Nothing is left behind: calls that Vapi has made or still makes, and sockets that are still closing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from aiohttp import web
from scene import ACCOUNT, Vapi, call_sid, running
from wire import until

END_CALL = [("vapi-call-1", {"type": "end-call"})]


@pytest.mark.parametrize("fault", ["foreign socket URL", "concurrency blocked"])
async def test_a_call_that_vapi_made_but_that_cannot_be_used_is_ended_there(fault: str) -> None:
    async def create(_request: web.Request, _body: object) -> web.Response:
        answer = vapi.answer()
        if fault == "foreign socket URL":
            answer["transport"]["websocketCallUrl"] = "wss://evil.example/x"
        else:
            answer["subscriptionLimits"] = {"concurrencyBlocked": True}
        return web.json_response(answer, status=201)

    vapi = Vapi(create=create)
    async with running(vapi) as scene:
        await scene.voice()
        await until(lambda: scene.ended)
        assert scene.ended[0].reason == "vapi_failed"
        await until(lambda: vapi.controls == END_CALL)


async def test_a_foreign_control_url_is_never_asked() -> None:
    async def create(_request: web.Request, _body: object) -> web.Response:
        answer = vapi.answer()
        answer["monitor"]["controlUrl"] = "https://evil.example/control"
        return web.json_response(answer, status=201)

    carried_out: list[Any] = []
    vapi = Vapi(create=create)
    async with running(vapi) as scene:
        scene.bridge.carry_out = lambda one, **_: carried_out.append(one)  # type: ignore[method-assign]
        await scene.voice()
        await until(lambda: scene.ended)
    assert carried_out == []


async def test_an_api_on_any_loopback_address_may_name_any_other() -> None:
    async with running() as scene:
        port = scene.vapi.url.rpartition(":")[2]
        scene.bridge.config = msgspec.structs.replace(
            scene.bridge.config, vapi_url=f"http://127.0.0.2:{port}"
        )
        scene.vapi.socket_url = f"ws://localhost:{port}/vapi-call-1/transport"
        async with scene.call() as (_phone, leg):
            assert leg.call_id == "vapi-call-1"


async def test_a_call_whose_caller_is_gone_is_not_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vapimedia.io.vapi_requests._FIRST_PAUSE_S", 0.2)

    async def create(_request: web.Request, _body: object) -> web.Response:
        return web.json_response({"message": "later"}, status=503)

    async with running(Vapi(create=create)) as scene:
        await scene.voice()
        await until(lambda: scene.vapi.requests)
        fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(), "CallStatus": "completed"}
        await scene.webhook("/twilio/status", fields)
        await until(lambda: scene.ended and not scene.bridge._tasks)
        assert len(scene.vapi.requests) == 1


@pytest.mark.parametrize("is_over", [False, True])
async def test_closing_waits_for_the_call_that_vapi_is_making_and_ends_it(is_over: bool) -> None:
    async def create(_request: web.Request, _body: object) -> web.Response:
        await asyncio.sleep(1.3)  # longer than what else is waited for
        return web.json_response(vapi.answer(), status=201)

    vapi = Vapi(create=create)
    async with running(vapi) as scene:
        await scene.voice()
        await until(lambda: vapi.requests)
        if is_over:
            scene.bridge.calls[0].hang_up("enough")
        await scene.bridge.close()
        assert vapi.controls == END_CALL


async def test_closing_waits_no_longer_for_vapi_than_its_client_does() -> None:
    async def create(_request: web.Request, _body: object) -> web.Response:
        await asyncio.sleep(30)
        return web.Response()

    async with running(Vapi(create=create)) as scene:
        scene.bridge.client._timeout_s = 0.1
        await scene.voice()
        await until(lambda: scene.vapi.requests)
        async with asyncio.timeout(3):
            await scene.bridge.close()


@pytest.mark.parametrize("how", ["close", "drain"])
async def test_a_closed_bridge_holds_no_socket_even_of_calls_that_ended_before(how: str) -> None:
    async with running() as scene, scene.call() as (phone, leg):
        live = scene.bridge.calls[0]
        live.hang_up("enough")
        assert live.provider.is_connected  # the phone has not answered the close yet
        await getattr(scene.bridge, how)()
        assert not live.provider.is_connected and not live.vapi.is_connected
        assert await phone.close_code() == 1000
        await until(lambda: leg.is_over)
