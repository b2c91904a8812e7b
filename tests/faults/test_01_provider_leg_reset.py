"""A TCP reset of the provider's leg ends Vapi's with ``end-call`` within 200 ms, whatever was under way, and leaves
no task and no descriptor after 1 s; one end is told, ``provider_reset``."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from canaries import CANARIES
from fault_scene import elapsed_ms, faulty
from faulty_call import live_call, soon
from scene import Leg, Scene, Vapi, media, start, stream_url
from wire import Wire, connected, frame, nothing_left, on_both_loops, on_uvloop_first, until

BOUND_MS = 200

MakeCall = Callable[[Scene, int], AbstractAsyncContextManager[tuple[Wire, Leg]]]
Fault = Callable[[Scene, Wire, Leg], None]


def nothing(scene: Scene, phone: Wire, leg: Leg) -> None:
    """The reset is all that comes."""


def half_a_frame(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.send(frame(1, json.dumps(media(b"\x10" * 160)).encode())[:40])


def half_a_message(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.frame(1, b'{"event":"media"', fin=False)


def much_media(scene: Scene, phone: Wire, leg: Leg) -> None:
    for _ in range(200):
        phone.text(media(b"\x10" * 160))


def a_phone_that_does_not_read(scene: Scene, phone: Wire, leg: Leg) -> None:
    phone.writer.transport.pause_reading()  # type: ignore[attr-defined]
    live = scene.bridge.calls[0]
    for _ in range(100):
        live.socket_message(live.vapi, b"\x20" * 8000, False)


BEFORE: dict[str, Fault] = {
    "nothing": nothing,
    "half a frame": half_a_frame,
    "half a message": half_a_message,
    "much media": much_media,
    "a phone that does not read": a_phone_that_does_not_read,
}


@asynccontextmanager
async def vonage_call(scene: Scene, number: int = 1) -> AsyncIterator[tuple[Wire, Leg]]:
    n_legs = len(scene.vapi.legs)
    async with connected(scene.bridge.port) as phone:
        assert (await phone.upgrade("/vonage/media")).status == 101
        secret = {"word": CANARIES["a custom parameter"]}
        phone.text({"event": "websocket:connected", "content-type": "audio/l16;rate=16000"} | secret)
        leg = await scene.vapi.leg(n_legs + 1)
        await until(lambda: leg.audio)
        yield phone, leg


@on_uvloop_first
@pytest.mark.parametrize("before", list(BEFORE))
async def test_vapis_leg_is_told_and_closed_in_time_and_nothing_is_left(before: str) -> None:
    await _reset(live_call, BEFORE[before])


@on_both_loops
async def test_a_reset_of_vonages_leg_is_no_different() -> None:
    await _reset(vonage_call, nothing, auth=False, providers=("twilio", "vonage"))


@on_both_loops
async def test_what_is_owed_to_a_phone_that_was_reset_fills_no_log_and_is_counted(shown: io.StringIO) -> None:
    async with faulty() as scene, live_call(scene) as (phone, leg):
        live = scene.bridge.calls[0]
        await leg.socket.send_bytes(b"\x20" * 800)
        await phone.read_event("media")
        phone.reset()
        await asyncio.sleep(0)
        for _ in range(200):  # no turn of the loop passes in which the end could be told
            live.provider.send_text(b'{"event":"clear"}')
        assert live.provider.unsent >= 198  # the first finds it out
        await until(lambda: leg.is_over)
    assert "write()" not in shown.getvalue()


async def _reset(call: MakeCall, before: Fault, **settings: Any) -> None:
    numbers = itertools.count(1)
    async with faulty(**settings) as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid

        async def attempt() -> float:
            scene.events.clear()
            async with nothing_left(), call(scene, next(numbers)) as (phone, leg):
                before(scene, phone, leg)
                since_s = asyncio.get_running_loop().time()
                phone.reset()
                await until(lambda: leg.is_over)
                took_ms = elapsed_ms(since_s)
            assert leg.texts == [{"type": "end-call"}] and leg.close_code == 1000
            assert [event.reason for event in scene.ended] == ["provider_reset"]
            assert scene.events[-1] is scene.ended[0]
            assert not scene.bridge.calls and scene.bridge.pump.n_driven == 0
            return took_ms

        await soon(BOUND_MS, attempt)
        assert scene.vapi.controls == []


@on_both_loops
async def test_a_reset_before_vapi_has_answered_ends_the_call_that_it_makes() -> None:
    release = asyncio.Event()

    async def create(_request: web.Request, _body: object) -> web.Response:
        await release.wait()
        return web.json_response(vapi.answer(), status=201)

    vapi = Vapi(create=create)
    async with faulty(vapi) as scene:
        await scene.get("/healthz")
        async with nothing_left():
            async with scene.socket(stream_url(await scene.voice())) as phone:
                phone.text(start())
                await until(lambda: vapi.requests)
                phone.reset()
                await until(lambda: scene.ended)
            release.set()
            await until(lambda: vapi.controls == [("vapi-call-1", {"type": "end-call"})])
        assert [event.reason for event in scene.ended] == ["provider_reset"]
        assert vapi.legs == []
