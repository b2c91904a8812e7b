"""What a user registers to choose and to watch calls: on_call, on_event."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from scene import running
from wire import until

from vapimedia import Bridge, Call, CallInfo, CallOptions, ConfigError, Reject

# --- on_call -------------------------------------------------------------------------------------


async def test_on_call_chooses_assistant_overrides_and_metadata() -> None:
    seen: list[CallInfo] = []

    async def choose(info: CallInfo) -> CallOptions:
        seen.append(info)
        return CallOptions(
            assistant_id="asst_2", overrides={"firstMessage": "hi"}, metadata={"customer": 7}, name="shop"
        )

    async with running(prepare=lambda bridge: bridge.on_call(choose)) as scene:
        await scene.voice()
        await until(lambda: scene.vapi.requests)
        request = scene.vapi.requests[0]
        assert (request["assistantId"], request["name"]) == ("asst_2", "shop")
        assert request["assistantOverrides"] == {"firstMessage": "hi", "metadata": {"customer": 7}}
        assert (seen[0].from_, seen[0].to, seen[0].provider) == ("+15005550006", "+15005550001", "twilio")


async def _reject(_info: CallInfo) -> Reject:
    return Reject("a closed shop")


async def _raise(_info: CallInfo) -> CallOptions:
    raise RuntimeError("a secret")


async def _wrong(_info: CallInfo) -> Any:
    return {"assistant_id": "asst_1"}


async def _exit(_info: CallInfo) -> Any:
    raise SystemExit(3)


async def _cancel(_info: CallInfo) -> Any:
    raise asyncio.CancelledError


async def _hang(_info: CallInfo) -> Any:
    await asyncio.sleep(30)


def _choosing(**options: Any) -> Any:
    async def choose(_info: CallInfo) -> CallOptions:
        return CallOptions(**options)

    return choose


BAD_CHOICES = [
    _choosing(parameters={"a": 1}),
    _choosing(parameters={"too": "long" * 500}),
    _choosing(name=5),
    _choosing(name="long" * 20),
    _choosing(assistant_id=7),
    _choosing(overrides=[1]),
    _choosing(metadata="x"),
    _choosing(metadata={"a": object()}),
    _choosing(metadata={"a": 1}, overrides={"metadata": "x"}),
]


@pytest.mark.parametrize("on_call", [_reject, _raise, _wrong, _exit, _cancel, _hang, *BAD_CHOICES])
async def test_a_call_that_is_not_chosen_well_is_hung_up_and_never_reaches_vapi(
    on_call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapimedia.io.reception.ON_CALL_TIMEOUT_S", 0.1)
    async with running(prepare=lambda bridge: bridge.on_call(on_call)) as scene:
        answer = await scene.voice()
        assert answer.status == 200
        assert b"<Hangup" in answer.body or b"<Reject" in answer.body
        assert b"secret" not in answer.body and b"closed shop" not in answer.body
        assert scene.vapi.requests == [] and scene.bridge.calls == []


async def test_two_assistants_for_one_call_end_it() -> None:
    async def both(_info: CallInfo) -> CallOptions:
        return CallOptions(assistant_id="asst_2", squad_id="squad_1")

    async with running(prepare=lambda bridge: bridge.on_call(both)) as scene:
        assert b"<Hangup" in (await scene.voice()).body
        assert scene.vapi.requests == [] and scene.bridge.calls == []


@pytest.mark.parametrize("options", [{"parameters": {"a": 1}}, {"name": 5}, {"overrides": {1: 2}}])
def test_options_of_the_wrong_type_are_refused_when_they_are_made(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=f"CallOptions.{next(iter(options))} has"):
        CallOptions(**options)


def test_the_repr_of_options_shows_ids_only() -> None:
    options = CallOptions(
        assistant_id="asst_2", metadata={"m": "canary"}, parameters={"p": "canary"}, name="canary"
    )
    assert repr(options) == "CallOptions(assistant_id='asst_2')"


def test_a_plain_on_call_is_refused() -> None:
    with pytest.raises(ConfigError, match="async def"):
        Bridge().on_call(lambda info: CallOptions())  # type: ignore[arg-type,return-value]


def test_an_object_that_is_called_like_an_async_function_is_async_everywhere() -> None:
    class Choice:
        async def __call__(self, info: CallInfo) -> CallOptions:
            return CallOptions()

    Bridge().on_call(Choice())
    with pytest.raises(ConfigError, match="plain function"):
        Bridge().on_event(Choice())  # type: ignore[arg-type]


# --- on_event ------------------------------------------------------------------------------------


def test_an_async_on_event_is_refused() -> None:
    async def event(call: Call | None, event: object) -> None:
        """It would never be awaited."""

    with pytest.raises(ConfigError, match="plain function"):
        Bridge().on_event(event)


async def test_a_hang_up_in_a_callback_leaves_call_ended_the_last_event() -> None:
    events: list[str] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_event
        def on_event(call: Call | None, event: object) -> None:
            events.append(type(event).__name__)
            if type(event).__name__ == "UserInterrupted" and call is not None:
                call.hang_up("enough")

    async with running(prepare=prepare) as scene, scene.call() as (phone, leg):
        await leg.socket.send_bytes(b"\x20" * 8000)
        await phone.read_event("media")
        await leg.say({"type": "user-interrupted"})
        assert await phone.close_code() == 1000
    assert events[-3:] == ["UserInterrupted", "BargeIn", "CallEnded"]
    assert events.count("CallEnded") == 1


async def test_what_the_user_tells_the_assistant_before_its_socket_opens_is_kept() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_event
        def on_event(call: Call | None, event: object) -> None:
            if type(event).__name__ == "CallStarted" and call is not None:
                call.add_message("system", "speak slowly", trigger_response=False)

    async with running(prepare=prepare) as scene, scene.call() as (_phone, leg):
        await until(lambda: leg.texts)
        assert leg.texts[0]["message"] == {"role": "system", "content": "speak slowly"}
