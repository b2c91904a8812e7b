"""No secret, phone number or word of a caller shows up where an operator looks."""

from __future__ import annotations

import asyncio
import gc
import io
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from scene import ACCOUNT, STOP, Leg, Scene, Vapi, call_sid, media, running, stream_url
from wire import Wire, connected, until

from vapimedia import Bridge, Call, CallInfo, CallOptions

CANARIES = {
    "the API key": "canary-key-1b2c",
    "the webhook secret": "canary-webhook-3d4e",
    "Twilio's token": "canarytwilio5f60718293a4b5c6d7e8",
    "the caller's number": "+15557770123",
    "the called number": "+15557770456",
    "the digits of a number": "5557770123",
    "a transcript": "canary words of the caller",
    "a custom parameter": "canary-parameter",
    "metadata": "canary-metadata",
    "a tool's argument": "canary-argument",
    "a tool's result": "canary-result",
    "a tool's exception": "canary-exception",
    "the token in Vapi's URL": "canary-url-token",
    "Vapi's control token": "canary-control-token",
}


def canary(name: str) -> str:
    return CANARIES[name]


def prepare(bridge: Bridge) -> None:
    @bridge.on_call
    async def choose(info: CallInfo) -> CallOptions:
        return CallOptions(metadata={"m": canary("metadata")}, parameters={"p": canary("a custom parameter")})

    @bridge.tool("look_up")
    async def look_up(call: Call | None, args: dict[str, Any]) -> str:
        return canary("a tool's result")

    @bridge.tool("breaks")
    def breaks(call: Call | None, args: dict[str, Any]) -> str:
        raise RuntimeError(canary("a tool's exception"))


def vapi_with_canaries() -> Vapi:
    """A Vapi whose URLs are secrets."""

    async def create(_request: web.Request, _body: object) -> web.Response:
        answer = vapi.answer()
        answer["transport"]["websocketCallUrl"] += "?token=" + canary("the token in Vapi's URL")
        answer["monitor"]["controlUrl"] += "?token=" + canary("Vapi's control token")
        return web.json_response(answer, status=201)

    vapi = Vapi(create=create)
    return vapi


async def live_one_call(scene: Scene, token: str) -> None:
    """Do everything that a call can do, good and bad."""
    scene.auth_token = token
    numbers = {"From": canary("the caller's number"), "To": canary("the called number")}
    url = stream_url(await scene.voice(**numbers))
    async with scene.socket(url) as phone:
        phone.text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        phone.text(
            {
                "event": "start",
                "sequenceNumber": "1",
                "streamSid": "MZ" + "2" * 32,
                "start": {
                    "accountSid": ACCOUNT,
                    "streamSid": "MZ" + "2" * 32,
                    "callSid": call_sid(),
                    "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
                    "customParameters": {"p": canary("a custom parameter")},
                },
            }
        )
        leg = await scene.vapi.leg()
        await _talk(scene, phone, leg)
        phone.text(STOP)
        await phone.close_code()
        phone.close(1000)
    async with connected(scene.bridge.port) as again:  # the token's second use
        await again.upgrade(url.removeprefix("wss://bridge.test"))


async def _talk(scene: Scene, phone: Wire, leg: Leg) -> None:
    words = canary("a transcript")
    phone.text(media(b"\x10" * 160))
    await leg.say({"type": "transcript", "role": "user", "transcriptType": "final", "transcript": words})
    await leg.say({"type": "conversation-update", "messages": [{"role": "user", "content": words}]})
    await leg.say({"type": words, "x": words})
    await leg.socket.send_str('{"type":"transcript","transcript":"' + words)
    phone.text('{"event":"' + words)
    phone.text({"event": words})
    argument = canary("a tool's argument")
    for name in ("look_up", "breaks", "nowhere"):
        listed = [{"id": "a", "function": {"name": name, "arguments": {"x": argument}}}]
        message = {"type": "tool-calls", "toolCallList": listed, "call": {"id": "vapi-call-1"}}
        secret = canary("the webhook secret")
        assert (await scene.vapi_webhook(message, secret=secret)).status == 200
    await scene.vapi_webhook({"type": "transcript", "transcript": words}, secret="wrong")
    await scene.post("/twilio/voice", ("From=" + canary("the caller's number")).encode())
    await until(lambda: len(scene.events) >= 4)


