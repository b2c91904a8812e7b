"""A leg in another rate, encoding or number of channels than agreed is refused at its start, with an error that says
what came and what was expected; nothing of its audio is taken for something else."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from fault_scene import faulty
from media_feeds import noise
from scene import media
from vonage_scene import running as vonage_running
from wire import BINARY, connected, nothing_left, on_both_loops, until

from vapimedia.testing import FakeVonageCall, HangUp, Say

AGREED = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
FOREIGN = {
    "another rate": {"sampleRate": 16_000},
    "half the rate": {"sampleRate": 4000},
    "another encoding": {"encoding": "audio/x-alaw"},
    "linear": {"encoding": "audio/x-l16"},
    "a codec": {"encoding": "audio/opus", "sampleRate": 48_000},
    "two channels": {"channels": 2},
    "no rate": {"sampleRate": 0},
    "no channel": {"channels": 0},
}


@pytest.mark.parametrize("name", list(FOREIGN))
async def test_twilio_s_start_in_another_format_ends_the_call(name: str, shown: io.StringIO) -> None:
    changed = FOREIGN[name]
    async with faulty() as scene, nothing_left():
        async with scene.phone(mediaFormat=AGREED | changed) as phone:
            for n in range(20):
                phone.text(media(noise(160, seed=n)))
            assert await phone.close_code() == 1003
        await until(lambda: scene.ended and not scene.bridge.calls)
        [end] = scene.ended
        assert end.reason == "unsupported_format"
        for value in changed.values():
            assert str(value) in end.detail
        assert "mulaw" in end.detail
        assert "unsupported_format" in shown.getvalue()
        for leg in scene.vapi.legs:
            await until(lambda leg=leg: leg.is_over)
            assert not bytes(leg.audio).strip(b"\xff")  # silence at most
        await until(lambda: scene.vapi.controls or any(leg.texts for leg in scene.vapi.legs))


def announcing(content_type: str) -> type[FakeVonageCall]:
    class Other(FakeVonageCall):
        """Speaks in what the NCCO asked for, and says otherwise: the worst of both."""

        async def _open(self, ws: Any) -> None:
            said = {"event": "websocket:connected", "content-type": content_type}
            await ws.send_str(json.dumps(said))

    return Other


@pytest.mark.parametrize(
    "content_type",
    ["audio/l16;rate=8000", "audio/l16;rate=24000", "audio/mulaw;rate=16000", "audio/opus;rate=16000"],
)
async def test_vonage_s_first_message_with_another_format_ends_the_call(content_type: str) -> None:
    async with vonage_running() as scene:
        phone = await scene.phone(announcing(content_type), caller=(Say("ask_sunday"), HangUp())).run()
        await until(lambda: scene.ended and not scene.bridge.calls)
        [end] = scene.ended
        assert end.reason == "unsupported_format"
        assert content_type in end.detail
        assert "16000" in end.detail
        assert (phone.close_code, phone.ended_by) == (1003, "bridge")
        assert not any(bytes(call.uplink).strip(b"\0") for call in scene.vapi.calls.values())


@pytest.mark.parametrize("rate", ["4000", "7950", "192000", "0", "-8000", "x", ""])
async def test_a_page_s_rate_that_cannot_be_bridged_is_refused_before_any_audio(rate: str) -> None:
    async with faulty(providers=("browser",), public_url="") as scene, connected(scene.bridge.port) as wire:
        host = {"Host": f"127.0.0.1:{scene.bridge.port}"}
        answer = await wire.upgrade(f"/browser/media?rate={rate}", host)
        assert answer.status == 400
        assert b"rate" in answer.body
        assert scene.bridge.calls == []


@on_both_loops
async def test_a_phone_in_binary_is_not_taken_for_one_in_json() -> None:
    async with faulty() as scene, scene.call() as (phone, leg):
        for n in range(5):
            phone.frame(BINARY, noise(640, seed=n))
        await until(lambda: scene.bridge.calls[0].summary().counters.get("binary_message") == 5)
        assert not bytes(leg.audio).strip(b"\xff")
