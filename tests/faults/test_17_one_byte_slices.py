"""TCP segments of one byte and 40 ms of latency: both sides hear each other bit by bit."""

from __future__ import annotations

import pytest
from fault_scene import faulty
from media_feeds import FIELD_SIZES, cut, heard_by_phone, heard_by_vapi, noise
from proxied_call import proxied_call
from scene import media
from wire import on_both_loops

from vapimedia.testing import Fault

FAULTS = (Fault("slice", value=1), Fault("latency", value=0.04))
SILENCE = b"\xff"


@pytest.mark.parametrize("ms", [60, pytest.param(300, marks=pytest.mark.slow)])
@on_both_loops
async def test_both_sides_hear_each_other_bit_by_bit(ms: int) -> None:
    up, down = noise(8 * ms), noise(8 * ms, seed=2)
    async with faulty() as scene, proxied_call(scene, FAULTS) as call:
        for message in cut(up, (160,)):
            call.phone.text(media(message))
        for message in cut(down, FIELD_SIZES):
            await call.leg.socket.send_bytes(message)
        assert await heard_by_phone(call.phone, len(down)) == down
        await heard_by_vapi(call.leg, up, SILENCE)
        # Where a busy machine takes longer than the audio lasts, silence stands between, and only that.
        assert bytes(call.leg.audio).replace(SILENCE, b"") == up
        assert len(call.leg.audio) % 160 == 0
        summary = scene.bridge.calls[0].summary()
        assert summary.counters == {}
        assert summary.uplink.invalid == summary.uplink.foreign == 0
