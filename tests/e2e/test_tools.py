"""A user's tool functions, asked for by Vapi's webhooks."""

from __future__ import annotations

import asyncio
import functools
import json
import threading
from typing import Any

import msgspec
import pytest
from scene import Scene, running
from wire import until

from vapimedia import Bridge, Call, ConfigError


class Day(msgspec.Struct):
    day: str
    hour: int = 9


def tool_calls(*calls: tuple[str, str, Any], vapi_call: str = "vapi-call-1") -> dict[str, Any]:
    """A tool-calls message: (id, name, arguments)."""
    listed = [
        {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}
        for id_, name, arguments in calls
    ]
    return {"type": "tool-calls", "toolCallList": listed, "call": {"id": vapi_call}}


async def ask(
    scene: Scene, *calls: tuple[str, str, Any], path: str = "/vapi/webhook"
) -> list[dict[str, Any]]:
    answer = await scene.vapi_webhook(tool_calls(*calls), path)
    assert answer.status == 200
    assert b"\n" not in answer.body
    return json.loads(answer.body)["results"]  # type: ignore[no-any-return]


def with_tools(bridge: Bridge) -> None:
    @bridge.tool("hours")
    async def hours(call: Call | None, args: Day) -> dict[str, Any]:
        return {"opens": f"{args.day} at {args.hour}"}

    @bridge.tool("thread")
    def thread(call: Call | None, args: dict[str, Any]) -> str:
        return threading.current_thread().name

    @bridge.tool("lines")
    async def lines(call: Call | None, args: dict[str, Any]) -> str:
        return "one\ntwo\r\nthree"

    @bridge.tool("breaks")
    async def breaks(call: Call | None, args: dict[str, Any]) -> None:
        raise ValueError("the caller said a secret word")

    @bridge.tool("own timeout")
    async def own_timeout(call: Call | None, args: dict[str, Any]) -> None:
        raise TimeoutError

    @bridge.tool("cancels itself")
    async def cancels(call: Call | None, args: dict[str, Any]) -> None:
        raise asyncio.CancelledError

    @bridge.tool("slow")
    async def slow(call: Call | None, args: dict[str, Any]) -> None:
        await asyncio.sleep(30)

    @bridge.tool("slow behind a wrapper")
    @functools.wraps(slow)
    def wrapped(call: Call | None, args: dict[str, Any]) -> object:
        return slow(call, args)

    @bridge.tool("whose")
    async def whose(call: Call | None, args: dict[str, Any]) -> str:
        return "nobody's" if call is None else call.vapi_call_id

    @bridge.tool("exits")
    async def exits(call: Call | None, args: dict[str, Any]) -> None:
        raise SystemExit(3)

    @bridge.tool("exits in a thread")
    def exits_in_a_thread(call: Call | None, args: dict[str, Any]) -> None:
        raise SystemExit(3)

    @bridge.tool("unwritable")
    async def unwritable(call: Call | None, args: dict[str, Any]) -> object:
        return object()


ALIASES = ("/vapi/webhook", "/voice/vapi/tool")


@pytest.mark.parametrize("path", ALIASES)
async def test_an_async_tool_gets_typed_arguments_and_its_object_is_stringified(path: str) -> None:
    async with running(prepare=with_tools) as scene:
        [entry] = await ask(scene, ("call_Zz-1", "hours", {"day": "monday", "hour": "10"}), path=path)
        assert entry == {"toolCallId": "call_Zz-1", "name": "hours", "result": '{"opens":"monday at 10"}'}


async def test_arguments_may_come_as_json_text() -> None:
    async with running(prepare=with_tools) as scene:
        [entry] = await ask(scene, ("a", "hours", '{"day":"friday"}'))
        assert entry["result"] == '{"opens":"friday at 9"}'


async def test_a_plain_tool_runs_in_a_thread() -> None:
    async with running(prepare=with_tools) as scene:
        [entry] = await ask(scene, ("a", "thread", {}))
        assert entry["result"].startswith("vapimedia-tool")


async def test_a_plain_tool_does_not_hold_the_loop() -> None:
    release = threading.Event()

    def prepare(bridge: Bridge) -> None:
        @bridge.tool("waits")
        def waits(call: Call | None, args: dict[str, Any]) -> str:
            return "let go" if release.wait(5) else "stuck"

    async with running(prepare=prepare) as scene:
        asking = asyncio.create_task(ask(scene, ("a", "waits", {})))
        await asyncio.sleep(0.02)
        assert (await scene.get("/healthz")).status == 200  # while the tool waits
        release.set()
        assert (await asking)[0]["result"] == "let go"


