"""The README is true: its commands are those that CI runs, and its code runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from vapimedia import AudioFormat, Bridge, BridgeConfig
from vapimedia.session import CallEnded
from vapimedia.testing import (
    AssistantScript,
    CallTool,
    EndCall,
    FakeTwilioCall,
    FakeVapi,
    heard_share,
    load_clip,
    read_wav,
)

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MULAW = AudioFormat("mulaw", 8000)
PCM = AudioFormat("pcm_s16le", 8000)
INSTALL = "python3 -m venv .venv && . .venv/bin/activate && pip install '.[bridge]' && vapimedia demo"
TEST = "pip install '.[bridge,test]' && pytest"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", README, re.MULTILINE | re.DOTALL)


def block_with(text: str) -> str:
    (found,) = (block for block in blocks("python") if text in block)
    return found


def run_block(text: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block_with(text), "README.md", "exec"), names)
    return names


def test_the_two_commands_stand_at_the_top() -> None:
    assert [block.strip() for block in blocks("sh")[:2]] == [INSTALL, TEST]


def test_ci_runs_the_readmes_commands_step_by_step() -> None:
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("the CI script is not part of the source distribution")
    # CI works in a scratch folder and asks pip to be quiet; nothing else may differ.
    ran = re.sub(r'"?\$scratch/([^"\s]*)"?', r"\1", script.read_text(encoding="utf-8")).replace(" -q ", " ")
    at = 0
    for step in f"{INSTALL} && {TEST}".split(" && "):
        found = re.compile(rf"(^|&& |\(){re.escape(step)}( |$|\))", re.MULTILINE).search(ran, at)
        assert found is not None, f"{step!r} does not follow in .ci/run"
        at = found.end()


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_example_is_the_readmes_bridge() -> None:
    assert (ROOT / "examples" / "store_hours.py").read_text(encoding="utf-8") == block_with("@bridge.on_call")


def test_the_bridge_has_twelve_lines_apart_from_imports() -> None:
    lines = [line for line in block_with("@bridge.on_call").splitlines() if line]
    assert len([line for line in lines if "import " not in line]) <= 12


def test_the_kernels_do_what_the_readme_asserts() -> None:
    run_block("FrameSlicer")


async def test_the_bridge_answers_a_call_and_its_tool() -> None:
    script = AssistantScript((CallTool("store_hours", {"day": "Monday"}), EndCall()))
    ended: list[object] = []
    bridge: Bridge = run_block("@bridge.on_call")["bridge"]
    bridge.on_event(lambda call, event: ended.append(event) if isinstance(event, CallEnded) else None)
    async with FakeVapi(assistant=script, server_secret="s") as vapi:
        bridge.configure(
            BridgeConfig(
                port=0,
                admin="127.0.0.1:0",
                vapi_url=vapi.url,
                vapi_api_key=vapi.api_key,
                vapi_webhook_secret="s",
                twilio_auth_token="t",
                public_url="https://bridge.example.com",
            )
        )
        async with bridge:
            vapi.server_url = f"http://127.0.0.1:{bridge.port}/vapi/webhook"
            voice_url = f"http://127.0.0.1:{bridge.port}/twilio/voice"
            phone = FakeTwilioCall(
                voice_url,
                auth_token="t",
                public_url="https://bridge.example.com",
                to="+15005550001",
                max_s=10,
            )
            await phone.run()
    assert phone.violations == []
    assert vapi.requests[0].body["assistantId"] == "your-assistant-id"
    assert vapi.requests[0].body["assistantOverrides"]["metadata"] == {"line": "+15005550001"}
    (call,) = vapi.calls.values()
    assert [tool.result for tool in call.tool_calls] == ["9 to 18"]
    assert len(ended) == 1


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in listening]


@pytest.mark.slow
def test_the_recipe_with_the_fakes_carries_a_call(tmp_path: Path) -> None:
    (recipe,) = (block for block in blocks("sh") if "fake twilio" in block)
    export, fake_vapi, serve, wait, call = recipe.splitlines()
    assert wait.startswith("sleep ")
    port, vapi_port = free_ports(2)
    for written, here in (("8080", port), ("9001", vapi_port)):
        fake_vapi, serve, call = (line.replace(written, str(here)) for line in (fake_vapi, serve, call))
    keys = dict(pair.split("=") for pair in export.removeprefix("export ").split())
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VAPI", "TWILIO"))}
    environ = kept | keys | {"NO_COLOR": "1"}
    (tmp_path / "store_hours.py").write_text(block_with("@bridge.on_call"), encoding="utf-8")

    def argv(line: str, *more: str) -> list[str]:
        command, *rest = shlex.split(line.removesuffix("&"))
        assert command == "vapimedia"
        return [sys.executable, "-m", command, *rest, *more]

    with contextlib.ExitStack() as stack:
        for line, *more in (
            (fake_vapi, "--port", str(vapi_port)),
            (serve, "--port", str(port), "--admin", "127.0.0.1:0"),
        ):
            started = subprocess.Popen(
                argv(line, *more), cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True
            )
            stack.enter_context(started)
            stack.callback(started.kill)
            assert started.stdout is not None and "serves" in started.stdout.readline()
        # Not the whole half minute.
        done = subprocess.run(
            argv(call, "--max-s", "2"),
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
    assert done.stderr.strip() == "error: nobody ended the call: it was cut after 2 s (--max-s)"
    fmt, heard = read_wav(tmp_path / "heard.wav")
    assert fmt == PCM
    assert heard_share(load_clip("greeting", PCM)[:16000], heard, 8000, fmt=PCM) > 0.5


class Phone:
    """A FastAPI ``WebSocket``, as far as the README uses one."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.sent: list[str] = []
        self.close_code: int | None = None
        self._messages = asyncio.Queue[dict[str, Any]]()
        for message in messages:
            self._messages.put_nowait(message)

    async def receive(self) -> dict[str, Any]:
        return await self._messages.get()

    async def send_text(self, text: str) -> None:
        self.sent.append(text)

    async def close(self, code: int, reason: str) -> None:
        self.close_code = code


