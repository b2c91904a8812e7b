"""FakeVapi against a plain aiohttp client."""

from __future__ import annotations

import asyncio
import json
import random
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web

from vapimedia.formats import AudioFormat
from vapimedia.testing import (
    AssistantScript,
    CallTool,
    Echo,
    FakeVapi,
    FakeVapiCall,
    Pacing,
    Pause,
    SendText,
    Speak,
    StreamBytes,
    VapiFaults,
    WaitForDtmf,
    load_clip,
    sound,
)
from vapimedia.testing.faults import GARBAGE

KEY = "vapi-test-key"
PCM = AudioFormat("pcm_s16le", 16000)
MULAW = AudioFormat("mulaw", 8000)
BODY = {
    "assistantId": "asst_1",
    "transport": {
        "provider": "vapi.websocket",
        "audioFormat": {"format": "pcm_s16le", "container": "raw", "sampleRate": 16000},
    },
}
HEADERS = {"Authorization": f"Bearer {KEY}", "User-Agent": "vapimedia-test"}


async def create(http: aiohttp.ClientSession, vapi: FakeVapi, body: object = BODY) -> dict:
    async with http.post(f"{vapi.url}/call", json=body, headers=HEADERS) as answer:
        assert answer.status == 201
        return await answer.json()


def only(vapi: FakeVapi) -> FakeVapiCall:
    return next(iter(vapi.calls.values()))


async def drain(ws: aiohttp.ClientWebSocketResponse) -> tuple[bytes, list[object]]:
    audio, texts = bytearray(), []
    async for message in ws:
        if message.type is aiohttp.WSMsgType.BINARY:
            audio += message.data
        else:
            texts.append(message.data)
    return bytes(audio), texts


async def test_a_created_call_has_the_documented_shape() -> None:
    async with FakeVapi() as vapi, aiohttp.ClientSession() as http:
        call = await create(http, vapi)
    assert call["type"] == "vapi.websocketCall"
    assert call["status"] == "queued"
    assert call["transport"]["websocketCallUrl"] == f"ws://127.0.0.1:{vapi.port}/{call['id']}/transport"
    assert call["transport"]["audioFormat"] == BODY["transport"]["audioFormat"]
    assert set(call["monitor"]) == {"listenUrl", "controlUrl"}


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({}, {"Authorization": "Bearer wrong"}, 401),
        ({}, {"User-Agent": "Python-urllib/3.11"}, 403),
        ({"assistantId": None}, {}, 400),
        ({"squadId": "s"}, {}, 400),
        ({"phoneNumberId": "p"}, {}, 400),
        ({"transport": {"provider": "daily"}}, {}, 400),
        ({"transport": {"provider": "vapi.websocket", "audioFormat": {"format": "opus"}}}, {}, 400),
        ({"transport": {"provider": "vapi.websocket", "audioFormat": {"format": "mulaw"}}}, {}, 400),
    ],
)
async def test_what_the_api_forbids_is_refused(change: dict, headers: dict, status: int) -> None:
    async with FakeVapi() as vapi, aiohttp.ClientSession() as http:
        async with http.post(
            f"{vapi.url}/call", json={**BODY, **change}, headers={**HEADERS, **headers}
        ) as answer:
            assert answer.status == status
            text = await answer.text()
        assert [request.status for request in vapi.requests] == [status]
        assert not vapi.calls
    if status == 403:
        assert text == "error code: 1010"
    else:
        assert json.loads(text)["statusCode"] == status


async def test_planned_statuses_come_first_and_then_calls_succeed() -> None:
    faults = VapiFaults(create_statuses=(429, 503), retry_after_s=1)
    async with FakeVapi(faults=faults) as vapi, aiohttp.ClientSession() as http:
        for status in (429, 503, 201):
            async with http.post(f"{vapi.url}/call", json=BODY, headers=HEADERS) as answer:
                assert answer.status == status
                assert answer.headers.get("Retry-After") == (None if status == 201 else "1")


@pytest.mark.parametrize("bearer", [True, False])
async def test_the_call_socket_can_demand_the_bearer(bearer: bool) -> None:
    async with FakeVapi(require_ws_bearer=True) as vapi, aiohttp.ClientSession() as http:
        call = await create(http, vapi)
        headers = HEADERS if bearer else {}
        if bearer:
            async with http.ws_connect(call["transport"]["websocketCallUrl"], headers=headers) as ws:
                assert (await ws.receive_json())["status"] == "in-progress"
        else:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await http.ws_connect(call["transport"]["websocketCallUrl"], headers=headers)
            assert refused.value.status == 401


