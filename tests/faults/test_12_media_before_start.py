"""Media before ``start`` is dropped and counted, and never heard; a socket without ``start`` is closed after 10 s."""

from __future__ import annotations

import asyncio

import pytest
from fault_scene import faulty
from media_feeds import heard_by_vapi, noise
from scene import media, start, stream_url
from session_fakes import FRAME, Driver
from wire import nothing_left, on_both_loops, until

CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
SILENCE = b"\xff"


@on_both_loops
async def test_early_media_is_dropped_and_counted_and_the_call_goes_on() -> None:
    async with faulty() as scene, scene.socket(stream_url(await scene.voice())) as phone:
        phone.text(CONNECTED)
        for n in range(30):
            phone.text(media(noise(160, seed=n)))
        leg = await scene.vapi.leg()
        await until(lambda: scene.bridge.calls[0].summary().counters == {"media_before_start": 30})
        assert not bytes(leg.audio).strip(SILENCE)
        phone.text(start())
        said = noise(1600, seed=99)
        phone.text(media(said))
        assert await heard_by_vapi(leg, said, SILENCE) >= 0
        summary = scene.bridge.calls[0].summary()
        assert summary.counters == {"media_before_start": 30}
        assert summary.uplink is not None
        assert summary.uplink.messages_in == 1


@pytest.mark.slow
@pytest.mark.long
async def test_a_socket_without_start_is_closed_after_10_s_whatever_else_it_says() -> None:
    loop = asyncio.get_running_loop()
    async with faulty() as scene, nothing_left():
        async with scene.socket(stream_url(await scene.voice())) as phone:
            opened_s = loop.time()
            phone.text(CONNECTED)
            phone.text(media(noise(160)))
            leg = await scene.vapi.leg()
            assert await phone.close_code(timeout_s=30) == 1000
            assert 9.5 <= loop.time() - opened_s <= 10.5
        await until(lambda: scene.ended and leg.is_over and not scene.bridge.calls)
        [end] = scene.ended
        assert end.reason == "start_timeout"
        assert leg.texts[-1] == {"type": "end-call"}


@pytest.mark.parametrize("talks", [True, False])
def test_the_limit_is_10_s_to_the_tick_and_media_does_not_move_it(talks: bool) -> None:
    call = Driver()
    call.provider_opened()
    for _ in range(499):
        call.advance(20)
        if talks:
            call.provider_message(FRAME, False)
    assert call.ended is None
    call.advance(21)
    assert call.ended is not None
    assert call.ended.reason == "start_timeout"
    assert call.said == b""