async def test_a_whole_call_shows_no_canary_in_logs_figures_or_reprs(log: io.StringIO) -> None:
    asyncio.get_running_loop().set_debug(True)
    async with running(
        vapi_with_canaries(),
        prepare,
        vapi_api_key=canary("the API key"),
        vapi_webhook_secret=canary("the webhook secret"),
        twilio_auth_token=canary("Twilio's token"),
    ) as scene:
        calls: list[str] = []
        scene.bridge.on_event(
            lambda call, event: (scene.events.append(event), calls.append(f"{call!r} {call and call.info!r}"))
        )
        await live_one_call(scene, canary("Twilio's token"))
        shown = [
            repr(scene.bridge.config),
            repr(scene.bridge.client),
            *calls,
            (await scene.get("/calls", admin=True)).body.decode(),
            (await scene.get("/metrics", admin=True)).body.decode(),
            repr(scene.bridge.summaries),
        ]
    gc.collect()
    text = log.getvalue()
    assert "vapimedia" in text  # the trap is set
    _expect_no_canary(text, *shown)


@pytest.mark.parametrize("fault", ["refused", "foreign host", "upgrade"])
async def test_no_failure_at_vapi_shows_a_canary(log: io.StringIO, fault: str) -> None:
    async def create(request: web.Request, body: object) -> web.Response:
        if fault == "refused":
            said = f"{dict(request.headers)} {body} call " + canary("the caller's number")
            return web.json_response({"message": said}, status=400)
        answer = vapi.answer()
        if fault == "foreign host":
            token = canary("the token in Vapi's URL")
            answer["transport"]["websocketCallUrl"] = f"wss://evil.example/{token}"
        return web.json_response(answer, status=201)

    async def upgrade(_request: web.Request, _body: object) -> web.Response:
        return web.Response(status=302, headers={"Location": "/" + canary("the token in Vapi's URL")})

    vapi = Vapi(create=create, upgrade=upgrade)
    async with running(vapi, vapi_api_key=canary("the API key")) as scene:
        async with connected(scene.bridge.port) as wire:
            url = stream_url(await scene.voice())
            await wire.upgrade(url.removeprefix("wss://bridge.test"))
            async with connected(scene.bridge.port):
                pass
        for call in scene.bridge.calls:
            call._provider_is_there.set()
        await until(lambda: scene.ended)
        assert scene.ended[0].reason == "vapi_failed"
        shown = [repr(scene.ended[0]), str(scene.ended[0].detail)]
    _expect_no_canary(log.getvalue(), *shown)


async def test_errors_of_callbacks_are_logged_with_their_place_and_without_their_words(
    log: io.StringIO,
) -> None:
    def breaks(bridge: Bridge) -> None:
        @bridge.on_event
        def on_event(call: Call | None, event: object) -> None:
            raise ValueError(canary("a transcript"))

    async with running(prepare=breaks) as scene, scene.phone() as phone:
        assert await phone.close_code() == 1011
    assert f"on_event raised ValueError (test_secrets.py, line {_line_of('a transcript')})" in log.getvalue()
    _expect_no_canary(log.getvalue())


def _line_of(name: str) -> int:
    lines = Path(__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if f'raise ValueError(canary("{name}"))' in line)


def _expect_no_canary(*texts: str) -> None:
    for text in texts:
        for name, value in CANARIES.items():
            assert value not in text, f"{name} shows: {_around(text, value)}"


def _around(text: str, value: str) -> str:
    at = text.index(value)
    return text[max(0, at - 200) : at + 60]