async def test_echo_returns_every_byte_and_the_uplink_is_recorded() -> None:
    async with FakeVapi(assistant=Echo()) as vapi, aiohttp.ClientSession() as http:
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            await ws.receive_json()
            for chunk in (b"ab", b"cdef"):
                await ws.send_bytes(chunk)
                assert await ws.receive_bytes() == chunk
            await ws.send_json({"type": "end-call"})
            _, texts = await drain(ws)
        call = await only(vapi).ended()
    assert bytes(call.uplink) == b"abcdef"
    assert [n_bytes for _, n_bytes in call.uplink_messages] == [2, 4]
    assert json.loads(texts[-1]) == {
        "type": "status-update",
        "status": "ended",
        "endedReason": "manually-canceled",
    }
    assert (call.close_code, call.controls) == (1000, [{"type": "end-call"}])


@pytest.mark.parametrize("pacing", [Pacing.irregular(), Pacing.frames(), Pacing.burst()])
async def test_streamed_audio_arrives_whole_however_it_is_cut(pacing: Pacing) -> None:
    data = sound.tone(PCM, 1000)
    stream = StreamBytes(lambda fmt: data, pacing, end=True)
    async with FakeVapi(assistant=stream, speed=10.0) as vapi, aiohttp.ClientSession() as http:
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            audio, _ = await drain(ws)
        (said,) = only(vapi).downlink
    assert audio == bytes(said.sent) == data
    if pacing.kind == "frames":
        assert set(said.sizes) == {640}
    else:
        assert any(size % 2 for size in said.sizes)


