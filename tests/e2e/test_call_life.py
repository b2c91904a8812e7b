"""A call from its webhook to its end, over real sockets: every way to end it ends both legs, once."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
import pytest
from aiohttp import web
from scene import ACCOUNT, AUTH_TOKEN, KEY, STOP, Leg, Scene, Vapi, call_sid, media, running, stream_url
from twilio.request_validator import RequestValidator
from wire import Wire, connected, nothing_left, on_both_loops, until

import vapimedia.io.reception as reception_module
from vapimedia.session import CallStarted

# --- every way to end ----------------------------------------------------------------------------

End = Callable[[Scene, Wire, Leg], Awaitable[None]]


async def provider_stops(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.text(STOP)


async def provider_closes(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.close(1000)


async def provider_goes_away(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.close(1001)


async def provider_resets(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.reset()


async def provider_breaks_the_protocol(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.frame(1, b"{}", rsv=4)


async def vapi_says_ended(scene: Scene, phone: Wire, leg: Leg) -> None:
    await leg.say({"type": "status-update", "status": "ended", "endedReason": "assistant-ended-call"})


async def vapi_closes(scene: Scene, phone: Wire, leg: Leg) -> None:
    await leg.socket.close(code=1000)


async def vapi_resets(scene: Scene, phone: Wire, leg: Leg) -> None:
    leg.drop()


async def the_user_hangs_up(scene: Scene, phone: Wire, leg: Leg) -> None:
    scene.bridge.calls[0].handle.hang_up("the shop closes")


async def a_status_callback_says_completed(scene: Scene, phone: Wire, leg: Leg) -> None:
    fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(), "CallStatus": "completed"}
    assert (await scene.webhook("/twilio/status", fields)).status == 204


ENDS: dict[str, tuple[End, str, bool]] = {  # how, the reason told, whether Vapi still hears of it
    "provider stop": (provider_stops, "provider_stop", True),
    "provider close 1000": (provider_closes, "provider_closed", True),
    "provider close 1001": (provider_goes_away, "provider_closed", True),
    "provider reset": (provider_resets, "provider_reset", True),
    "provider breach": (provider_breaks_the_protocol, "protocol_error", True),
    "vapi ended": (vapi_says_ended, "vapi_ended", False),
    "vapi close": (vapi_closes, "vapi_closed", False),
    "vapi reset": (vapi_resets, "vapi_lost", False),
    "hang-up": (the_user_hangs_up, "hang_up", True),
    "status callback": (a_status_callback_says_completed, "provider_stop", True),
}


@on_both_loops
@pytest.mark.parametrize("way", list(ENDS))
async def test_every_end_closes_both_legs_once_and_leaves_nothing(way: str) -> None:
    end, reason, vapi_is_told = ENDS[way]
    async with running() as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid
        async with nothing_left(), scene.call() as (phone, leg):
            await end(scene, phone, leg)
            async with asyncio.timeout(1):
                code = await phone.close_code()
                if code not in (None, 1006):
                    phone.close(code)
                await phone.rest()
                await until(lambda: leg.is_over and not scene.bridge.calls)
        assert [event.reason for event in scene.ended] == [reason]
        assert scene.events[-1] is scene.ended[0]
        assert leg.texts == ([{"type": "end-call"}] if vapi_is_told else [])
        assert scene.bridge.pump.n_driven == 0
        tokens = scene.bridge.reception.tokens
        assert not tokens._waiting and not tokens._claims
        assert scene.bridge.book.ended_by_reason == {reason: 1}


async def test_a_call_runs_from_the_webhook_to_vapi_and_back() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        assert scene.vapi.requests == [
            {
                "assistantId": "asst_1",
                "transport": {
                    "provider": "vapi.websocket",
                    "audioFormat": {"format": "mulaw", "container": "raw", "sampleRate": 8000},
                },
            }
        ]
        phone.text(media(b"\x10" * 160))
        await until(lambda: b"\x10" * 160 in leg.audio)
        await leg.socket.send_bytes(b"\x20" * 800)
        assert (await phone.read_event("media"))["streamSid"] == "MZ" + "2" * 32
        assert any(isinstance(event, CallStarted) for event in scene.events)


async def test_media_in_the_segment_of_the_upgrade_and_in_fragments_is_not_lost() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        text = msgspec.json.encode(media(b"\x11" * 160))
        phone.frame(1, text[:50], fin=False)
        phone.frame(9, b"ping")
        phone.frame(0, text[50:90], fin=False)
        phone.frame(0, text[90:])
        await until(lambda: b"\x11" * 160 in leg.audio)


async def test_a_hang_up_goes_to_twilio_by_rest_where_the_account_is_known() -> None:
    async with running(twilio_account_sid=ACCOUNT) as scene:
        async with scene.call() as (phone, _leg):
            scene.bridge.calls[0].handle.hang_up()
            assert await phone.close_code() == 1000
        await until(lambda: scene.vapi.hang_ups == [(call_sid(), {"Status": "completed"})])


async def test_a_call_without_a_media_socket_is_hung_up_by_rest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, media_timeout_ms=50)
    async with running(twilio_account_sid=ACCOUNT) as scene:
        await scene.voice()
        await until(lambda: scene.vapi.hang_ups == [(call_sid(), {"Status": "completed"})])


async def test_a_call_that_stopped_by_itself_is_not_hung_up_by_rest() -> None:
    async with running(twilio_account_sid=ACCOUNT) as scene:
        async with scene.call() as (phone, _leg):
            phone.text(STOP)
            assert await phone.close_code() == 1000
        await scene.bridge.close()
        assert scene.vapi.hang_ups == []


# --- legs that never come ------------------------------------------------------------------------


def shorten(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    """Shorten what the session waits for."""
    original = reception_module.session_config
    monkeypatch.setattr(
        reception_module, "session_config", lambda *a: msgspec.structs.replace(original(*a), **changes)
    )


async def test_a_media_socket_that_never_starts_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch, start_timeout_ms=100)
    async with running() as scene:
        async with scene.socket(stream_url(await scene.voice())) as wire:
            assert await wire.close_code() == 1000
        await until(lambda: scene.ended)
        assert scene.ended[0].reason == "start_timeout"


async def test_a_hang_up_before_vapi_has_answered_ends_the_call_that_it_makes() -> None:
    release = asyncio.Event()

    async def create(_request: web.Request, _body: object) -> web.Response:
        await release.wait()
        return web.json_response(vapi.answer(), status=201)

    vapi = Vapi(create=create)
    async with running(vapi) as scene:
        async with scene.phone() as phone:
            await until(lambda: scene.bridge.calls and vapi.requests)
            phone.text(STOP)
            await until(lambda: scene.ended)
        release.set()
        await until(lambda: vapi.controls == [("vapi-call-1", {"type": "end-call"})])
        assert vapi.legs == []


async def the_callers_leg_ends(scene: Scene) -> bool:
    """Whether a caller is let go of: the socket is refused when Vapi was faster, and closed when not."""
    url = stream_url(await scene.voice())
    async with connected(scene.bridge.port) as wire:
        signature = RequestValidator(AUTH_TOKEN).compute_signature(url, {})
        answer = await wire.upgrade(urlsplit(url).path, {"X-Twilio-Signature": signature})
        code = await wire.close_code() if answer.status == 101 else None
    await until(lambda: scene.ended)
    return answer.status == 403 or code in (1000, 1001)


@on_both_loops
async def test_a_hang_up_while_vapis_socket_is_being_opened_leaves_nothing() -> None:
    release = asyncio.Event()

    async def upgrade(_request: web.Request, _body: object) -> web.Response:
        release.set()
        await asyncio.sleep(30)
        return web.Response()

    async with running(Vapi(upgrade=upgrade)) as scene:
        await scene.get("/healthz")
        async with nothing_left():
            async with scene.phone() as phone:
                await release.wait()
                phone.text(STOP)
                assert await phone.close_code() == 1000
            await until(lambda: scene.vapi.controls == [("vapi-call-1", {"type": "end-call"})])


async def _status(status: int) -> web.Response:
    return web.json_response({"message": "no"}, status=status)


async def _hang(_request: web.Request, _body: object) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def _drop(request: web.Request, _body: object) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


CREATE_FAULTS = {
    "401": lambda _request, _body: _status(401),
    "500": lambda _request, _body: _status(500),
    "redirect": lambda _request, _body: _redirect(),
    "hang": _hang,
    "drop": _drop,
}


async def _redirect() -> web.Response:
    return web.Response(status=307, headers={"Location": "/elsewhere"})


@pytest.mark.parametrize("fault", list(CREATE_FAULTS))
async def test_a_call_that_vapi_does_not_take_ends_for_the_caller(
    fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapimedia.io.vapi_requests._FIRST_PAUSE_S", 0.01)
    async with running(Vapi(create=CREATE_FAULTS[fault])) as scene:
        scene.bridge.client._timeout_s = 0.2
        assert await the_callers_leg_ends(scene)
        assert [event.reason for event in scene.ended] == ["vapi_failed"]
        assert KEY not in repr(scene.ended[0])


async def _answer_raw(request: web.Request, raw: bytes) -> web.StreamResponse:
    assert isinstance(request.transport, asyncio.Transport)
    request.transport.write(raw)
    request.transport.close()
    return web.Response()


UPGRADE_FAULTS = {
    "401": lambda _request, _body: _status(401),
    "drop": _drop,
    "redirect": lambda _request, _body: _redirect(),
    "nonsense": lambda request, _body: _answer_raw(request, b"hello\r\n\r\n"),
    "broken header": lambda request, _body: _answer_raw(
        request, b"HTTP/1.1 101 Switching Protocols\r\nno colon here\r\n\r\n"
    ),
}


@on_both_loops
@pytest.mark.parametrize("fault", list(UPGRADE_FAULTS))
async def test_a_call_socket_that_cannot_be_opened_ends_the_call(fault: str) -> None:
    async with running(Vapi(upgrade=UPGRADE_FAULTS[fault])) as scene:
        async with scene.phone() as phone:
            assert await phone.close_code() == 1000
        await until(lambda: scene.ended)
        assert [event.reason for event in scene.ended] == ["vapi_failed"]


@pytest.mark.parametrize(
    "url",
    [
        "wss://evil.example/x/transport",
        "ws://vapi.ai/x/transport",
        "wss://vapi.ai.evil.example/x",
        "wss://user:pw@api.vapi.ai/x",
        "https://api.vapi.ai/\\evil.example",
    ],
)
async def test_a_call_socket_on_a_foreign_host_is_never_opened(url: str) -> None:
    async with running(Vapi(socket_url=url)) as scene:
        assert await the_callers_leg_ends(scene)
        assert scene.ended[0].reason == "vapi_failed"


async def test_a_host_that_no_resolver_takes_ends_the_call() -> None:
    async with running(Vapi(socket_url="wss://a..vapi.ai/x")) as scene:
        assert await the_callers_leg_ends(scene)
        assert scene.ended[0].reason == "vapi_failed"


async def test_the_bearer_goes_to_the_call_socket_unless_it_is_switched_off() -> None:
    for is_on in (True, False):
        async with running(vapi_ws_auth=is_on) as scene, scene.call() as (_phone, leg):
            assert leg.headers.get("Authorization") == (f"Bearer {KEY}" if is_on else None)
            assert leg.headers["User-Agent"].startswith("vapimedia/")


# --- barge-in and keys ---------------------------------------------------------------------------


async def test_an_interruption_reaches_the_phone_as_one_clear() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        await leg.socket.send_bytes(b"\x20" * 8000)
        await phone.read_event("media")
        await leg.say({"type": "user-interrupted"})
        await leg.say({"type": "user-interrupted"})
        assert await phone.read_event("clear") == {"event": "clear", "streamSid": "MZ" + "2" * 32}
        await leg.say({"type": "status-update", "status": "ended"})
        assert [m["event"] for m in await phone.messages() if m["event"] == "clear"] == []


async def test_a_clear_goes_out_in_the_turn_in_which_the_interruption_comes_in() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        await leg.socket.send_bytes(b"\x20" * 8000)
        await phone.read_event("media")
        live = scene.bridge.calls[0]
        ear = socket.socket(fileno=os.dup(phone.writer.get_extra_info("socket").fileno()))
        live.socket_message(live.vapi, b'{"type":"user-interrupted"}', True)
        # No turn of the loop has passed: what is there now was sent in this one.
        assert b'{"event":"clear","streamSid":"MZ' in ear.recv(1 << 16)
        ear.close()


async def test_marks_go_out_behind_audio_and_come_back() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        await leg.socket.send_bytes(b"\x20" * 8000)
        mark = await phone.read_event("mark")
        phone.text(mark | {"sequenceNumber": "5"})
        phone.text({"event": "mark", "streamSid": "MZ" + "2" * 32, "mark": {"name": "nobody's"}})
        await until(lambda: scene.bridge.calls[0].summary().counters == {"foreign_mark": 1})


async def test_a_key_press_reaches_the_assistant_and_the_user() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        key = {"event": "dtmf", "streamSid": "MZ" + "2" * 32, "sequenceNumber": "5"}
        phone.text(key | {"dtmf": {"track": "inbound_track", "digit": "5"}})
        await until(lambda: leg.texts)
        assert leg.texts[0]["type"] == "add-message"
        assert "5" in leg.texts[0]["message"]["content"]
        assert any(getattr(event, "digit", None) == "5" for event in scene.events)
