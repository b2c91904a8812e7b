"""A fake Vapi as a command: it says what its tool calls were answered, and serves until it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from vapimedia.cli.fake import _tell_end, event_text, tool_reply, webhook_trouble
from vapimedia.testing import Callee, FakeVapi
from vapimedia.testing.vapi_webhooks import ToolCall, WebhookPost, judge_tool_reply


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


@pytest.mark.parametrize(
    ("post", "line"),
    [
        (WebhookPost("hang", {}, 200), ""),
        (WebhookPost("tool-calls", {}, 404, problems=["x"]), ""),  # told as a tool's reply
        (
            WebhookPost("hang", {}, 403, problems=["x"]),
            "hang: 403, is VAPI_WEBHOOK_SECRET the same at the bridge?",
        ),
        (WebhookPost("hang", {}, problems=["no answer within 20 s"]), "hang: no answer within 20 s"),
    ],
)
def test_a_webhook_that_came_to_nothing_is_told_in_one_line(post: WebhookPost, line: str) -> None:
    assert webhook_trouble(post) == line


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"type": "say", "content": "Hi."}, "Hi."),
        ({"type": "say", "message": "Hi."}, "Hi."),
        ({"type": "add-message", "message": {"role": "system", "content": "VIP"}}, "VIP"),
        ({"type": "control", "control": "mute-customer"}, "mute-customer"),
        ({"type": "tool-calls", "toolCallList": [{"name": "a"}, {"function": {"name": "b"}}]}, "a, b"),
        ({"type": "send-transport-message", "message": {"transport": "twilio", "twiml": "<a/>"}}, ""),
        ({"type": "end-call"}, ""),
    ],
)
def test_what_is_told_is_shown_in_a_few_words(message: dict[str, Any], text: str) -> None:
    assert event_text(message) == text


@pytest.mark.parametrize("number,code", [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_fake_vapi_serves_until_it_is_told_to_stop(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "vapimedia", "fake", "vapi", "--port", "0", "--phone-call"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}
    ) as child:
        try:
            assert child.stdout is not None
            assert "http://127.0.0.1:" in child.stdout.readline()
            assert "a phone call begins" in child.stdout.readline()
            assert "vapimedia listen ws://127.0.0.1:" in child.stdout.readline()
            assert "vapimedia control http://127.0.0.1:" in child.stdout.readline()
            child.send_signal(number)
            assert child.wait(timeout=20) == code
        finally:
            child.kill()


async def test_the_end_of_the_call_to_try_is_told_with_what_to_do_then() -> None:
    lines = []
    async with FakeVapi(callee=Callee(caller=(), ring_s=0.0)) as vapi:
        call = await (await vapi.place_call()).connected()
        await call.control({"type": "end-call"})
        await _tell_end(call, lambda _call, what, text: lines.append((what, text)))
    assert lines == [("the call is over", "for another, start vapimedia fake vapi --phone-call again")]
