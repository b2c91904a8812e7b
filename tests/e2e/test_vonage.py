"""Vonage calls from the answer webhook to the last event, over real sockets."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Any

import aiohttp
import jwt
import pytest
from vonage_scene import API_KEY, APPLICATION, SIGNATURE_SECRET, Scene, running
from wire import until

from vapimedia import AudioFormat, Bridge, CallInfo, CallOptions
from vapimedia.testing import (
    AssistantScript,
    CallerStep,
    Dtmf,
    EndCall,
    FakeVapiCall,
    FakeVonageCall,
    HangUp,
    Pacing,
    Pause,
    Say,
    Silence,
    Speak,
    StreamBytes,
    compare_frames,
    load_clip,
)
from vapimedia.testing.vonage_wire import compact

FALLBACK = [
    {"action": "talk", "text": "Our assistant is not available. Connecting you to a colleague."},
    {"action": "connect", "from": "14155550199", "endpoint": [{"type": "phone", "number": "14155550123"}]},
]
ASKS: tuple[CallerStep, ...] = (Say("ask_monday"), Silence(200), Dtmf("5"))
BRIEF = AssistantScript(
    (
        Speak("let_me_check", interruptible=False),
        Pause(700),  # heard to its end: what follows has a cushion of its own
        Speak("goodbye", interruptible=False),
        Pause(400),
        EndCall(),
    )
)
CURT = AssistantScript((Pause(300), EndCall()))
CHATTY = AssistantScript(
    (Speak("greeting"), Pause(2500), Speak("goodbye", interruptible=False), Pause(400), EndCall())
)


def with_fallback(asked: list[tuple[str, str]], answer: Any = None) -> Any:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_fallback
        async def fall_back(info: CallInfo, status: str) -> Any:
            asked.append((info.from_, status))
            return FALLBACK if answer is None else answer

    return prepare


async def heard_by_vapi(scene: Scene) -> FakeVapiCall:
    """Wait until the caller's voice has come to Vapi."""
    await until(lambda: any(call.uplink for call in scene.vapi.calls.values()))
    return next(iter(scene.vapi.calls.values()))


class WrongRate(FakeVonageCall):
    """Announces another format than the NCCO asked for."""

    content_type = "audio/l16;rate=8000"

    async def _open(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        assert self.ncco is not None
        connected = {"event": "websocket:connected", "content-type": self.content_type, **self.ncco.headers}
        await ws.send_str(compact(connected))


class WrongCodec(WrongRate):
    content_type = "audio/opus;rate=16000"


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8000, 16000, 24000])
async def test_both_sides_hear_each_other_bit_by_bit_in_whole_frames(rate: int) -> None:
    fmt = AudioFormat("pcm_s16le", rate)
    # The cushion keeps a busy machine from padding inside speech, which would move every later sample.
    async with running(BRIEF, vonage_rate=rate, prebuffer_ms=200) as scene:
        phone = await scene.phone(caller=ASKS).run()
        [call] = scene.vapi.calls.values()
        await call.ended()
        await until(lambda: scene.ended)
        assert call.format == fmt
        assert phone.violations == call.violations == []
        assert phone.wrong_size_messages == 0
        assert set(phone.payload_sizes) == {fmt.frame_bytes()}
        uplink = compare_frames(bytes(phone.sent), bytes(call.uplink), fmt.frame_bytes(), fmt.silence)
        assert uplink.intact and uplink.matched > 100
        # Each utterance comes in one piece, at the start of a frame; the rest of its last frame is silence.
        heard, n_frame = bytes(phone.received), fmt.frame_bytes()
        for one in call.downlink:
            assert one.sent == one.planned and len(one.sent) > 20 * n_frame
            said = bytes(one.sent) + bytes(-len(one.sent) % n_frame)
            at = heard.find(said)
            assert at >= 0 and at % n_frame == 0
            heard = heard[at + len(said) :]
        [end] = scene.ended
        assert end.reason == "vapi_ended"
        assert end.summary.downlink is not None
        assert end.summary.downlink.wrong_size == 0


