"""The wire log: off unless asked for, a line for each message and request, and nothing private in it."""

from __future__ import annotations

import json
import logging
import stat
from pathlib import Path
from typing import Any

import pytest
from scene import STOP, call_sid, media, running
from test_secrets import _expect_no_canary, canary, live_one_call, prepare, vapi_with_canaries
from wire import until

from vapimedia import BridgeConfig
from vapimedia.errors import ConfigError
from vapimedia.io.call_log import NOBODY
from vapimedia.io.wire_log import WireLog


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_a_call_is_told_message_by_message_and_its_media_in_sums(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    async with running(wire_log=str(path)) as scene, scene.call() as (phone, leg):
        for _ in range(10):
            phone.text(media(b"\x10" * 160))
            await leg.socket.send_bytes(b"\x10" * 160)
        await leg.say({"type": "user-interrupted"})
        await until(lambda: any(one["kind"] == "media" for one in lines_of(path)))
        phone.text(STOP)
        await until(lambda: scene.ended)
    lines = lines_of(path)
    told = {(one["kind"], one.get("leg"), one["dir"], one.get("type")) for one in lines}
    assert {
        ("open", "provider", "in", None),
        ("open", "vapi", "in", None),
        ("text", "provider", "in", "start"),
        ("text", "provider", "in", "stop"),
        ("text", "vapi", "in", "user-interrupted"),
        ("text", "vapi", "out", "end-call"),
        ("media", "provider", "in", None),
        ("media", "vapi", "out", None),
        ("media", "vapi", "in", None),
        ("media", "provider", "out", None),
        ("http", None, "in", None),
        ("http", None, "out", None),
    } <= told
    heard = [
        one["n"] for one in lines if (one["kind"], one["dir"], one.get("leg")) == ("media", "in", "vapi")
    ]
    assert sum(heard) == 10
    assert all(one["call_id"] == call_sid() for one in lines if "leg" in one)
    (answered,) = [one for one in lines if one["kind"] == "http" and one["dir"] == "in"]
    assert (answered["to"], answered["status"], answered["call_id"]) == ("/twilio/voice", 200, call_sid())
    (created,) = [one for one in lines if one["kind"] == "http" and one["dir"] == "out"]
    assert (created["method"], created["status"], created["call_id"]) == ("POST", 201, call_sid())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_no_canary_is_in_the_wire_log_of_a_whole_call(tmp_path: Path) -> None:
    path = tmp_path / "wire.jsonl"
    async with running(
        vapi_with_canaries(),
        prepare,
        wire_log=str(path),
        vapi_api_key=canary("the API key"),
        vapi_webhook_secret=canary("the webhook secret"),
        twilio_auth_token=canary("Twilio's token"),
    ) as scene:
        scene.bridge.on_event(lambda _call, event: scene.events.append(event))
        await live_one_call(scene, canary("Twilio's token"))
    assert len(lines_of(path)) > 10
    _expect_no_canary(path.read_text(encoding="utf-8"))


async def test_without_the_setting_there_is_no_wire_log() -> None:
    async with running() as scene, scene.call():
        assert scene.bridge.wire is None
        assert all(call._wire is None for call in scene.bridge.calls)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full is Linux's /dev/full")
def test_a_wire_log_that_can_be_written_no_more_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    wire = WireLog("/dev/full")
    for _ in range(3):
        wire.write(NOBODY, "", "in", "open", {})
    (told,) = [record for record in caplog.records if vars(record).get("event") == "wire_log_ended"]
    assert "No space left" in told.getMessage()


def test_it_is_said_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert any("--wire-log" in text for text in BridgeConfig(wire_log="x.jsonl").warnings())
    assert not any("--wire-log" in text for text in BridgeConfig().warnings())


def test_a_file_that_cannot_be_is_refused_before_anything_starts(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "such"):
        with pytest.raises(ConfigError, match="wire_log"):
            BridgeConfig(vapi_api_key="k", auth=False, wire_log=str(path)).check()
