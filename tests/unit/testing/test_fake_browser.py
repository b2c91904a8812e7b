"""FakeBrowserCall against a tiny hand-written bridge, and against the real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from loopback import on_loopback

from vapimedia import Bridge, BridgeConfig
from vapimedia.formats import AudioFormat
from vapimedia.testing import AssistantScript, EndCall, FakeBrowserCall, FakeVapi, Speak, heard_share, sound
from vapimedia.testing.caller import CallerStep, Dtmf, HangUp, Interrupt, Say, Silence
from vapimedia.testing.clips import load_clip
from vapimedia.testing.verify import compare_frames

KEY = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://voice.example.com"
PCM48 = AudioFormat("pcm_s16le", 48_000)
CLOSE = object()
Down = Callable[[dict[str, Any] | bytes], list[object]]


class PageBridge:
    """Answers a page's request, records the socket, and sends what *on_message* returns."""

    def __init__(self, on_message: Down = lambda _: [], answer: object = None) -> None:
        self.on_message, self.answer = on_message, answer
        self.requests: list[tuple[dict[str, Any], str]] = []
        self.audio: list[bytes] = []
        self.texts: list[dict[str, Any]] = []
        self.base = ""

    async def call(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.requests.append((asked, request.headers["Origin"]))
        if asked["key"] != KEY:
            return web.Response(status=401)
        told = {"url": "wss://voice.example.com/browser/media/t0", "rate": asked["rate"]}
        return web.json_response(told if self.answer is None else self.answer)

    async def media(self, request: web.Request) -> web.StreamResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await self._send(ws, {"type": "opened"})
        async for raw in ws:
            if raw.type is WSMsgType.BINARY:
                self.audio.append(raw.data)
                await self._send(ws, raw.data)
            else:
                self.texts.append(json.loads(raw.data))
        return ws

    async def _send(self, ws: web.WebSocketResponse, message: dict[str, Any] | bytes) -> None:
        for answer in self.on_message(message):
            if answer is CLOSE:
                await ws.close()
            elif isinstance(answer, bytes):
                await ws.send_bytes(answer)
            else:
                await ws.send_str(answer if isinstance(answer, str) else json.dumps(answer))


@asynccontextmanager
async def serving(bridge: PageBridge) -> AsyncIterator[PageBridge]:
    async with on_loopback(
        web.post("/browser/call", bridge.call),
        web.get("/browser/media/t0", bridge.media),
    ) as bridge.base:
        yield bridge


def page(bridge: PageBridge, *caller: CallerStep, **settings: Any) -> FakeBrowserCall:
    defaults: dict[str, Any] = {"key": KEY, "public_url": PUBLIC, "speed": 8.0, "max_s": 10.0}
    return FakeBrowserCall(f"{bridge.base}/browser/call", caller=caller, **(defaults | settings))


@pytest.mark.parametrize("rate", [48_000, 44_100])
async def test_a_call_goes_from_request_to_hangup_in_chunks_of_1024_samples(rate: int) -> None:
    async with serving(PageBridge()) as bridge:
        call = await page(bridge, Say("ask_sunday"), Dtmf("1#"), HangUp(), rate=rate).run()
    assert (call.voice_status, call.upgrade_status, call.ended_by) == (200, 101, "caller")
    assert call.violations == []
    assert bridge.requests == [({"rate": rate, "key": KEY}, PUBLIC)]
    assert {len(chunk) for chunk in bridge.audio} == {2048}
    assert b"".join(bridge.audio) == bytes(call.sent)
    clip = load_clip("ask_sunday", AudioFormat("pcm_s16le", rate))
    assert bytes(call.sent).startswith(clip)
    assert [text["type"] for text in bridge.texts] == ["dtmf", "dtmf", "hangup"]
    assert [text["digit"] for text in bridge.texts[:2]] == ["1", "#"]
    assert call.hangup_sent


async def test_the_ear_hears_messages_of_any_size() -> None:
    clip = load_clip("let_me_check", PCM48)

    def speak(message: dict[str, Any] | bytes) -> list[object]:
        if isinstance(message, dict):
            return [clip[at : at + 3334] for at in range(0, len(clip), 3334)]
        return [CLOSE] if len(bridge.audio) * 2048 > len(clip) + 4096 else []

    bridge = PageBridge(speak)
    async with serving(bridge):
        call = await page(bridge).run()
    assert (call.ended_by, call.close_code, call.hangup_sent) == ("bridge", 1000, False)
    assert bytes(call.received) == clip
    report = compare_frames(clip, call.heard, PCM48.frame_bytes(), PCM48.silence)
    assert (report.intact, report.lost_silence, call.ear.underruns) == (True, 0, 0)


async def test_the_page_empties_its_queue_when_the_caller_interrupts() -> None:
    speech = sound.tone(PCM48, 4000)
    n_voiced = 0

    def interrupted(message: dict[str, Any] | bytes) -> list[object]:
        nonlocal n_voiced
        if isinstance(message, dict):
            return [speech]
        n_voiced += sound.is_speech(message, PCM48)
        return [{"type": "user-interrupted"}] if n_voiced == 5 else []

    async with serving(PageBridge(interrupted)) as bridge:
        call = await page(bridge, Interrupt("ask_sunday", after_ms=400), Silence(400), HangUp()).run()
    assert call.violations == []
    assert call.clears[0].dropped_ms > 1000
    (barge_in,) = call.barge_ins
    assert barge_in.clear_to_silence_ms is not None and barge_in.speech_to_silence_ms is not None
    assert 0 <= barge_in.clear_to_silence_ms <= barge_in.speech_to_silence_ms


async def test_what_a_page_cannot_read_is_recorded_and_not_played() -> None:
    def rude(message: dict[str, Any] | bytes) -> list[object]:
        good = {"type": "transcript", "role": "user", "transcriptType": "final", "transcript": "hi"}
        bad = ["{", {"type": "media"}, b"\x01", b""]
        return [*bad, good, CLOSE] if isinstance(message, dict) else []

    async with serving(PageBridge(rude)) as bridge:
        call = await page(bridge).run()
    assert [text.split(":")[0] for text in call.violations] == ["text", "text", "audio", "audio"]
    assert bytes(call.received) == b""
    assert [text["type"] for text in call.texts] == ["transcript"]


async def test_a_wrong_key_is_a_refused_request() -> None:
    async with serving(PageBridge()) as bridge:
        call = await page(bridge, key="wrong").run()
    assert (call.voice_status, call.upgrade_status, call.ended_by) == (401, None, "call request")


async def test_an_answer_without_a_url_is_no_call() -> None:
    async with serving(PageBridge(answer={"error": "the call was not taken"})) as bridge:
        call = await page(bridge).run()
    assert (call.voice_status, call.upgrade_status, call.ended_by) == (200, None, "call request")


@pytest.mark.parametrize(
    "answer",
    [[], {"url": "wss://voice.example.com/browser/media/t0", "rate": 16_000}],
)
async def test_an_answer_of_another_shape_is_a_violation(answer: object) -> None:
    async with serving(PageBridge(answer=answer)) as bridge:
        call = await page(bridge, HangUp()).run()
    assert len(call.violations) == 1 and call.violations[0].startswith("answer:")


async def test_a_reset_leaves_no_hangup() -> None:
    async with serving(PageBridge()) as bridge:
        call = page(bridge)
        running = asyncio.create_task(call.run())
        await call.streaming()
        call.reset()
        await running
    assert (call.ended_by, call.hangup_sent, bridge.texts) == ("reset", False, [])


@pytest.mark.parametrize("rate", [48_000, 44_100])
async def test_the_real_bridge_speaks_to_the_page_at_its_rate(rate: int) -> None:
    script = AssistantScript((Speak("let_me_check", interruptible=False), EndCall()))
    async with FakeVapi(assistant=script) as vapi:
        settings = BridgeConfig(
            port=0,
            admin="127.0.0.1:0",
            providers=("browser",),
            vapi_url=vapi.url,
            vapi_api_key=vapi.api_key,
            assistant_id="asst_1",
            browser_secret=KEY,
            public_url=PUBLIC,
        )
        async with Bridge(settings) as bridge:
            call = await FakeBrowserCall(
                f"http://127.0.0.1:{bridge.port}/browser/call",
                key=KEY,
                rate=rate,
                public_url=PUBLIC,
                caller=[Say("ask_sunday")],
                max_s=20.0,
            ).run()
        (asked,) = vapi.calls.values()
    assert (call.ended_by, call.close_code, call.violations) == ("bridge", 1000, [])
    clip = load_clip("let_me_check", call.ear.fmt)
    assert heard_share(clip, call.heard, rate, fmt=call.ear.fmt) == 1.0
    heard = load_clip("ask_sunday", asked.format)[: len(asked.uplink)]
    assert heard_share(heard, bytes(asked.uplink), asked.format.sample_rate, fmt=asked.format) >= 0.9
    assert "transcript" in {text["type"] for text in call.texts}