async def test_every_text_goes_out_on_one_line() -> None:
    async with running(prepare=with_tools) as scene:
        [entry] = await ask(scene, ("a", "lines", {}))
        assert entry["result"] == "one two three"


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("breaks", {}, "the tool failed: ValueError"),
        ("own timeout", {}, "the tool failed: TimeoutError"),
        ("cancels itself", {}, "the tool failed: CancelledError"),
        ("exits", {}, "the tool failed: SystemExit"),
        ("exits in a thread", {}, "the tool failed: SystemExit"),
        ("slow", {}, "the tool took longer than 0.2 s"),
        ("slow behind a wrapper", {}, "the tool took longer than 0.2 s"),
        ("nowhere", {}, "there is no tool named nowhere"),
        ("hours", {"day": 7, "hour": []}, "the arguments do not fit: "),
        ("hours", "not json", "the arguments do not fit: "),
        ("unwritable", {}, "the tool returned something that cannot be written as JSON"),
    ],
)
async def test_a_tool_that_cannot_answer_gives_an_error_entry_and_spares_its_siblings(
    name: str, arguments: Any, expected: str
) -> None:
    async with running(prepare=with_tools, tool_timeout_s=0.2) as scene:
        bad, good = await ask(scene, ("id 1", name, arguments), ("id 2", "whose", {}))
        assert bad["toolCallId"] == "id 1" and "result" not in bad
        assert bad["error"].startswith(expected) and "secret word" not in bad["error"]
        assert good == {"toolCallId": "id 2", "name": "whose", "result": "nobody's"}


async def test_a_tool_knows_its_call_while_that_lives() -> None:
    async with running(prepare=with_tools) as scene, scene.call():
        assert (await ask(scene, ("a", "whose", {})))[0]["result"] == "vapi-call-1"


async def test_a_tool_in_a_thread_may_speak_to_the_call() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.tool("speaks")
        def speaks(call: Call, args: dict[str, Any]) -> str:
            call.say("one moment")
            return "said"

    async with running(prepare=prepare) as scene, scene.call() as (_phone, leg):
        assert (await ask(scene, ("a", "speaks", {})))[0].get("result") == "said"
        await until(lambda: leg.texts)
        assert leg.texts[0]["type"] == "say" and leg.texts[0]["content"] == "one moment"


async def test_a_tool_call_on_the_socket_is_told_but_never_answered_there() -> None:
    async with running(prepare=with_tools) as scene, scene.call() as (_phone, leg):
        await leg.say(tool_calls(("a", "hours", {"day": "monday"})))
        await until(lambda: any(type(event).__name__ == "ToolCalls" for event in scene.events))
        assert leg.texts == []


def test_a_tool_that_cannot_be_called_is_refused_when_it_is_registered() -> None:
    bridge = Bridge()
    bridge.tool("twice")(lambda call, args: None)
    with pytest.raises(ConfigError, match="registered twice"):
        bridge.tool("twice")(lambda call, args: None)
    with pytest.raises(ConfigError, match="two arguments"):
        bridge.tool("few")(lambda args: None)

    def unknown(call: Call, args: NowhereDefined) -> None:  # type: ignore[name-defined]  # noqa: F821
        """Its annotation cannot be looked up."""

    with pytest.raises(ConfigError, match="annotation"):
        bridge.tool("unknown")(unknown)


class Shop:
    """An object that is called like an async function."""

    async def __call__(self, call: Call | None, args: Day) -> str:
        await asyncio.sleep(0)
        return f"{threading.current_thread().name} {args.hour}"


async def _shop(call: Call | None, args: Day) -> str:
    return await Shop()(call, args)


@functools.wraps(_shop)
def _wrapped(*args: Any) -> object:
    return _shop(*args)


@pytest.mark.parametrize("tool", [Shop(), _wrapped])
async def test_what_turns_out_async_only_when_it_is_called_is_awaited_on_the_loop(tool: Any) -> None:
    async with running(prepare=lambda bridge: bridge.tool("shop")(tool)) as scene:
        assert (await ask(scene, ("a", "shop", {"day": "friday"})))[0]["result"] == "MainThread 9"


def test_a_partial_function_may_be_a_tool() -> None:
    async def shop(name: str, call: Call | None, args: Day) -> str:
        return name

    bridge = Bridge()
    bridge.tool("shop")(functools.partial(shop, "corner"))
    assert bridge.tools._tools["shop"].is_async
