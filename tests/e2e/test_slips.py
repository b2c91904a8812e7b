"""Slips of a user that must be told at once, or at least leave a trace."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest
from scene import ACCOUNT, call_sid, running, settings
from wire import until

from vapimedia import Bridge, Call, CallInfo, ConfigError, StateError


class Question(msgspec.Struct):
    day: str


async def test_arguments_that_do_not_fit_are_logged_without_their_values_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.tool("hours")
        async def hours(call: Call | None, args: Question) -> str:
            return args.day

    with caplog.at_level(logging.WARNING):
        async with running(prepare=prepare) as scene:
            arguments = {"date": "my secret"}
            wanted = {"id": "c1", "type": "function", "function": {"name": "hours", "arguments": arguments}}
            answer = await scene.vapi_webhook({"type": "tool-calls", "toolCallList": [wanted]})
            assert answer.status == 200
            assert scene.bridge.counters["tool_misfit"] == 1
    assert "missing required field `day`" in caplog.text
    assert "my secret" not in caplog.text


@pytest.mark.parametrize("wanted", [int, list[str], object.__class__, Call])
def test_an_annotation_that_no_arguments_can_fit_is_refused_at_registration(wanted: type) -> None:
    def tool(call: Call | None, args: object) -> str:
        return ""

    tool.__annotations__["args"] = wanted
    with pytest.raises(ConfigError, match="sends an object"):
        Bridge().tool("t")(tool)


def test_a_tool_without_a_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a name"):
        Bridge().tool(lambda call, args: "")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs a name"):
        Bridge().tool("")(lambda call, args: "")


async def test_a_caller_who_leaves_while_on_call_decides_is_not_called_for() -> None:
    gate = asyncio.Event()

    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(info: CallInfo) -> None:
            await gate.wait()

    async with running(prepare=prepare) as scene:
        voice = asyncio.create_task(scene.voice())
        await until(lambda: scene.bridge.reception._opening)
        fields = {"CallSid": call_sid(), "CallStatus": "completed", "AccountSid": ACCOUNT}
        assert (await scene.webhook("/twilio/status", fields)).status == 204
        assert (await voice).status == 503
        gate.set()
        await until(lambda: not scene.bridge._tasks)
        assert scene.vapi.requests == [] and scene.bridge.calls == []


async def test_a_bridge_lives_once() -> None:
    async with running() as scene:
        with pytest.raises(StateError, match="started before"):
            await scene.bridge.start()
        with pytest.raises(StateError, match="register tools before"):
            scene.bridge.tool("late")
        config = settings(scene.vapi)
    bridge = Bridge(config)
    async with bridge:
        pass
    with pytest.raises(StateError, match="make a new one"):
        await bridge.start()
