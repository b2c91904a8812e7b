"""What a user says to a running call: some of it on the socket, the rest by the control URL, and in order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from scene import running, stream_url
from wire import until

from vapimedia import Call, StateError
from vapimedia.session import CallEnded


async def test_what_the_socket_is_known_to_take_goes_there_and_the_rest_by_url_in_order() -> None:
    async with running() as scene, scene.call() as (_, leg):
        [live] = scene.bridge.book.live
        call: Call = live.handle
        call.say("Hi.")
        call.append_context("thinking", "VIP")
        for _ in range(5):
            call.mute_assistant()
            call.unmute_assistant()
        await asyncio.to_thread(call.mute_customer)
        call.unmute_customer()
        call.say_first_message()
        call.transfer("+15005550006")
        call.handoff("asst_2", "Bye.")
        await until(lambda: len(scene.vapi.controls) == 16)
        assert {name for name, _ in scene.vapi.controls} == {"vapi-call-1"}
        said = [
            body.get("control", body["type"])
            for _, body in scene.vapi.controls
            if body.get("control") != "mute-customer"
        ]
        assert said == ["append-context"] + ["mute-assistant", "unmute-assistant"] * 5 + [
            "unmute-customer",
            "say-first-message",
            "transfer",
            "handoff",
        ]
        await until(lambda: leg.texts)
        assert [text["type"] for text in leg.texts] == ["say"]
        await call.control.mute_assistant()
        assert len(scene.vapi.controls) == 17


async def test_what_comes_before_the_call_waits_and_what_comes_after_it_is_counted() -> None:
    may_create = asyncio.Event()
    async with running() as scene:

        async def create(_request: web.Request, _body: dict[str, Any]) -> web.Response:
            await may_create.wait()
            return web.json_response(scene.vapi.answer(), status=201)

        scene.vapi.create = create
        async with scene.phone():
            [live] = scene.bridge.book.live
            for _ in range(33):
                live.handle.mute_assistant()
            with pytest.raises(StateError, match="CallStarted"):
                _ = live.handle.control
            assert scene.bridge.counters["control_dropped"] == 1
            may_create.set()
            await until(lambda: len(scene.vapi.controls) == 32)
            live.handle.hang_up()
            await until(lambda: scene.ended)
            live.handle.mute_assistant()
            assert scene.bridge.counters["control_dropped"] == 2


async def test_what_comes_before_the_calls_socket_is_open_waits_for_it() -> None:
    async with running() as scene:
        answer = await scene.voice()
        [live] = scene.bridge.book.live
        await until(lambda: live.vapi_call_id)
        live.handle.mute_assistant()
        await asyncio.sleep(0.05)
        assert scene.vapi.controls == []  # Vapi would say that the call does not run
        async with scene.socket(stream_url(answer)):
            await until(lambda: scene.vapi.controls)
            assert len(scene.vapi.legs) == 1
            live.handle.hang_up()
            await until(lambda: scene.ended)


async def test_an_account_at_its_limit_ends_the_call_here_and_there() -> None:
    async with running() as scene:

        async def create(_request: web.Request, _body: dict[str, Any]) -> web.Response:
            limits = {"concurrencyBlocked": True, "concurrencyLimit": 10, "remainingConcurrentCalls": 0}
            return web.json_response(scene.vapi.answer() | {"subscriptionLimits": limits}, status=201)

        scene.vapi.create = create
        await scene.voice()
        await until(lambda: scene.ended)
        [end] = scene.ended
        assert isinstance(end, CallEnded) and end.reason == "vapi_failed" and "limit" in end.detail
        await until(lambda: scene.vapi.controls)
        assert scene.vapi.controls == [("vapi-call-1", {"type": "end-call"})]
