"""FakeTwilioCall against a tiny hand-written bridge."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web
from loopback import on_loopback
from twilio.request_validator import RequestValidator

from vapimedia.formats import AudioFormat
from vapimedia.testing import sound
from vapimedia.testing.caller import Dtmf, HangUp, Interrupt, Say, Silence, WaitForAssistant
from vapimedia.testing.clips import load_clip
from vapimedia.testing.fake_twilio import FakeTwilioCall
from vapimedia.testing.fake_twilio_api import FakeTwilioApi
from vapimedia.testing.verify import compare_frames

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://voice.example.com"
MULAW = AudioFormat("mulaw", 8000)
SPEED = 8.0


class Bridge:
    """Answers the webhook, records the stream, and sends what ``on_message`` returns."""

    def __init__(self, on_message: Callable[[dict], list[object]] = lambda _: []) -> None:
        self.on_message = on_message
        self.stream_url = "wss://voice.example.com/media/t0"
        self.messages: list[dict] = []
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.upgrade_signature = ""
        self.refuse = False
        self.base = ""

    async def voice(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        assert RequestValidator(TOKEN).validate(
            f"{PUBLIC}{request.path}", form, request.headers["X-Twilio-Signature"]
        )
        self.forms.append((request.path, form))
        twiml = (
            f'<Response><Connect><Stream url="{self.stream_url}" statusCallback="{PUBLIC}/stream">'
            '<Parameter name="who" value="me"/></Stream></Connect></Response>'
        )
        return web.Response(text=twiml, content_type="text/xml")

    async def media(self, request: web.Request) -> web.StreamResponse:
        if self.refuse:
            raise web.HTTPForbidden
        self.upgrade_signature = request.headers["x-twilio-signature"]
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for raw in ws:
            message = json.loads(raw.data)
            self.messages.append(message)
            for answer in self.on_message(message):
                if answer == "close":
                    await ws.close()
                elif isinstance(answer, bytes):
                    await ws.send_bytes(answer)
                else:
                    await ws.send_str(json.dumps(answer))
        return ws

    def events(self, kind: str) -> list[dict]:
        return [message for message in self.messages if message["event"] == kind]


@asynccontextmanager
async def serving(bridge: Bridge) -> AsyncIterator[Bridge]:
    async with on_loopback(
        web.post("/voice", bridge.voice),
        web.post("/stream", bridge.voice),
        web.post("/status", bridge.voice),
        web.get("/media/t0", bridge.media),
    ) as bridge.base:
        yield bridge


def phone(bridge: Bridge, *caller: object, **settings: object) -> FakeTwilioCall:
    defaults = {"public_url": PUBLIC, "speed": SPEED, "max_s": 10.0}
    return FakeTwilioCall(
        f"{bridge.base}/voice",
        auth_token=TOKEN,
        caller=caller,
        **(defaults | settings),  # type: ignore[arg-type]
    )


def media(sid: str, payload: bytes) -> dict:
    return {"event": "media", "streamSid": sid, "media": {"payload": base64.b64encode(payload).decode()}}


async def test_a_call_goes_from_webhook_to_stop_with_valid_signatures() -> None:
    async with serving(Bridge()) as bridge:
        call = await phone(
            bridge, Say("ask_sunday"), Dtmf("1#"), HangUp(), status_url=f"{bridge.base}/status"
        ).run()
    assert (call.voice_status, call.upgrade_status, call.ended_by) == (200, 101, "caller")
    assert call.violations == []
    assert RequestValidator(TOKEN).validate(bridge.stream_url, {}, bridge.upgrade_signature)
    kinds = [message["event"] for message in bridge.messages]
    assert (kinds[:2], kinds[-1]) == (["connected", "start"], "stop")
    numbered = [int(message["sequenceNumber"]) for message in bridge.messages[1:]]
    assert numbered == list(range(1, len(numbered) + 1))
    start = bridge.events("start")[0]["start"]
    assert (start["callSid"], start["customParameters"]) == (call.call_sid, {"who": "me"})
    assert [message["dtmf"]["digit"] for message in bridge.events("dtmf")] == ["1", "#"]
    heard = b"".join(base64.b64decode(message["media"]["payload"]) for message in bridge.events("media"))
    assert heard == bytes(call.sent)
    assert heard.startswith(load_clip("ask_sunday", MULAW))
    posted = [(path, form.get("StreamEvent", form.get("CallStatus"))) for path, form in bridge.forms]
    assert posted == [
        ("/voice", "ringing"),
        ("/stream", "stream-started"),
        ("/stream", "stream-stopped"),
        ("/status", "completed"),
    ]


async def test_the_ear_hears_what_was_sent_and_returns_the_mark() -> None:
    clip = load_clip("let_me_check", MULAW)

    def speak(message: dict) -> list[object]:
        if message["event"] == "mark":
            return ["close"]
        if message["event"] != "start":
            return []
        sid = message["streamSid"]
        parts = [media(sid, clip[at : at + 333]) for at in range(0, len(clip), 333)]
        return [*parts, {"event": "mark", "streamSid": sid, "mark": {"name": "end"}}]

    async with serving(Bridge(speak)) as bridge:
        call = await phone(bridge).run()
    assert (call.ended_by, call.close_code, call.stop_sent) == ("bridge", 1000, False)
    assert bytes(call.received) == clip
    report = compare_frames(clip, call.heard, 160, b"\xff")
    assert (report.intact, report.lost_silence, call.ear.underruns) == (True, 0, 0)
    assert [mark.by_clear for mark in call.marks] == [False]


async def test_an_interruption_is_timed_from_speech_and_from_clear() -> None:
    speech = sound.tone(MULAW, 4000)
    heard_caller = 0

    def interrupted(message: dict) -> list[object]:
        nonlocal heard_caller
        if message["event"] == "start":
            return [media(message["streamSid"], speech)]
        if message["event"] == "media" and sound.is_speech(
            base64.b64decode(message["media"]["payload"]), MULAW
        ):
            heard_caller += 1
            if heard_caller == 5:
                return [{"event": "clear", "streamSid": message["streamSid"]}]
        return []

    async with serving(Bridge(interrupted)) as bridge:
        call = await phone(bridge, Interrupt("ask_sunday", after_ms=400), Silence(400), HangUp()).run()
    assert call.violations == []
    assert call.step_timeouts == 0
    (barge_in,) = call.barge_ins
    assert barge_in.clear_to_silence_ms is not None
    assert barge_in.speech_to_silence_ms is not None
    assert 0 <= barge_in.clear_to_silence_ms <= barge_in.speech_to_silence_ms
    assert call.clears[0].dropped_ms > 1000


async def test_undocumented_messages_are_recorded_and_not_played() -> None:
    def rude(message: dict) -> list[object]:
        if message["event"] != "start":
            return []
        sid = message["streamSid"]
        return [b"binary", {**media(sid, b"\x01"), "sequenceNumber": "1"}, media("MZ0", b"\x01"), "close"]

    async with serving(Bridge(rude)) as bridge:
        call = await phone(bridge).run()
    assert [text.split()[0] for text in call.violations] == ["31950", "31951", "31951"]
    assert bytes(call.received) == b""


async def test_a_refused_upgrade_ends_the_call_with_its_status() -> None:
    bridge = Bridge()
    bridge.refuse = True
    async with serving(bridge):
        call = await phone(bridge).run()
    assert (call.upgrade_status, call.ended_by) == (403, "upgrade")


async def test_a_reset_leaves_neither_stop_nor_close_frame() -> None:
    async with serving(Bridge()) as bridge:
        call = phone(bridge)
        running = asyncio.create_task(call.run())
        await call.streaming()
        call.reset()
        await running
    assert (call.ended_by, call.stop_sent) == ("reset", False)
    assert bridge.events("stop") == []


async def test_waiting_for_an_assistant_that_never_speaks_times_out() -> None:
    async with serving(Bridge()) as bridge:
        call = await phone(bridge, WaitForAssistant(timeout_s=0.4), HangUp()).run()
    assert call.step_timeouts == 1


@pytest.mark.parametrize(
    ("token", "known", "status"), [(TOKEN, True, 200), ("x", True, 401), (TOKEN, False, 404)]
)
async def test_the_rest_api_hangs_up_live_calls_for_the_right_account(
    token: str, known: bool, status: int
) -> None:
    async with serving(Bridge()) as bridge, FakeTwilioApi(auth_token=TOKEN) as api:
        call = phone(bridge)
        if known:
            api.register(call)
        running = asyncio.create_task(call.run())
        await call.streaming()
        url = f"{api.url}/2010-04-01/Accounts/{call.account_sid}/Calls/{call.call_sid}.json"
        async with aiohttp.ClientSession() as http:
            credentials = base64.b64encode(f"{call.account_sid}:{token}".encode()).decode()
            headers = {"Authorization": f"Basic {credentials}"}
            async with http.post(url, data={"Status": "completed"}, headers=headers) as answer:
                assert answer.status == status
        if status != 200:
            call.hang_up()
        await running
    assert call.ended_by == ("api" if status == 200 else "caller")
    assert call.stop_sent
    assert [post.status for post in api.posts] == [status]
