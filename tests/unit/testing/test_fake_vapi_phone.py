"""FakeVapi's ordinary phone calls: the REST API, live control and listening, without any bridge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from vapimedia.formats import AudioFormat
from vapimedia.testing import (
    AssistantScript,
    Callee,
    EndCall,
    FakeVapi,
    FakeVapiCall,
    HangUp,
    Pacing,
    Say,
    SendEvent,
    Silence,
    Speak,
    Transfer,
    VapiFaults,
    clip_ms,
    heard_share,
    load_clip,
    sound,
)
from vapimedia.testing.listen import Listener, ListenSettings

DATA = Path(__file__).parents[2] / "data" / "vapi"
HEADERS = {"Authorization": "Bearer vapi-test-key"}
BODY = {"assistantId": "a", "phoneNumberId": "p", "customer": {"number": "+15005550006"}}
PCM = AudioFormat("pcm_s16le", 16000)
SILENT = Callee(caller=(), ring_s=0.0)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEADERS) as session:
        yield session


async def post(http: aiohttp.ClientSession, url: str, body: Any, **request: Any) -> tuple[int, Any]:
    async with http.post(url, json=body, **request) as answer:
        return answer.status, await answer.json()


async def get(http: aiohttp.ClientSession, url: str, **query: str) -> tuple[int, Any]:
    async with http.get(url, params=query) as answer:
        return answer.status, await answer.json()


async def test_a_phone_call_rings_is_answered_and_settles_after_its_end(http: aiohttp.ClientSession) -> None:
    callee = Callee(caller=(Silence(100), HangUp()), ring_s=None)
    async with FakeVapi(callee=callee, settle_s=0.1, speed=10) as vapi:
        status, made = await post(http, f"{vapi.url}/call", BODY)
        assert (status, made["type"], made["status"]) == (201, "outboundPhoneCall", "queued")
        assert made["subscriptionLimits"]["concurrencyBlocked"] is False
        (call,) = vapi.phone_calls
        assert call.listen_url == made["monitor"]["listenUrl"]
        while call.status == "queued":
            await asyncio.sleep(0.005)
        assert (await get(http, f"{vapi.url}/call/{call.id}"))[1]["status"] == "ringing"
        call.answer()
        await call.ended()
        _, early = await get(http, f"{vapi.url}/call/{call.id}")
        assert (early["status"], early["endedReason"], early["cost"]) == ("ended", "customer-ended-call", 0)
        assert "artifact" not in early
        await asyncio.sleep(0.11)
        _, late = await get(http, f"{vapi.url}/call/{call.id}")
        assert late["cost"] > 0 and late["messages"] == late["artifact"]["messages"]


@pytest.mark.parametrize(
    ("callee", "reason"),
    [
        (Callee(ring_s=0.01, outcome="busy"), "customer-busy"),
        (Callee(ring_s=0.01, outcome="no-answer"), "customer-did-not-answer"),
    ],
)
async def test_a_phone_that_is_not_answered_says_why(callee: Callee, reason: str) -> None:
    async with FakeVapi(callee=callee) as vapi:
        call = await (await vapi.place_call()).ended(2)
    assert (call.ended_reason, call.connected_ns) == (reason, 0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"phoneNumberId": None}, "Need Either `phoneNumberId`"),
        ({"customer": None}, "Need Either `customerId`"),
        ({"customer": {"number": "0049"}}, "E.164"),
        ({"name": "x" * 41}, "name"),
        ({"squadId": "s"}, "exactly one"),
        ({"transport": {"provider": "vapi.websocket"}}, "phoneNumberId"),
    ],
)
async def test_a_phone_call_that_cannot_be_is_refused(
    http: aiohttp.ClientSession, change: dict[str, Any], said: str
) -> None:
    async with FakeVapi() as vapi:
        status, answer = await post(http, f"{vapi.url}/call", BODY | change)
    assert status == 400 and said in answer["message"]


async def test_calls_are_listed_renamed_and_their_data_deleted(http: aiohttp.ClientSession) -> None:
    faults = VapiFaults(api_statuses={"list": (429,), "delete": (503,)}, retry_after_s=7)
    async with FakeVapi(callee=SILENT, faults=faults) as vapi:
        first, second = [await vapi.place_call(phoneNumberId=name) for name in "pq"]
        async with http.get(f"{vapi.url}/call") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        _, newest = await get(http, f"{vapi.url}/call", limit="1", createdAtGt="2020-01-01T00:00:00Z")
        assert len(newest) == 1
        _, found = await get(http, f"{vapi.url}/call", phoneNumberId="q")
        assert [one["id"] for one in found] == [second.id]
        assert (await get(http, f"{vapi.url}/call", limit="x"))[0] == 400
        assert (await get(http, f"{vapi.url}/call", color="red"))[0] == 400
        url = f"{vapi.url}/call/{first.id}"
        async with http.patch(url, json={"name": "mine"}) as answer:
            assert (await answer.json())["name"] == "mine"
        async with http.patch(url, json={"status": "ended"}) as answer:
            assert answer.status == 400
        for status in (503, 200):
            async with http.delete(url) as answer:
                assert answer.status == status
        await first.connected()
        assert first.deleted and first.status == "in-progress"  # its data went, the call goes on
        assert (await get(http, url))[0] == 404
        async with http.get(f"{vapi.url}/call", headers={"Authorization": "Bearer wrong"}) as answer:
            assert answer.status == 401


CONTROLS = sorted(DATA.glob("control.*.json"), key=lambda path: "hangup" in path.name or "end" in path.name)


async def test_every_documented_control_message_is_taken(http: aiohttp.ClientSession) -> None:
    messages = [json.loads(path.read_bytes()) for path in CONTROLS]
    lasting = [one for one in messages if one["type"] not in {"transfer", "end-call", "hangup"}]
    told: list[str] = []
    vapi = FakeVapi(callee=SILENT, speed=20, on_control=lambda call, message: told.append(message["type"]))
    async with vapi:
        call = await (await vapi.place_call()).connected()
        for message in lasting:
            assert await post(http, call.control_url, message) == (200, {}), message
        assert call.controls == lasting
        assert told == [one["type"] for one in lasting]
        for message in messages:
            if message not in lasting:
                call = await (await vapi.place_call()).connected()
                assert await post(http, call.control_url, message) == (200, {}), message
                await call.ended()
                assert await post(http, call.control_url, message) != (200, {})
    assert call.violations == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "dance"},
        {"type": "say"},
        {"type": "say", "content": "x", "endCallAfterSpoken": "yes"},
        {"type": "add-message", "message": {"role": "boss", "content": "x"}},
        {"type": "append-context", "kind": "mood", "content": "x"},
        {"type": "control", "control": "mute"},
        {"type": "transfer", "destination": {"type": "number", "number": "0800"}},
        {"type": "transfer", "destination": {"type": "sip", "sipUri": "desk"}},
        {"type": "handoff", "destination": {"type": "assistant"}},
        {"type": "send-transport-message", "message": {"transport": "twilio"}},
        {"type": "send-transport-message", "message": {"transport": "vapi.sip", "sipVerb": "BYE"}},
        [],
    ],
)
async def test_an_undocumented_control_message_is_a_violation(wrong: Any) -> None:
    vapi = FakeVapi()
    call = vapi.make_call(BODY, {})
    assert await call.control(wrong) is not None
    assert call.controls == []


async def test_control_and_listen_can_demand_the_public_key_and_fail(http: aiohttp.ClientSession) -> None:
    plan = {"controlAuthenticationEnabled": True, "listenAuthenticationEnabled": True}
    known = {"Authorization": "Bearer vapi-test-public-key"}
    async with FakeVapi(callee=SILENT) as vapi:
        call = await vapi.place_call(assistantOverrides={"monitorPlan": plan})
        await call.connected()
        say = {"type": "say", "message": "Hi."}
        async with http.post(call.control_url, json=say) as answer:
            assert answer.status == 401
        assert (await post(http, call.control_url, say, headers=known))[0] == 200
        vapi.faults.control_status = 503
        assert (await post(http, call.control_url, say, headers=known))[0] == 503
        vapi.faults.listen_refusals, vapi.faults.listen_drop_after_s = 1, 0.01
        for headers, status in ((HEADERS, 401), (known, 503)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(call.listen_url, headers=headers)
            assert refused.value.status == status
        async with http.ws_connect(call.listen_url, headers=known) as ws:
            assert (await ws.receive_json())["type"] == "start"
            async for _ in ws:
                pass
            assert ws.close_code == 1006
        hidden = await vapi.place_call(assistantOverrides={"monitorPlan": {"listenEnabled": False}})
        assert hidden.listen_url == "" and hidden.control_url


async def listened(http: aiohttp.ClientSession, call: FakeVapiCall) -> tuple[bytes, list[dict[str, Any]]]:
    audio, texts = bytearray(), []
    async with http.ws_connect(call.listen_url) as ws:
        async for message in ws:
            if message.type is aiohttp.WSMsgType.BINARY:
                audio += message.data
            else:
                texts.append(json.loads(message.data))
    return bytes(audio), texts


@pytest.mark.slow
async def test_a_listener_hears_both_sides_of_a_phone_call_apart(http: aiohttp.ClientSession) -> None:
    callee = Callee(caller=(Silence(clip_ms("let_me_check") + 400), Say("ask_sunday")), ring_s=0.2)
    script = AssistantScript((Speak("let_me_check"),))
    vapi = FakeVapi(
        callee=callee,
        assistant=script,
        listen_channels=2,
        listen_start=False,
        listen_events=True,
        pacing=Pacing.burst(),
        speed=10,
    )
    async with vapi:
        call = await vapi.place_call()
        listening = asyncio.create_task(listened(http, call))
        await call.connected()
        while len([event for event in call.events("transcript") if event["transcriptType"] == "final"]) < 2:
            await asyncio.sleep(0.02)
        await call.end()
        audio, texts = await listening
    sides = np.frombuffer(audio, "<i2").reshape(-1, 2)
    for side, name in enumerate(("ask_sunday", "let_me_check")):
        clip = sound.decode(load_clip(name, PCM), PCM)
        assert heard_share(clip, sides[:, side].copy(), 16000) > 0.8
    assert texts[0]["type"] == "status-update"  # no start frame was wanted
    assert texts[-1] == {
        "type": "status-update",
        "status": "ended",
        "endedReason": "assistant-ended-call",
    }


def test_half_a_sample_of_a_turn_that_was_cut_short_spoils_no_other() -> None:
    listener = Listener(PCM, ListenSettings(channels=2))
    listener.take("assistant", b"\x01\x02\x03")
    listener.flush()
    listener.take("assistant", b"\x05\x00" * 320)
    for _ in range(7):
        listener.take("customer", bytes(640))
    heard = b"".join(bytes(listener.queue.get_nowait()) for _ in range(7))
    assert heard == bytes(1280 * 6) + b"\0\0\x05\0" * 320


async def test_subscriptions_decide_what_is_told() -> None:
    event = {"type": "language-change-detected", "language": "es"}
    script = AssistantScript((SendEvent(event), Speak("let_me_check"), EndCall()), timing="word-alignment")
    chosen = {"clientMessages": ["assistant.speechStarted", "language-change-detected"]}
    final = {"clientMessages": ['transcript[transcriptType="final"]']}
    async with FakeVapi(callee=SILENT, assistant=script, speed=10) as vapi:
        calls = [await vapi.place_call(assistantOverrides=one) for one in (chosen, final)]
        for call in calls:
            await call.ended()
    kinds = [[event["type"] for _, event in call.events_sent] for call in calls]
    assert kinds == [chosen["clientMessages"][::-1], final["clientMessages"]]
    (started,) = calls[0].events("assistant.speechStarted")
    timing = started["timing"]
    assert timing["words"] == ["Let", " ", "me", " ", "check."]
    assert len(timing["wordsStartTimesMs"]) == len(timing["wordsEndTimesMs"]) == 5


async def test_a_transfer_ends_a_phone_call_unless_the_server_controls_the_phone() -> None:
    script = AssistantScript((Transfer({"type": "number", "number": "+15005550002"}),))
    async with FakeVapi(callee=SILENT, assistant=script) as vapi:
        call = await (await vapi.place_call()).ended(2)
        assert call.ended_reason == "assistant-forwarded-call"
        kept = await vapi.place_call(assistantOverrides={"serverMessages": ["phone-call-control"]})
        await kept.connected()
        while not kept.events("transfer-update"):
            await asyncio.sleep(0.01)
        assert kept.status == "in-progress"


async def test_what_a_muted_assistant_says_is_silent_and_a_new_say_can_cut_the_old_off(
    http: aiohttp.ClientSession,
) -> None:
    async with FakeVapi(callee=SILENT, assistant=AssistantScript(()), speed=4) as vapi:
        call = await (await vapi.place_call()).connected()
        await call.control({"type": "control", "control": "mute-assistant"})
        await call.control({"type": "say", "content": "word " * 100})
        while not call.downlink or not call.downlink[0].sent:
            await asyncio.sleep(0.01)
        await call.control({"type": "control", "control": "unmute-assistant"})
        await call.control({"type": "say", "content": "Stop.", "interruptAssistantEnabled": True})
        while len(call.downlink) < 2 or not call.downlink[1].ended_ns:
            await asyncio.sleep(0.01)
    old, new = call.downlink
    assert old.interrupted and not any(old.sent[:160]) and len(old.sent) % 2 == 0
    assert not new.interrupted and any(new.sent)


@pytest.mark.parametrize("interrupted", ["say", "handoff", "transfer"])
async def test_nothing_is_told_after_the_end(interrupted: str) -> None:
    script = AssistantScript((Speak("greeting"),))
    async with FakeVapi(assistant=script, callee=SILENT, speed=50.0, pacing=Pacing.irregular()) as vapi:
        call = await (await vapi.place_call()).connected()
        to: dict[str, Any] = {"type": "number", "number": "+15005550002"}
        if interrupted == "handoff":
            to = {"type": "assistant", "assistantId": "b"}
        message = {"type": interrupted, "content": "Let me check."}
        assert await call.control(message if interrupted == "say" else message | {"destination": to}) is None
        await asyncio.sleep(0.01)
        await call.control({"type": "end-call"})
        await call.request_tool("late")
        await call.ended()
        events = [event for _, event in call.events_sent]
        statuses = [post.message["status"] for post in call.webhooks if post.type == "status-update"]
    assert (events[-1]["type"], events[-1]["status"]) == ("status-update", "ended")
    assert "forwarding" not in statuses