async def test_a_hang_up_goes_through_the_api_and_raises_no_disconnected() -> None:
    asked: list[tuple[str, str]] = []
    async with running(CURT, with_fallback(asked)) as scene:
        phone = await scene.phone().run()
        [request] = scene.api.requests
        assert (request.method, request.call_uuid, request.status) == ("PUT", phone.call_uuid, 204)
        assert (phone.ended_by, phone.close_code) == ("api", 1000)
        assert "disconnected" not in phone.websocket_statuses
        assert phone.websocket_statuses[-1] == phone.phone_statuses[-1] == "completed"
        assert [end.reason for end in scene.ended] == ["vapi_ended"]
        assert asked == []


async def test_parameters_come_back_as_vonage_flattens_them() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(info: CallInfo) -> CallOptions:
            return CallOptions(assistant_id="asst_1", parameters={"plan": "gold", "caller": info.from_})

    async with running(None, prepare) as scene:
        await scene.phone(caller=(Silence(300), HangUp())).run()
        started = [event for event in scene.events if type(event).__name__ == "CallStarted"]
        assert started[0].parameters == {"plan": "gold", "caller": "15005550006"}


async def test_a_get_answer_webhook_is_answered_too() -> None:
    async with running() as scene:
        phone = await scene.phone(answer_method="GET", caller=(Silence(300), HangUp())).run()
        assert (phone.voice_status, phone.upgrade_status, phone.violations) == (200, 101, [])
        await until(lambda: scene.ended)
        assert [end.reason for end in scene.ended] == ["provider_closed"]


@pytest.mark.parametrize("kind", [WrongRate, WrongCodec])
async def test_a_foreign_format_is_refused_and_the_caller_gets_the_fallback(
    kind: type[FakeVonageCall], caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[str, str]] = []
    caplog.set_level("INFO")
    async with running(CHATTY, with_fallback(asked)) as scene:
        phone = await scene.phone(kind).run()
        await until(lambda: scene.ended)
        assert [end.reason for end in scene.ended] == ["unsupported_format"]
        assert (phone.close_code, phone.ended_by) == (1003, "bridge")
        assert phone.fallback_ncco == FALLBACK
        assert asked == [("15005550006", "disconnected")]
        assert scene.api.requests == []
        [call] = scene.vapi.calls.values()
        await call.ended()
    assert "unsupported_format" in caplog.text
    assert kind.content_type in caplog.text


async def test_a_socket_that_cannot_be_had_ends_the_vapi_call_and_gives_the_fallback() -> None:
    asked: list[tuple[str, str]] = []
    async with running(CHATTY, with_fallback(asked), token_ttl_s=0.001) as scene:
        phone = await scene.phone().run()
        assert phone.upgrade_status == 403
        assert phone.fallback_ncco == FALLBACK
        await until(lambda: scene.ended and not scene.bridge.calls)
        assert len(scene.ended) == 1
        assert scene.ended[0].reason == "media_lost"
        assert [status for _, status in asked] == ["failed"]
        assert scene.api.requests == []


async def test_a_socket_that_drops_ends_the_vapi_leg_at_once_and_gives_the_fallback() -> None:
    asked: list[tuple[str, str]] = []
    async with running(CHATTY, with_fallback(asked)) as scene:
        phone = scene.phone()
        running_call = asyncio.create_task(phone.run())
        await phone.streaming()
        call = await heard_by_vapi(scene)
        phone.reset()
        await call.ended()
        await running_call
        assert [end.reason for end in scene.ended] == ["provider_reset"]
        assert phone.fallback_ncco == FALLBACK
        assert scene.api.requests == []


async def test_the_fallback_of_a_call_that_we_made_knows_whom_we_called() -> None:
    asked: list[tuple[str, str]] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_fallback
        async def fall_back(info: CallInfo, status: str) -> Any:
            asked.append((info.to, status))
            return FALLBACK

    async with running(CHATTY, prepare) as scene:
        call = await scene.bridge.dial("+15557770456")
        await until(lambda: any(made.call.received for made in scene.api.calls))
        phone = scene.api.calls[0].call
        phone.reset()
        assert (await call.ended()).reason == "provider_reset"
        await scene.api.finished()
        assert phone.fallback_ncco == FALLBACK
    assert asked == [("+15557770456", "disconnected")]


async def test_without_a_handler_a_lost_socket_is_answered_with_nothing() -> None:
    async with running(CHATTY) as scene:
        phone = await scene.phone(WrongRate).run()
        assert phone.fallback_ncco is None
        assert {post.status for post in phone.callbacks if post.url.endswith("/event")} == {204}


