"""A function of the user's that raises: from ``on_event`` its call ends with 1011, or goes on by setting; from
``on_call`` nobody is called; from a tool or a handler there is an answer all the same. Other calls notice nothing."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from canaries import CANARIES
from fault_scene import faulty
from faulty_call import live_call
from scene import STOP, Leg, Scene, media
from wire import Wire, connected, nothing_left, on_both_loops, until

from vapimedia import Bridge, Call, CallInfo, CallOptions
from vapimedia.protocols.vapi import EndpointingReply

WORDS = CANARIES["a user's exception"]


class OddError(BaseException):
    """Not an ``Exception``."""


ERRORS = [ValueError, KeyError, SystemExit, asyncio.CancelledError, GeneratorExit, OddError]
_of_each_kind = pytest.mark.parametrize("error", ERRORS)


def breaks_at(event_name: str, error: type[BaseException] = ValueError) -> Callable[[Bridge], None]:
    """A bridge whose ``on_event`` raises at one kind of event."""

    def prepare(bridge: Bridge) -> None:
        @bridge.on_event
        def on_event(call: Call | None, event: object) -> None:
            if type(event).__name__ == event_name:
                raise error(WORDS)

    return prepare


async def expect_alive(phone: Wire, leg: Leg) -> None:
    """Expect that audio goes both ways."""
    n_bytes = len(leg.audio)
    phone.text(media(b"\x33" * 160))
    await leg.socket.send_bytes(b"\x20" * 1600)
    await phone.read_event("media")
    await until(lambda: b"\x33" * 160 in leg.audio[n_bytes:])


@_of_each_kind
async def test_on_event_that_raises_ends_its_call_with_1011_and_no_other(
    error: type[BaseException], shown: io.StringIO
) -> None:
    async with faulty(prepare=breaks_at("Hang", error)) as scene, live_call(scene, 1) as (whole, other):
        async with nothing_left(), live_call(scene, 2) as (broken, leg):
            await leg.say({"type": "hang"})
            assert await broken.close_code() == 1011
            broken.close(1011)
            await until(lambda: leg.close_code == 1011)
        assert leg.texts[-1] == {"type": "end-call"}
        assert scene.bridge.book.ended_by_reason == {"callback_error": 1}
        assert scene.bridge.counters["callback_error"] == 1
        await expect_alive(whole, other)
        whole.text(STOP)
        assert await whole.close_code() == 1000
    assert f"on_event raised {error.__name__} (test_28_callback_exception.py, line " in shown.getvalue()


@on_both_loops
async def test_a_call_goes_on_after_on_event_raised_where_that_is_the_setting() -> None:
    prepare = breaks_at("Hang")
    async with faulty(None, prepare, on_callback_error="continue") as scene, live_call(scene) as (phone, leg):
        for number in (1, 2, 3):
            await leg.say({"type": "hang"})
            await until(lambda number=number: scene.bridge.counters["callback_error"] == number)
        await expect_alive(phone, leg)
        phone.text(STOP)
        assert await phone.close_code() == 1000
        await until(lambda: not scene.bridge.calls)
        assert scene.bridge.book.ended_by_reason == {"provider_stop": 1}


@pytest.mark.parametrize("event", ["CallStarted", "CallEnded"])
async def test_on_event_may_raise_at_the_first_and_at_the_last_event(event: str) -> None:
    async with faulty(prepare=breaks_at(event)) as scene:
        async with nothing_left(), scene.phone() as phone:
            if event == "CallEnded":
                phone.text(STOP)
            assert await phone.close_code() == (1011 if event == "CallStarted" else 1000)
            phone.close()
        assert sum(scene.bridge.book.ended_by_reason.values()) == 1


@_of_each_kind
async def test_on_call_that_raises_hangs_up_and_nobody_is_called(error: type[BaseException]) -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(_info: CallInfo) -> CallOptions:
            raise error(WORDS)

    async with faulty(prepare=prepare) as scene:
        answer = await scene.voice()
        assert answer.status == 200 and b"<Hangup" in answer.body
        assert scene.vapi.requests == [] and scene.bridge.calls == []
        assert scene.bridge.counters["on_call_failed"] == 1


async def test_on_call_that_raises_ends_a_socket_that_is_open_already_with_1011() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(_info: CallInfo) -> CallOptions:
            raise ValueError(WORDS)

    async with faulty(prepare=prepare, auth=False) as scene, connected(scene.bridge.port) as wire:
        assert (await wire.upgrade("/twilio/media")).status == 101
        assert await wire.close_code() == 1011
        wire.close(1011)
        await until(lambda: scene.bridge.book.ended_by_reason == {"callback_error": 1})
        assert scene.vapi.requests == []


async def ask(scene: Scene, type_: str, **message: Any) -> Any:
    """Have Vapi ask for something."""
    secret = CANARIES["the webhook secret"]
    about = {"type": type_, "call": {"id": "vapi-call-1"}, **message}
    answer = await scene.vapi_webhook(about, secret=secret)
    assert answer.status == 200
    return json.loads(answer.body)


@pytest.mark.parametrize("is_async", [True, False], ids=["async", "in a thread"])
@_of_each_kind
async def test_a_tool_or_handler_that_raises_is_answered_for_and_the_call_goes_on(
    error: type[BaseException], is_async: bool
) -> None:
    def fail(call: Call | None, given: Any) -> Any:
        raise error(WORDS)

    async def fail_later(call: Call | None, given: Any) -> Any:
        await asyncio.sleep(0)
        raise error(WORDS)

    def prepare(bridge: Bridge) -> None:
        function = fail_later if is_async else fail
        bridge.tool("breaks")(function)
        bridge.on_endpointing(function)
        bridge.on_transfer(function)

        @bridge.tool("works")
        async def works(call: Call | None, args: dict[str, Any]) -> str:
            return "well"

    async with faulty(prepare=prepare) as scene, live_call(scene) as (phone, leg):
        calls = [{"id": name, "type": "function", "function": {"name": name}} for name in ("breaks", "works")]
        broken, whole = (await ask(scene, "tool-calls", toolCallList=calls))["results"]
        assert broken["error"] == f"the tool failed: {error.__name__}"
        assert whole["result"] == "well"
        turn = await ask(scene, "call.endpointing.request", messages=[])
        assert turn == json.loads(EndpointingReply(timeout_seconds=1.0).encode())
        assert "error" in await ask(scene, "transfer-destination-request")
        failed = {"tool_failed": 1, "on_endpointing_failed": 1, "on_transfer_failed": 1}
        assert failed.items() <= scene.bridge.counters.items()
        await expect_alive(phone, leg)


async def test_on_event_that_raises_at_a_webhook_keeps_vapi_from_nothing() -> None:
    prepare = breaks_at("SpeechUpdate")
    async with faulty(None, prepare, on_callback_error="continue") as scene, live_call(scene) as (phone, leg):
        assert await ask(scene, "speech-update", status="started", role="user") == {}
        await until(lambda: scene.bridge.counters["callback_error"] == 1)
        await expect_alive(phone, leg)
