"""Vapi's 25 documented channels over real sockets: the call socket, and the 24 server messages at one webhook."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vapimedia import Bridge, BridgeConfig, Call
from vapimedia.protocols import vapi as v
from vapimedia.testing import AssistantScript, EndCall, FakeTwilioCall, FakeVapi, Speak
from vapimedia.testing.caller import WaitForAssistant
from vapimedia.testing.vapi_media import ask_voice

DATA = Path(__file__).parents[1] / "data" / "vapi"
SECRET = "secret-of-the-webhooks"

TOLD = [
    "assistant.speechStarted",
    "chat.created",
    "chat.deleted",
    "conversation-update",
    "end-of-call-report",
    "hang",
    "language-change-detected",
    "model-output",
    "phone-call-control.hang-up",
    "session.created",
    "session.deleted",
    "session.updated",
    "speech-update",
    "status-update",
    "transcript",
    "transfer-update",
    "user-interrupted",
    "voice-input",
]
ASKED = {
    "assistant-request": {"assistantId": "asst_of_the_handler"},
    "call.endpointing.request": {"timeoutSeconds": 0.4},
    "knowledge-base-request": {"documents": [{"content": "open from 9", "similarity": 0.9}]},
    "tool-calls": {
        "results": [{"name": "store_hours", "toolCallId": "call_A1b2C3", "result": "open on monday"}]
    },
    "transfer-destination-request": {"destination": {"type": "number", "number": "+15005550002"}},
}


@dataclass
class Scene:
    vapi: FakeVapi
    bridge: Bridge
    seen: list[Any] = field(default_factory=list)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with FakeVapi(
        assistant=AssistantScript((Speak("let_me_check"), EndCall())), server_secret=SECRET
    ) as vapi:
        config = BridgeConfig(
            port=0,
            admin="127.0.0.1:0",
            vapi_url=vapi.url,
            vapi_api_key=vapi.api_key,
            vapi_webhook_secret=SECRET,
            assistant_id="asst_of_the_test",
            twilio_auth_token="token-of-the-test",
            public_url="https://bridge.test",
        )
        bridge = Bridge(config)
        told = Scene(vapi, bridge)
        bridge.on_event(lambda _call, event: told.seen.append(event))
        bridge.on_assistant_request(_assistant)
        bridge.on_transfer(_transfer)
        bridge.on_knowledge_base(_documents)
        bridge.on_endpointing(_turn)
        bridge.tool("store_hours")(_hours)
        async with bridge:
            vapi.server_url = f"http://127.0.0.1:{bridge.port}/vapi/webhook"
            yield told


async def _assistant(_call: Call | None, _request: v.AssistantRequest) -> v.AssistantReply:
    return v.AssistantReply(assistant_id="asst_of_the_handler")


async def _transfer(_call: Call | None, _request: v.TransferDestinationRequest) -> v.TransferReply:
    return v.TransferReply(destination=v.NumberDestination(number="+15005550002"))


async def _documents(_call: Call | None, _request: v.KnowledgeBaseRequest) -> v.KnowledgeBaseReply:
    return v.KnowledgeBaseReply(documents=[v.Document(content="open from 9", similarity=0.9)])


async def _turn(_call: Call | None, _request: v.CallEndpointingRequest) -> v.EndpointingReply:
    return v.EndpointingReply(timeout_seconds=0.4)


async def _hours(_call: Call | None, args: dict[str, str]) -> str:
    return f"open\non {args['day']}"


async def phone_call(scene: Scene) -> FakeTwilioCall:
    return await FakeTwilioCall(
        f"http://127.0.0.1:{scene.bridge.port}/twilio/voice",
        auth_token="token-of-the-test",
        public_url="https://bridge.test",
        caller=(WaitForAssistant(),),
    ).run()


async def test_each_of_the_24_webhook_channels_is_typed_answered_and_told(scene: Scene) -> None:
    for name in (*TOLD, *ASKED):
        message = json.loads((DATA / f"{name}.json").read_text())["message"]
        post = await scene.vapi.post(message)
        assert (post.status, post.problems) == (200, []), name
        if name in ASKED:
            assert post.json == ASKED[name], name
        else:
            assert post.json == {}, name
            assert scene.seen[-1].type == message["type"], name
            assert type(scene.seen[-1]) is type(v.decode_server_message(post.body)), name
    # The 24th is audio, of a server of its own.
    answer = await ask_voice(f"{scene.vapi.server_url}", "Hello.", 16000, secret=SECRET)
    assert answer.status == 501
    assert len(TOLD) + len(ASKED) + 1 == 24
    assert not [what for what in scene.bridge.counters if "unknown" in what or "malformed" in what]


@pytest.mark.slow
async def test_a_conversation_of_some_mib_does_not_end_the_call(scene: Scene) -> None:
    long = [{"role": "user", "content": "x" * (3 << 20)}]
    running = asyncio.create_task(phone_call(scene))
    async with asyncio.timeout(5):
        while not scene.vapi.calls:
            await asyncio.sleep(0.01)
    (call,) = scene.vapi.calls.values()
    await call.connected()
    await call.send_event({"type": "conversation-update", "conversation": long})
    phone = await running
    assert phone.violations == call.violations == []
    assert long in [getattr(event, "conversation", None) for event in scene.seen]


async def test_the_25th_channel_is_the_call_socket_with_audio_and_typed_events_both_ways(
    scene: Scene,
) -> None:
    phone = await phone_call(scene)
    (call,) = scene.vapi.calls.values()
    assert phone.violations == call.violations == []
    assert phone.heard
    assert call.uplink
    sent = {event["type"] for _, event in call.events_sent}
    assert sent <= {getattr(event, "type", "") for event in scene.seen}
    assert not [event for event in scene.seen if isinstance(event, v.UnknownEvent | v.Malformed)]
