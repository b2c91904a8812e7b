"""A proxy that cuts a socket without a close frame (1006) makes a normal end of the call: both legs end, once, and
neither is left behind."""

from __future__ import annotations

import pytest
from fault_scene import faulty
from faulty_call import LEGS, proxied_call
from wire import nothing_left, on_uvloop_first, until

REASONS = {"provider": "provider_reset", "vapi": "vapi_lost"}


@on_uvloop_first
@pytest.mark.parametrize("speaks", [False, True])
@pytest.mark.parametrize("leg_name", LEGS)
async def test_both_legs_end_once_and_no_orphan_is_left(
    leg_name: str, speaks: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with faulty() as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid
        async with nothing_left(), proxied_call(scene, leg_name) as (phone, leg, connection):
            if speaks:  # the cut comes amid what the assistant says
                await leg.socket.send_bytes(b"\x20" * 80_000)
                await phone.read_event("media")
            connection.cut()
            assert await phone.close_code() == (1006 if leg_name == "provider" else 1000)
            await until(lambda: leg.is_over and not scene.bridge.calls)
        assert [event.reason for event in scene.ended] == [REASONS[leg_name]]
        if leg_name == "provider":
            assert leg.texts == [{"type": "end-call"}] and leg.close_code == 1000
            assert scene.vapi.controls == []
        else:  # Vapi's call lives on unless it is told
            assert leg.close_code not in (1000, 1001)
            await until(lambda: scene.vapi.controls == [(leg.call_id, {"type": "end-call"})])
        assert scene.bridge.pump.n_driven == 0
    assert not [one for one in caplog.records if one.levelname in ("WARNING", "ERROR", "CRITICAL")]
