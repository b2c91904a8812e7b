"""A user's handlers, asked over real sockets; Vapi's word over the phone leg."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from scene import ACCOUNT, STOP, Scene, call_sid, running
from wire import until

from vapimedia import Bridge, Call
from vapimedia.protocols.vapi import (
    AssistantReply,
    AssistantRequest,
    CallEndpointingRequest,
    EndpointingReply,
    NumberDestination,
    PhoneCallControl,
    TransferDestinationRequest,
    TransferReply,
)

ABOUT = {"call": {"id": "vapi-call-1"}, "timestamp": 1.0}


async def ask(scene: Scene, type_: str, **fields: Any) -> Any:
    answer = await scene.vapi_webhook({"type": type_} | ABOUT | fields)
    assert answer.status == 200
    return json.loads(answer.body)


async def test_a_handler_knows_its_call_and_its_answer_goes_out_once_for_all_repeats() -> None:
    asked: list[object] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_transfer
        async def transfer(call: Call | None, request: TransferDestinationRequest) -> TransferReply:
            asked.append(call and call.vapi_call_id)
            return TransferReply(destination=NumberDestination(number="+15005550006"))

        @bridge.on_assistant_request
        def assistant(call: Call | None, request: AssistantRequest) -> AssistantReply:
            return AssistantReply(assistant_id="asst_7")

    async with running(prepare=prepare) as scene, scene.call():
        for _ in range(2):
            reply = await ask(scene, "transfer-destination-request")
            assert reply == {"destination": {"type": "number", "number": "+15005550006"}}
        assert asked == ["vapi-call-1"]
        assert await ask(scene, "assistant-request", call={}) == {"assistantId": "asst_7"}
        assert not [event for event in scene.events if isinstance(event, TransferDestinationRequest)]


async def test_a_late_handler_is_answered_for_before_vapi_stops_waiting_and_the_loop_goes_on() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_endpointing
        def endpointing(call: Call | None, request: CallEndpointingRequest) -> EndpointingReply:
            time.sleep(0.3)  # in a thread
            return EndpointingReply(timeout_seconds=5)

    async with running(prepare=prepare, endpointing_timeout_s=0.05) as scene:
        asking = asyncio.ensure_future(ask(scene, "call.endpointing.request"))
        assert (await scene.get("/healthz")).status == 200 and not asking.done()
        assert await asking == {"timeoutSeconds": 1.0}
        assert scene.bridge.counters["on_endpointing_late"] == 1


async def test_without_a_handler_the_fallback_goes_out_and_on_event_is_told() -> None:
    async with running() as scene:
        assert await ask(scene, "knowledge-base-request") == {"documents": []}
        await until(lambda: scene.events)
        assert scene.bridge.counters["on_knowledge_base_missing"] == 1
        answer = await scene.vapi_webhook({"type": "voice-request", "text": "x", "sampleRate": 8000})
        assert answer.status == 501 and scene.bridge.counters["vapi_webhook_unserved"] == 1


async def test_a_tool_has_no_more_time_than_its_server_is_given() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.tool("slow")
        async def slow(call: Call | None, args: dict[str, Any]) -> None:
            await asyncio.sleep(30)

    tool = {"type": "function", "function": {"name": "slow"}, "server": {"timeoutSeconds": 0.05}}
    call = {"id": "t1", "function": {"name": "slow", "arguments": {}}}
    async with running(prepare=prepare) as scene:
        reply = await ask(scene, "tool-calls", toolWithToolCallList=[tool | {"toolCall": call}])
        assert reply["results"][0]["error"].endswith("than 0.04 s")


async def test_vapi_may_hang_up_the_phone_leg() -> None:
    async with running() as scene, scene.call() as (phone, _leg):
        assert await ask(scene, "phone-call-control", request="hang-up") == {}
        assert await phone.close_code() == 1000
        await until(lambda: scene.ended)
        assert any(isinstance(event, PhoneCallControl) for event in scene.events)


async def test_vapi_may_forward_the_phone_leg() -> None:
    async with running(twilio_account_sid=ACCOUNT) as scene, scene.call() as (phone, _leg):
        destination = {"type": "number", "number": "+15005550009"}
        await ask(scene, "phone-call-control", request="forward", destination=destination)
        await until(lambda: scene.vapi.hang_ups)
        phone.text(STOP)
        [(sid, form)] = scene.vapi.hang_ups  # Twilio's resource of the call
        assert sid == call_sid() and "+15005550009" in form["Twiml"]
        await until(lambda: scene.ended)
        assert scene.ended[0].reason == "forwarded"


async def test_what_cannot_be_read_leaves_the_phone_alone() -> None:
    async with running() as scene, scene.call():
        await ask(scene, "phone-call-control", request="forward", destination={"type": "moon"})
        await until(lambda: scene.bridge.counters["phone_call_control_unknown"] == 1)
        assert len(scene.bridge.calls) == 1


async def test_a_handler_or_a_setting_keeps_the_bridge_from_acting() -> None:
    asked: list[str | None] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_phone_call_control
        async def control(call: Call | None, request: PhoneCallControl) -> bool:
            asked.append(request.request)
            return False

    async with running(prepare=prepare) as scene, scene.call():
        await ask(scene, "phone-call-control", request="hang-up")
        await until(lambda: asked)
        await asyncio.sleep(0.02)
        assert asked == ["hang-up"] and len(scene.bridge.calls) == 1
    async with running(phone_call_control="ignore") as scene, scene.call():
        await ask(scene, "phone-call-control", request="hang-up")
        await until(lambda: any(isinstance(event, PhoneCallControl) for event in scene.events))
        await asyncio.sleep(0.02)
        assert len(scene.bridge.calls) == 1


async def test_what_vapi_asks_of_a_phone_that_is_not_here_is_counted() -> None:
    async with running() as scene:
        await ask(scene, "phone-call-control", request="hang-up")
        await until(lambda: scene.bridge.counters["phone_call_control_lost"] == 1)
        await ask(scene, "phone-call-control")
        await until(lambda: scene.bridge.counters["phone_call_control_unknown"] == 1)


@pytest.mark.slow
async def test_a_bridge_that_drains_waits_for_the_answers_that_are_due() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_assistant_request
        async def assistant(call: Call | None, request: AssistantRequest) -> AssistantReply:
            await asyncio.sleep(2.5)
            return AssistantReply(assistant_id="asst_7")

    async with running(prepare=prepare) as scene:
        asking = asyncio.ensure_future(ask(scene, "assistant-request", call={}))
        await asyncio.sleep(0.1)
        await scene.bridge.drain()
        assert await asking == {"assistantId": "asst_7"}