class VapiSocket:
    """A connection of the ``websockets`` library, as far as the README uses one."""

    close_code: int | None = None

    def __init__(self, *messages: str | bytes) -> None:
        self.sent: list[str | bytes] = []
        self._messages = messages

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        for message in self._messages:
            await asyncio.sleep(0.01)
            yield message
        await asyncio.Event().wait()

    async def send(self, message: str | bytes) -> None:
        self.sent.append(message)

    async def close(self, code: int, reason: str) -> None:
        self.close_code = code


async def test_the_sans_io_call_carries_audio_both_ways_and_ends_both_legs() -> None:
    run_call = run_block("CallSession")["run_call"]
    start = {
        "event": "start",
        "streamSid": "MZ1",
        "start": {"callSid": "CA1", "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000}},
    }
    phone = Phone({"type": "websocket.receive", "text": json.dumps(start)})
    speech = load_clip("goodbye", MULAW)
    said = [speech[at : at + 371] for at in range(0, 3710, 371)]
    vapi = VapiSocket(*said, '{"type":"status-update","status":"ended","endedReason":"assistant-ended-call"}')

    summary = await asyncio.wait_for(run_call(phone, vapi, (ConnectionError,)), 10)

    assert summary.end_reason == "vapi_ended"
    assert (phone.close_code, vapi.close_code) == (1000, 1000)
    assert summary.downlink.audio_out_ms == summary.downlink.audio_in_ms == 463.75
    assert any('"event":"media"' in text for text in phone.sent)
    assert any('"event":"mark"' in text for text in phone.sent)
    assert all(isinstance(message, bytes) and len(message) == 160 for message in vapi.sent)
    assert vapi.sent, "silence runs to Vapi while the phone says nothing"
