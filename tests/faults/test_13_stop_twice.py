"""A second stop, media after the stop and a second start change nothing: one end is told, and what the second start
says is refused and counted."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from canaries import CANARIES
from fault_scene import faulty
from media_feeds import heard_by_vapi, noise
from scene import STOP, media, start
from session_fakes import Driver, FakeDialect
from wire import CLOSE, frame, nothing_left, on_both_loops, until

from vapimedia.session import CallEnded

OTHER = "MZ" + "9" * 32


@on_both_loops
async def test_a_second_start_is_refused_and_counted_and_the_call_goes_on() -> None:
    async with faulty() as scene, scene.call() as (phone, leg):
        phone.text(start())
        phone.text(
            start(streamSid=OTHER, customParameters={"word": CANARIES["a custom parameter"]})
            | {"streamSid": OTHER}
        )
        phone.text(start(mediaFormat={"encoding": "audio/x-alaw", "sampleRate": 16_000, "channels": 2}))
        said, other = noise(1600), noise(1600, seed=2)
        phone.text(media(other, stream=OTHER))
        phone.text(media(said))
        assert await heard_by_vapi(leg, said, b"\xff") >= 0
        assert other not in bytes(leg.audio)
        summary = scene.bridge.calls[0].summary()
        assert summary.counters == {"second_start": 3}
        assert summary.uplink is not None
        assert summary.uplink.foreign == 1
        assert scene.ended == []


@on_both_loops
@pytest.mark.parametrize("at_once", [True, False])
async def test_whatever_comes_after_a_stop_the_end_is_told_once(at_once: bool) -> None:
    last = noise(320)
    async with faulty() as scene, nothing_left():
        async with scene.call() as (phone, leg):
            late = [STOP, media(noise(1600, seed=2)), STOP, start(), media(noise(1600, seed=3)), STOP]
            for message in [media(last), STOP, *late]:
                phone.text(message)
                if not at_once:
                    await asyncio.sleep(0.005)
            await until(lambda: leg.is_over)
            assert await phone.close_code() in (1000, 1006)
        await until(lambda: scene.ended and not scene.bridge.calls)
        await asyncio.sleep(0.05)
        [end] = scene.ended
        assert end.reason == "provider_stop"
        assert sum(text == {"type": "end-call"} for text in leg.texts) == 1
        assert last in bytes(leg.audio)  # the last words, and no later ones
        assert len(bytes(leg.audio).replace(b"\xff", b"")) <= len(last)
        assert scene.vapi.controls == scene.vapi.hang_ups == []


async def test_a_stop_and_a_close_in_one_write_are_one_end() -> None:
    async with faulty() as scene, nothing_left():
        async with scene.call() as (phone, leg):
            phone.text(STOP)
            phone.send(frame(CLOSE, b"\x03\xe8"))
            await until(lambda: leg.is_over)
        await until(lambda: scene.ended and not scene.bridge.calls)
        assert [end.reason for end in scene.ended] == ["provider_stop"]


WORDS = ("stop", "start", "media x", "connected", "close")


@pytest.mark.parametrize("first", WORDS)
def test_any_order_of_stops_starts_and_media_ends_once(first: str) -> None:
    for rest in itertools.product(WORDS, repeat=3):
        call = Driver(FakeDialect())
        call.provider_opened()
        call.vapi_opened()
        for word in (first, *rest, "stop", "stop", "start", "media y"):
            if word == "close":
                call.provider_closed(1000)
            else:
                call.text(word)
        call.advance(30_000)
        assert len(call.of(CallEnded)) == 1
        assert not call.of(CallEnded)[0].summary.duration_ms < 0