def test_irregular_pacing_keeps_real_time_on_the_whole() -> None:
    data = bytes(8000 * 20)
    plan = list(Pacing.irregular().plan(data, MULAW, random.Random(1)))
    assert b"".join(chunk for _, chunk in plan) == data
    dues = [due for due, _ in plan]
    assert dues == sorted(dues)
    sizes = [len(chunk) for _, chunk in plan[:-1]]
    assert min(sizes) >= 170
    assert max(sizes) <= 743
    gaps = [late - early for early, late in pairwise(dues)]
    assert max(gaps) <= 103.01
    assert 40 <= sorted(gaps)[len(gaps) // 2] <= 55
    assert 19_800 <= dues[-1] <= 20_060


async def test_say_is_spoken_and_its_transcript_sent() -> None:
    async with FakeVapi(assistant=AssistantScript(()), speed=20.0) as vapi, aiohttp.ClientSession() as http:
        created = await create(http, vapi)
        async with http.ws_connect(created["transport"]["websocketCallUrl"]) as ws:
            say = {"type": "say", "content": "Let me check.", "endCallAfterSpoken": True}
            async with http.post(created["monitor"]["controlUrl"], json=say) as answer:
                assert answer.status == 200
            audio, _ = await drain(ws)
        call = await only(vapi).ended()
    assert audio == load_clip("let_me_check", PCM)
    assert call.ended_reason == "assistant-ended-call-after-message-spoken"
    assert call.events("transcript")[-1]["transcript"] == "Let me check."


async def test_the_control_url_refuses_unknown_types_and_ended_calls() -> None:
    async with FakeVapi() as vapi, aiohttp.ClientSession() as http:
        created = await create(http, vapi)
        url = created["monitor"]["controlUrl"]
        async with http.ws_connect(created["transport"]["websocketCallUrl"]) as ws:
            async with http.post(url, json={"type": "dance"}) as answer:
                assert answer.status == 400
            async with http.post(url, json={"type": "end-call"}) as answer:
                assert answer.status == 200
            await drain(ws)
        call = await only(vapi).ended()
        async with http.post(url, json={"type": "end-call"}) as answer:
            assert answer.status == 410
    assert len(call.violations) == 1


async def test_what_nobody_saw_work_on_the_socket_is_a_warning_and_a_transfer_leaves_the_call_up() -> None:
    async with FakeVapi() as vapi, aiohttp.ClientSession() as http:
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            await ws.receive_json()
            await ws.send_json({"type": "say", "message": "Hi."})
            await ws.send_json({"type": "control", "control": "mute-customer"})
            desk = {"type": "sip", "sipUri": "sip:desk@example.test"}
            await ws.send_json({"type": "transfer", "destination": desk})
            assert await ws.receive_json() == {"type": "transfer-update", "destination": desk}
            call = only(vapi)
            assert call.muted_customer and call.status == "in-progress"
        await call.ended()
    assert call.violations == []
    assert [one["type"] for one in call.controls] == ["say", "control", "transfer"]
    assert [one.split(":")[0] for one in call.warnings] == ["control", "transfer"]


async def test_garbage_is_sent_and_odd_uplink_is_a_violation() -> None:
    async with FakeVapi(faults=VapiFaults(garbage=True)) as vapi, aiohttp.ClientSession() as http:
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            await ws.receive_json()
            got = [await ws.receive_str() for _ in GARBAGE]
            await ws.send_bytes(b"odd")
            await ws.send_str("{")
        call = await only(vapi).ended()
    assert got == list(GARBAGE)
    assert len(call.violations) == 2
    assert (call.ended_reason, call.closed_by) == ("customer-ended-call", "peer")


async def test_a_dropped_socket_has_no_close_frame() -> None:
    async with FakeVapi(faults=VapiFaults(drop_after_s=0.01)) as vapi, aiohttp.ClientSession() as http:
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            await drain(ws)
            assert ws.close_code == 1006
        assert (await only(vapi).ended()).closed_by == "dropped"


async def test_a_call_whose_socket_never_comes_is_given_up() -> None:
    async with FakeVapi(connect_window_s=0.01) as vapi, aiohttp.ClientSession() as http:
        await create(http, vapi)
        call = await only(vapi).ended()
    assert str(call.ended_reason).endswith("transport-never-connected")


@pytest.mark.parametrize("route", ["transport", "listen"])
async def test_a_socket_that_is_gone_before_its_upgrade_leaves_no_traceback(
    route: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def leave(self: web.WebSocketResponse, request: web.Request) -> None:
        asked.set()
        raise ConnectionResetError("Connection lost")  # as aiohttp does when the peer has gone

    async with FakeVapi() as vapi, aiohttp.ClientSession() as http:
        call = await create(http, vapi)
        monkeypatch.setattr(web.WebSocketResponse, "prepare", leave)
        async with http.get(f"{vapi.url}/{call['id']}/{route}") as answer:
            assert answer.status == 400
        if route == "transport":
            assert (await only(vapi).ended(1)).closed_by == "peer"
    assert asked.is_set() and caplog.records == []


async def test_a_call_has_one_socket() -> None:
    async with FakeVapi() as vapi, aiohttp.ClientSession() as http:
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            await ws.receive_json()
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await http.ws_connect(url)


async def test_a_digit_told_by_add_message_ends_the_wait_and_steps_without_answers_time_out() -> None:
    steps = (WaitForDtmf("1", timeout_s=30), SendText("{x"), WaitForDtmf("9", timeout_s=0.2), Pause(1))
    async with FakeVapi(assistant=AssistantScript(steps), speed=10) as vapi, aiohttp.ClientSession() as http:
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            assert (await ws.receive_json())["type"] == "status-update"
            assert (await ws.receive_json())["type"] == "assistant.started"
            for digit in ("12", "1"):
                message = {"role": "system", "content": f"The caller pressed {digit}."}
                await ws.send_json({"type": "add-message", "message": message})
            assert await ws.receive_str() == "{x"
            await asyncio.sleep(0.1)
        call = await only(vapi).ended()
    assert call.step_timeouts == 1


async def test_a_tool_call_without_a_server_is_a_problem_and_told() -> None:
    script = AssistantScript((CallTool("store_hours"), Speak("let_me_check")))
    told: list[object] = []
    async with (
        FakeVapi(assistant=script, on_tool_reply=lambda call, tool: told.append(tool)) as vapi,
        aiohttp.ClientSession() as http,
    ):
        url = (await create(http, vapi))["transport"]["websocketCallUrl"]
        async with http.ws_connect(url) as ws:
            while (await ws.receive_json())["type"] != "tool-calls":
                pass
        call = await only(vapi).ended()
    assert call.tool_calls[0].problems == ["no server URL to ask"]
    assert told == call.tool_calls


async def test_a_listener_hears_the_mix_at_16_khz() -> None:
    body = {**BODY, "transport": {"provider": "vapi.websocket"}}
    async with FakeVapi() as vapi, aiohttp.ClientSession() as http:
        created = await create(http, vapi, body)
        async with (
            http.ws_connect(created["monitor"]["listenUrl"]) as listen,
            http.ws_connect(created["transport"]["websocketCallUrl"]) as ws,
        ):
            assert (await listen.receive_json())["sampleRate"] == 16000
            await ws.receive_json()
            await only(vapi).send_audio(b"\x01\x00" * 320)
            for _ in range(7):
                await ws.send_bytes(b"\x02\x00" * 320)
            # The assistant's voice gets a cushion, so that its irregular messages leave no holes.
            mixed = [await listen.receive_bytes() for _ in range(7)]
            assert mixed == [b"\x02\x00" * 320] * 6 + [b"\x03\x00" * 320]
