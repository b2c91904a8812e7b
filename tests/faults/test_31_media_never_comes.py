"""A voice webhook is answered and its media socket never comes: after 15 s the call is ended at Vapi, and its token
is worth nothing any more."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import msgspec
import pytest
from aiohttp import web
from canaries import CANARIES
from fault_scene import elapsed_ms, faulty
from scene import Scene, Vapi, stream_url
from twilio.request_validator import RequestValidator
from wire import connected, nothing_left, until

from vapimedia import AudioFormat, BridgeConfig
from vapimedia.io import reception as reception_module
from vapimedia.io.call_setup import session_config

LIMIT_MS = 15_000
SHORT_MS = 150
DIGITS = CANARIES["the digits of a number"]
END_CALL = [("vapi-call-1", {"type": "end-call"})]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is a hundredth of what it is."""
    made = session_config(BridgeConfig(), AudioFormat("mulaw", 8000))
    assert made.media_timeout_ms == LIMIT_MS

    def shortened(*given: object, **named: object) -> object:
        made = session_config(*given, **named)  # type: ignore[arg-type]
        return msgspec.structs.replace(made, media_timeout_ms=made.media_timeout_ms * SHORT_MS // LIMIT_MS)

    monkeypatch.setattr(reception_module, "session_config", shortened)


async def announce(scene: Scene) -> str:
    """Have a call come in; return the URL of the media socket that never comes."""
    return stream_url(await scene.voice(From=f"+1{DIGITS}", To=f"+1{DIGITS}"))


async def expect_dead(scene: Scene, url: str) -> None:
    """Expect that the token in *url* opens nothing, and that nobody remembers it."""
    signature = RequestValidator(scene.auth_token).compute_signature(url, {})
    async with connected(scene.bridge.port) as wire:
        assert (await wire.upgrade(urlsplit(url).path, {"X-Twilio-Signature": signature})).status == 403
    tokens = scene.bridge.reception.tokens
    assert not tokens._waiting and not tokens._claims
    assert scene.bridge.calls == [] and scene.bridge.book.is_empty.is_set()


@pytest.mark.usefixtures("short")
async def test_a_call_whose_media_socket_never_comes_ends_at_vapi_and_its_token_dies() -> None:
    async with faulty() as scene, nothing_left():
        begun_s = asyncio.get_running_loop().time()
        url = await announce(scene)
        await until(lambda: scene.ended and scene.vapi.controls == END_CALL)
        assert elapsed_ms(begun_s) >= SHORT_MS - 1
        assert [end.reason for end in scene.ended] == ["media_timeout"]
        assert scene.vapi.legs == []  # its socket was never opened
        await expect_dead(scene, url)


@pytest.mark.usefixtures("short")
async def test_a_call_that_vapi_makes_after_that_is_ended_too() -> None:
    may_answer = asyncio.Event()

    async def create(_request: web.Request, _body: object) -> web.Response:
        await may_answer.wait()
        return web.json_response(vapi.answer(), status=201)

    vapi = Vapi(create=create)
    async with faulty(vapi) as scene:
        url = await announce(scene)
        await until(lambda: scene.ended)
        assert vapi.controls == []
        may_answer.set()
        await until(lambda: vapi.controls == END_CALL)
        assert [end.reason for end in scene.ended] == ["media_timeout"]
        await expect_dead(scene, url)


@pytest.mark.slow
@pytest.mark.long
async def test_that_takes_15_s() -> None:
    async with faulty() as scene, nothing_left():
        begun_s = asyncio.get_running_loop().time()
        url = await announce(scene)
        await until(lambda: scene.ended and scene.vapi.controls == END_CALL, timeout_s=20)
        assert LIMIT_MS - 1 <= elapsed_ms(begun_s) < LIMIT_MS + 1000
        assert [end.reason for end in scene.ended] == ["media_timeout"]
        await expect_dead(scene, url)
