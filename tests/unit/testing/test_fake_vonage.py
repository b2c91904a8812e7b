"""FakeVonageCall against a tiny hand-written bridge."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import jwt
import pytest
from naive_vonage_bridge import (
    API_KEY,
    APPLICATION,
    PUBLIC,
    SECRET,
    Message,
    VonageBridge,
    ncco,
    on_connected,
    serving,
)
from vonage_jwt.verify_jwt import verify_signature

from vapimedia.formats import AudioFormat
from vapimedia.testing import sound
from vapimedia.testing.caller import Dtmf, HangUp, Interrupt, Say, Silence
from vapimedia.testing.clips import load_clip
from vapimedia.testing.verify import compare_frames

L16 = AudioFormat("pcm_s16le", 16000)
FRAME = b"\x10\x20" * 320
TALK = [{"action": "talk", "text": "One moment."}]


def notify(name: str) -> dict[str, Any]:
    return {"action": "notify", "payload": {"name": name}}


def claims_of(header: str) -> dict[str, Any]:
    assert header.startswith("Bearer ")
    assert verify_signature(header[7:], SECRET)
    return jwt.decode(header[7:], SECRET, algorithms=["HS256"])


async def test_every_webhook_and_the_upgrade_carry_their_own_token() -> None:
    async with serving(VonageBridge()) as bridge:
        call = await bridge.phone(HangUp()).run()
    assert call.violations == []
    seen = set()
    for request, body in bridge.requests:
        claims = claims_of(request.headers["Authorization"])
        assert (claims["iss"], claims["api_key"], claims["application_id"]) == (
            "Vonage",
            API_KEY,
            APPLICATION,
        )
        assert claims["payload_hash"] == hashlib.sha256(body).hexdigest()
        seen.add(claims["jti"])
    assert bridge.upgrade is not None
    upgrade = claims_of(bridge.upgrade.headers["Authorization"])
    assert "payload_hash" not in upgrade
    assert len(seen | {upgrade["jti"]}) == len(bridge.requests) + 1


@pytest.mark.parametrize("rate", [8000, 16000, 24000])
async def test_a_call_goes_from_webhook_to_close_in_exact_frames(rate: int) -> None:
    bridge = VonageBridge()
    bridge.ncco = ncco(rate)
    fmt = AudioFormat("pcm_s16le", rate)
    async with serving(bridge):
        call = await bridge.phone(Say("ask_sunday"), Say(b"odd"), Dtmf("1#"), HangUp()).run()
    assert (call.voice_status, call.upgrade_status, call.ended_by, call.close_code) == (
        200,
        101,
        "caller",
        1000,
    )
    assert bridge.texts[0] == {
        "event": "websocket:connected",
        "content-type": f"audio/l16;rate={rate}",
        "call_uuid": "c0",
        "deep": {"a": [1]},
    }
    assert bridge.texts[1:] == [
        {"event": "websocket:dtmf", "digit": digit, "duration": 260} for digit in "1#"
    ]
    assert {len(frame) for frame in bridge.frames} == {fmt.frame_bytes()}
    assert b"".join(bridge.frames) == bytes(call.sent)
    assert bytes(call.sent).startswith(load_clip("ask_sunday", fmt))
    assert (call.phone_statuses, call.websocket_statuses) == (
        ["started", "ringing", "answered", "completed"],
        ["started", "answered", "completed"],
    )
    assert {post.status for post in call.callbacks} == {200}
    by_socket = [event for event in bridge.events if event["uuid"] == call.websocket_uuid]
    assert {event["to"] for event in by_socket} == {"wss://voice.example.com/vonage/media/t0"}
    assert all(event["headers"] == {"call_uuid": "c0", "deep": {"a": [1]}} for event in by_socket)


async def test_an_answer_by_get_names_the_call_in_its_query() -> None:
    async with serving(VonageBridge()) as bridge:
        call = await bridge.phone(HangUp(), answer_method="GET").run()
    request, body = next(one for one in bridge.requests if one[0].path == "/vonage/answer")
    assert (request.method, body) == ("GET", b"")
    assert dict(request.query) == {
        "from": call.from_,
        "to": call.to,
        "uuid": call.call_uuid,
        "conversation_uuid": call.conversation_uuid,
    }
    assert "payload_hash" not in claims_of(request.headers["Authorization"])


async def test_an_unsigned_call_has_no_tokens() -> None:
    async with serving(VonageBridge()) as bridge:
        await bridge.phone(HangUp(), signed=False).run()
    assert bridge.upgrade is not None
    requests = [request for request, _ in bridge.requests] + [bridge.upgrade]
    assert not any("Authorization" in request.headers for request in requests)


async def test_custom_authorization_travels_word_for_word() -> None:
    bridge = VonageBridge()
    bridge.ncco = ncco(authorization={"type": "custom", "value": "Token of mine"})
    async with serving(bridge):
        await bridge.phone(HangUp()).run()
    assert bridge.upgrade is not None
    assert bridge.upgrade.headers["Authorization"] == "Token of mine"


async def test_the_ear_hears_what_was_sent_and_notifies_after_playout() -> None:
    clip = load_clip("let_me_check", L16)
    clip += bytes(-len(clip) % 640)
    frames = [clip[at : at + 640] for at in range(0, len(clip), 640)]
    say = on_connected(notify("begin"), *frames, notify("end"))

    def speak(message: Message) -> list[object]:
        is_end = isinstance(message, dict) and message.get("payload") == {"name": "end"}
        return ["close"] if is_end else say(message)

    async with serving(VonageBridge(speak)) as bridge:
        call = await bridge.phone().run()
    assert (call.ended_by, call.close_code, call.violations) == ("bridge", 1000, [])
    assert bridge.texts[1:] == [
        {"event": "websocket:notify", "payload": {"name": name}} for name in ("begin", "end")
    ]
    begin, end = call.marks
    assert begin.returned_ns == begin.received_ns
    assert end.returned_ns is not None
    assert len(call.heard) >= len(clip)
    report = compare_frames(clip, call.heard, 640, L16.silence)
    assert (report.intact, call.ear.underruns) == (True, 0)
    assert call.ear.max_queued_messages >= len(frames) - 3
    assert set(call.payload_sizes) == {640}


@pytest.mark.parametrize("size", [0, 2, 638, 641, 1280])
async def test_a_wrong_size_drops_the_leg_without_a_close_frame(size: int) -> None:
    bridge = VonageBridge(on_connected(FRAME, bytes(size), FRAME))
    bridge.fallback = TALK
    async with serving(bridge):
        call = await bridge.phone().run()
        await asyncio.wait_for(bridge.closed.wait(), 5)
    assert (call.ended_by, call.close_code, bridge.close_code) == ("wrong size", 1006, 1006)
    assert (call.wrong_size_messages, bytes(call.received)) == (1, FRAME)
    assert call.websocket_statuses == ["started", "answered", "disconnected"]
    assert call.phone_statuses[-1] == "completed"
    assert call.fallback_ncco == TALK
    assert len(call.violations) == 1


async def test_a_socket_that_the_bridge_closes_is_disconnected_and_its_fallback_kept() -> None:
    bridge = VonageBridge(on_connected("close"))
    bridge.fallback = TALK
    async with serving(bridge):
        call = await bridge.phone().run()
    assert (call.ended_by, call.websocket_statuses[-1]) == ("bridge", "disconnected")
    assert (call.fallback_ncco, call.violations) == (TALK, [])


async def test_a_fallback_is_taken_by_a_synchronous_action_only() -> None:
    bridge = VonageBridge(on_connected("close"))
    bridge.fallback = TALK
    del bridge.ncco[0]["eventType"]
    async with serving(bridge):
        call = await bridge.phone().run()
    assert (call.fallback_ncco, len(call.violations)) == (None, 1)


@pytest.mark.parametrize("fallback", [None, {"not": "an array"}, "text"])
async def test_what_is_no_array_is_no_fallback(fallback: object) -> None:
    bridge = VonageBridge(on_connected("close"))
    bridge.fallback = fallback
    async with serving(bridge):
        call = await bridge.phone().run()
    assert (call.fallback_ncco, call.violations) == (None, [])


@pytest.mark.parametrize(
    ("reachable", "status", "detail"),
    [(True, "failed", "cannot_route"), (False, "unanswered", "unavailable")],
)
async def test_a_socket_that_cannot_be_had_is_reported_with_its_fallback(
    reachable: bool, status: str, detail: str
) -> None:
    bridge = VonageBridge()
    bridge.refuse, bridge.fallback = True, TALK
    async with serving(bridge):
        if not reachable:
            bridge.ncco = ncco(uri="ws://127.0.0.1:1/media")
            bridge.ncco[0]["eventUrl"] = [f"{bridge.base}/vonage/event"]
        public = {} if reachable else {"public_url": None, "event_url": f"{bridge.base}/vonage/event"}
        call = await bridge.phone(**public).run()
    assert (call.upgrade_status, call.ended_by) == (403 if reachable else None, "upgrade")
    assert call.websocket_statuses == ["started", status]
    assert [event["detail"] for event in bridge.events if "detail" in event] == [detail]
    assert call.fallback_ncco == TALK


@pytest.mark.parametrize("returned", [False, True])
async def test_a_clear_empties_the_queue_and_drops_what_waits_for_it(returned: bool) -> None:
    bridge = VonageBridge(
        on_connected(*[FRAME] * 200, notify("old"), {"action": "clear"}, FRAME, notify("new"))
    )
    async with serving(bridge):
        call = await bridge.phone(Silence(200), HangUp(), clear_returns_notifies=returned).run()
    events = [text.get("payload", {}).get("name", text["event"]) for text in bridge.texts[1:]]
    assert events == ["websocket:cleared", *(["old"] if returned else []), "new"]
    assert call.clears[0].dropped_ms > 3500
    assert call.heard.count(FRAME) < 20
    assert [mark.by_clear for mark in call.marks] == [True, False]
    assert (call.marks[0].returned_ns is not None) == returned


async def test_what_is_beyond_the_buffer_is_dropped_and_counted() -> None:
    async with serving(VonageBridge(on_connected(*[FRAME] * 300))) as bridge:
        call = await bridge.phone(Silence(100), HangUp(), buffer_messages=200).run()
    assert call.ear.max_queued_messages == 200
    assert 90 <= call.ear.overflow_messages <= 100
    assert call.ear.overflow_bytes == 640 * call.ear.overflow_messages
    assert len(call.violations) == 1


async def test_undocumented_messages_are_recorded_and_nothing_else() -> None:
    wrong = [
        {"action": "hangup"},
        {"action": "clear", "now": True},
        {"action": "notify", "payload": "m1"},
        ["clear"],
    ]
    async with serving(VonageBridge(on_connected(*wrong, "close"))) as bridge:
        call = await bridge.phone().run()
    assert len(call.violations) == len(wrong)
    assert (call.clears, call.marks, len(bridge.texts)) == ([], [], 1)


async def test_an_interruption_is_timed_from_speech_and_from_clear() -> None:
    speech = sound.tone(L16, 4000)
    frames = [speech[at : at + 640] for at in range(0, len(speech), 640)]
    say = on_connected(*frames)
    heard_caller = 0

    def interrupted(message: Message) -> list[object]:
        nonlocal heard_caller
        if isinstance(message, bytes) and sound.is_speech(message, L16):
            heard_caller += 1
            return [{"action": "clear"}] if heard_caller == 5 else []
        return say(message)

    async with serving(VonageBridge(interrupted)) as bridge:
        call = await bridge.phone(Interrupt("ask_sunday", after_ms=400), Silence(400), HangUp()).run()
    assert (call.violations, call.step_timeouts) == ([], 0)
    (barge_in,) = call.barge_ins
    assert barge_in.clear_to_silence_ms is not None
    assert barge_in.speech_to_silence_ms is not None
    assert 0 <= barge_in.clear_to_silence_ms <= barge_in.speech_to_silence_ms
    assert call.clears[0].dropped_ms > 1000


async def test_a_hang_up_by_the_api_completes_both_legs_and_disconnects_none() -> None:
    async with serving(VonageBridge()) as bridge:
        call = bridge.phone()
        running = asyncio.create_task(call.run())
        await call.streaming()
        call.hang_up("api")
        await running
    assert (call.ended_by, call.close_code, bridge.close_code) == ("api", 1000, 1000)
    assert call.websocket_statuses == ["started", "answered", "completed"]
    assert call.phone_statuses == ["started", "ringing", "answered", "completed"]


async def test_a_reset_is_a_lost_socket() -> None:
    async with serving(VonageBridge()) as bridge:
        call = bridge.phone()
        running = asyncio.create_task(call.run())
        await call.streaming()
        call.reset()
        await running
        await asyncio.wait_for(bridge.closed.wait(), 5)
    assert (call.ended_by, bridge.close_code) == ("reset", 1006)
    assert call.websocket_statuses[-1] == "disconnected"


async def test_an_answer_that_connects_nothing_ends_the_call() -> None:
    bridge = VonageBridge()
    bridge.ncco = TALK
    async with serving(bridge):
        call = await bridge.phone().run()
    assert (call.ended_by, call.upgrade_status, call.violations) == ("ncco", None, [])
    assert (call.websocket_statuses, call.phone_statuses[-1]) == ([], "completed")


async def test_a_refused_webhook_ends_the_call() -> None:
    async with serving(VonageBridge()) as bridge:
        call = bridge.phone()
        call.answer_url = f"{bridge.base}/elsewhere"
        await call.run()
    assert (call.voice_status, call.ended_by) == (404, "voice webhook")
    assert call.phone_statuses == ["started", "ringing", "completed"]


async def test_events_that_are_refused_are_noted_with_their_status() -> None:
    bridge = VonageBridge()
    bridge.event_status = 403
    async with serving(bridge):
        call = await bridge.phone(HangUp()).run()
    statuses = {post.status for post in call.callbacks if post.url.endswith("/event")}
    assert statuses == {403}
    assert not any(PUBLIC in post.url for post in call.callbacks)