@pytest.mark.parametrize("answer", ["talk", [], [{"text": "no action"}], {"action": "talk"}])
async def test_a_fallback_that_is_no_ncco_is_told_and_not_sent(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(CHATTY, with_fallback([], answer)) as scene:
        phone = await scene.phone(WrongRate).run()
        assert phone.fallback_ncco is None
    assert "on_fallback" in caplog.text


async def test_vapi_going_away_leaves_the_caller_to_the_fallback_where_that_is_the_policy() -> None:
    asked: list[tuple[str, str]] = []
    async with running(CHATTY, with_fallback(asked), on_vapi_lost="continue") as scene:
        phone = scene.phone()
        running_call = asyncio.create_task(phone.run())
        await phone.streaming()
        call = await heard_by_vapi(scene)
        call.drop()
        await running_call
        assert [end.reason for end in scene.ended] == ["vapi_lost"]
        assert phone.fallback_ncco == FALLBACK
        assert scene.api.requests == []


async def test_an_api_that_refuses_to_hang_up_is_helped_by_closing_the_socket() -> None:
    async with running(CURT, api={"status": 500}) as scene:
        phone = await scene.phone().run()
        assert (phone.ended_by, phone.close_code) == ("bridge", 1000)
        assert scene.bridge.counters["hangup_failed"] == 1


async def test_a_socket_that_vonage_leaves_open_is_closed_after_the_grace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vapimedia.protocols.vonage._HANGUP_GRACE_MS", 100)
    async with running(CURT) as scene:
        phone = scene.phone()
        del scene.api._known[phone.call_uuid]  # 404: it believes that the call is over already
        await phone.run()
        assert (phone.ended_by, phone.close_code) == ("bridge", 1000)
        await until(lambda: not scene.bridge.calls)


async def test_parameters_that_do_not_fit_end_the_call_politely_and_cost_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(info: CallInfo) -> CallOptions:
            return CallOptions(assistant_id="asst_1", parameters={"secret-plan": "x" * 600})

    async with running(CHATTY, prepare) as scene:
        phone = await scene.phone().run()
        assert (phone.voice_status, phone.ended_by) == (200, "ncco")
        assert scene.vapi.requests == []
        assert scene.bridge.calls == []
    assert "512" in caplog.text
    assert "xxx" not in caplog.text


async def test_unsigned_and_replayed_requests_get_in_nowhere() -> None:
    async with running(CHATTY) as scene:
        unsigned = await scene.phone(signed=False).run()
        assert unsigned.voice_status == 401
        assert {post.status for post in unsigned.callbacks} == {401}
        body = b'{"uuid":"aaaaaaaa-bbbb-cccc-dddd-0123456789ab","from":"15005550006","to":"15005550001"}'
        claims = {
            "iss": "Vonage",
            "iat": int(time.time()),
            "jti": "one-time",
            "api_key": API_KEY,
            "application_id": APPLICATION,
            "payload_hash": hashlib.sha256(body).hexdigest(),
        }
        headers = {
            "Authorization": f"Bearer {jwt.encode(claims, SIGNATURE_SECRET, 'HS256')}",
            "Content-Type": "application/json",
        }
        statuses = []
        async with aiohttp.ClientSession() as http:
            for _ in range(2):
                url = f"{scene.url}/vonage/answer"
                async with http.post(url, data=body, headers=headers) as answer:
                    statuses.append(answer.status)
        assert statuses == [200, 403]
        assert len(scene.vapi.requests) == 1


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "rate", [16000, *(pytest.param(rate, marks=pytest.mark.long) for rate in (8000, 24000))]
)
async def test_a_burst_of_a_minute_never_overfills_vonage_and_leaves_no_gap(rate: int) -> None:
    fmt = AudioFormat("pcm_s16le", rate)
    clip = load_clip("monday_hours", fmt)
    minute = (clip * (60 * rate * 2 // len(clip) + 1))[: 60 * rate * 2]
    burst = StreamBytes(minute, pacing=Pacing.burst(), delay_ms=300)
    async with running(burst, vonage_rate=rate) as scene:
        phone = await scene.phone(caller=(Silence(62_000), HangUp()), max_s=70).run()
        assert 900 <= phone.ear.max_queued_messages <= 1000
        assert phone.ear.overflow_messages == phone.wrong_size_messages == 0
        assert phone.ear.gaps_ms == []
        assert bytes(phone.received)[: len(minute)] == minute
        assert minute in phone.heard
