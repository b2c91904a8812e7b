"""The fakes as commands: wrong usage is one line; a fake Vapi serves until it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from vapimedia.cli import main
from vapimedia.cli.fake import tool_reply, trouble
from vapimedia.testing import FakeTwilioCall
from vapimedia.testing.twilio_wire import Twiml
from vapimedia.testing.vapi_webhooks import ToolCall, WebhookPost, judge_tool_reply


def test_a_url_without_a_scheme_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake", "twilio", "127.0.0.1:8080"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_bridge_that_is_not_there_is_exit_code_1_and_says_where_nothing_listens(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["fake", "twilio", "http://127.0.0.1:9/twilio/voice"]) == 1
    said = capsys.readouterr()
    assert said.err.strip() == "error: cannot connect to 127.0.0.1:9"
    assert "webhook" not in said.out


def made_call(**found: Any) -> FakeTwilioCall:
    """Return a call as it is after it went well, but for what was *found*."""
    call = FakeTwilioCall("http://127.0.0.1:8080/twilio/voice", auth_token="t", max_s=7)
    well = {"voice_status": 200, "upgrade_status": 101, "ended_by": "bridge", "close_code": 1000}
    well |= {"twiml": Twiml(stream_url="wss://bridge.example.com/twilio/media/x"), "received": b"\xff"}
    for name, value in (well | found).items():
        setattr(call, name, value)
    return call


def test_a_call_that_the_bridge_ended_after_audio_went_well() -> None:
    assert trouble(made_call()) == []


@pytest.mark.parametrize(
    "found,words",
    [
        ({"voice_status": 403}, ("TWILIO_AUTH_TOKEN", "--public-url")),
        ({"voice_status": 503}, ("webhook answered 503",)),
        ({"twiml": Twiml()}, ("without a media stream",)),
        ({"upgrade_status": 403}, ("stream was refused (403)",)),
        ({"upgrade_status": None}, ("no connection",)),
        ({"ended_by": "timeout"}, ("cut after 7 s (--max-s)",)),
        ({"close_code": 1001}, ("ended the call early", "1001")),
        ({"received": b""}, ("no audio came",)),
    ],
)
def test_a_call_that_failed_is_one_sentence(found: dict[str, Any], words: tuple[str, ...]) -> None:
    (line,) = trouble(made_call(**found))
    assert all(word in line for word in words)


def answered_tool(status: int, reply: str) -> ToolCall:
    tool = ToolCall("c1", "store_hours", {})
    judge_tool_reply(tool, WebhookPost("tool-calls", {}, status, reply))
    return tool


@pytest.mark.parametrize(
    "status,reply,line",
    [
        (200, '{"results":[{"toolCallId":"c1","result":"9 to 18"}]}', "200: 9 to 18"),
        (200, '{"results":[{"toolCallId":"c1","error":"no day"}]}', "200: error: no day"),
        (200, "{}", "200: the reply is not {'results': [...]} with one entry for the toolCallId"),
        (403, "", "403: is VAPI_WEBHOOK_SECRET the same at the bridge?"),
        (404, "", "404: Vapi reads 200 only"),
        (0, "", "no answer"),
    ],
)
def test_the_reply_to_a_tool_call_is_told_in_one_line(status: int, reply: str, line: str) -> None:
    assert tool_reply(answered_tool(status, reply)) == line


@pytest.mark.parametrize("argv", [["--vapi-format", "auto"], ["--vapi-format", "opus"], ["--out", "absent"]])
def test_wrong_usage_of_the_demo_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *argv]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("number,code", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_fake_vapi_serves_until_it_is_told_to_stop(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "vapimedia", "fake", "vapi", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}
    ) as child:
        try:
            assert child.stdout is not None
            assert "http://127.0.0.1:" in child.stdout.readline()
            child.send_signal(number)
            assert child.wait(timeout=20) == code
        finally:
            child.kill()
