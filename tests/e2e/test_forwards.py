"""A call goes on elsewhere, over real sockets: its phone lives on, both legs of ours are closed, once."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import vonage_scene
from aiohttp import web
from outbound_scene import PROVIDERS, faked
from wire import nothing_left, until

from vapimedia import Bridge, BridgeConfig, Call, CallInfo, CallOptions
from vapimedia.errors import ConfigError, StateError
from vapimedia.protocols.vapi import NumberDestination, TransferDestinationRequest, TransferReply
from vapimedia.session import CallEnded, ForwardFailed
from vapimedia.testing import (
    AssistantScript,
    CallTool,
    FakeTwilioApi,
    FakeTwilioCall,
    FakeVapi,
    FakeVonageCall,
    Forwarded,
    Silence,
    Speak,
    Transfer,
    clip_ms,
)

ACCOUNT, TOKEN = "AC" + "1" * 32, "0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://bridge.test"
SECRET = "webhook-secret-of-the-test"
NUMBER = "+14155550100"
TRANSFER = {"type": "transfer-update", "destination": {"type": "number", "number": NUMBER}}
FORWARDING = {"type": "status-update", "status": "forwarding", "destination": TRANSFER["destination"]}


@dataclass
class Scene:
    bridge: Bridge
    vapi: FakeVapi
    api: FakeTwilioApi
    events: list[Any] = field(default_factory=list)

    @property
    def ended(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, CallEnded)]

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[FakeTwilioCall]:
        """A call with media both ways, until it is over."""
        url = f"http://127.0.0.1:{self.bridge.port}/twilio"
        phone = FakeTwilioCall(
            f"{url}/voice",
            auth_token=TOKEN,
            account_sid=ACCOUNT,
            caller=[Silence(1e6)],
            public_url=PUBLIC_URL,
            status_url=f"{url}/status",
            max_s=10,
        )
        running = asyncio.create_task(self.api.register(phone).run())
        await until(lambda: any(call.uplink for call in self.vapi.calls.values()))
        yield phone
        await running
        await until(lambda: not self.bridge.calls)


@asynccontextmanager
async def twilio(
    assistant: Any = None,
    prepare: Callable[[Bridge], object] | None = None,
    *,
    api: type[FakeTwilioApi] = FakeTwilioApi,
    acts_on_phone: bool = False,
) -> AsyncIterator[Scene]:
    async with (
        FakeVapi(assistant=assistant, server_secret=SECRET) as vapi,
        api(account_sid=ACCOUNT, auth_token=TOKEN) as fake_api,
    ):
        values: dict[str, Any] = {
            "port": 0,
            "admin": "127.0.0.1:0",
            "public_url": PUBLIC_URL,
            "vapi_url": vapi.url,
            "vapi_api_key": vapi.api_key,
            "vapi_webhook_secret": SECRET,
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": TOKEN,
            "twilio_api_url": fake_api.url,
            "assistant_id": "asst_1",
        }
        bridge = Bridge(BridgeConfig(**values))
        scene = Scene(bridge, vapi, fake_api)
        bridge.on_event(lambda _call, event: scene.events.append(event))
        if acts_on_phone:

            @bridge.on_call
            async def choose(info: CallInfo) -> CallOptions:
                return CallOptions(
                    assistant_id="asst_1", overrides={"serverMessages": ["phone-call-control"]}
                )

        if prepare is not None:
            prepare(bridge)
        async with bridge:
            vapi.server_url = f"http://127.0.0.1:{bridge.port}/vapi/webhook"
            yield scene


def with_desk_tool(bridge: Bridge) -> None:
    @bridge.tool("to_the_desk")
    def to_the_desk(call: Call | None, args: dict[str, Any]) -> str:
        if call is not None:  # in a thread of its own
            call.forward(NUMBER, message="One moment.")
            with pytest.raises(ConfigError):
                call.forward("911")
        return "done"


async def test_a_tool_forwards_a_call_of_twilios_that_nobody_hangs_up(log: io.StringIO) -> None:
    assistant = AssistantScript((CallTool("to_the_desk"),))
    async with twilio(assistant, with_desk_tool) as scene:
        async with scene.calling() as phone:
            pass
        (leg,) = scene.vapi.calls.values()
        await leg.ended(5)
        assert scene.ended == ["forwarded"]
        assert scene.api.forwards == [(phone.call_sid, Forwarded("number", NUMBER, message="One moment."))]
        assert [set(post.form) for post in scene.api.posts] == [{"Twiml"}]
        assert (phone.ended_by, phone.stop_sent, phone.violations) == ("redirect", True, [])
        assert [text for _, text in leg.texts_received] == [{"type": "end-call"}]
        assert scene.bridge.book.ended_by_reason == {"forwarded": 1}
    assert "4155550100" not in log.getvalue()
    assert "reason=forwarded" in log.getvalue()


async def test_a_transfer_that_vapi_tells_of_is_done_once_though_the_assistant_leaves_with_it() -> None:
    async with twilio() as scene:
        async with scene.calling() as phone:
            (leg,) = scene.vapi.calls.values()
            await leg.send_event(TRANSFER)
            await leg.send_event(FORWARDING)
            await leg.end("assistant-forwarded-call")
        assert scene.ended == ["forwarded"]
        assert scene.api.forwards == [(phone.call_sid, Forwarded("number", NUMBER))]
        assert len(scene.api.posts) == 1


def with_desk(bridge: Bridge) -> None:
    @bridge.on_transfer
    async def to_the_desk(call: Call | None, request: TransferDestinationRequest) -> TransferReply:
        return TransferReply(destination=NumberDestination(number=NUMBER, message="One moment."))


@pytest.mark.parametrize("acts_on_phone", [True, pytest.param(False, marks=pytest.mark.slow)])
async def test_who_is_transferred_by_the_assistant_hears_its_last_words_first(acts_on_phone: bool) -> None:
    assistant = AssistantScript((Speak("let_me_check"), Transfer()))
    async with twilio(assistant, with_desk, acts_on_phone=acts_on_phone) as scene:
        async with scene.calling() as phone:
            pass
        assert scene.ended == ["forwarded"]
        assert scene.api.forwards == [(phone.call_sid, Forwarded("number", NUMBER, message="One moment."))]
        assert len(scene.api.posts) == 1
        spoken_ms, heard_ms = clip_ms("let_me_check"), len(phone.ear.heard.strip(b"\xff")) / 8
        assert heard_ms >= spoken_ms - 100
        assert phone.violations == []
        (leg,) = scene.vapi.calls.values()
        assert leg.violations == []


async def test_vapis_webhook_forwards_the_call_that_its_socket_tells_of_too() -> None:
    async with twilio() as scene:
        async with scene.calling() as phone:
            (leg,) = scene.vapi.calls.values()
            control = {"type": "phone-call-control", "request": "forward"}
            leg.post(control | {"destination": TRANSFER["destination"]})
            await leg.send_event(TRANSFER)
        await leg.ended(5)
        assert scene.ended == ["forwarded"]
        assert scene.api.forwards == [(phone.call_sid, Forwarded("number", NUMBER))]
        assert not any(isinstance(event, ForwardFailed) for event in scene.events)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_call_that_we_make_is_forwarded_once_it_is_live_and_not_hung_up(provider: str) -> None:
    async with nothing_left(), faked(provider, ring_s=0.1) as (line, api):
        call = await line.dial()
        with pytest.raises(StateError, match="CallStarted"):
            call.forward(NUMBER)  # it rings
        leg = await line.scene.vapi.leg()
        await until(lambda: leg.audio)
        call.forward(NUMBER)
        assert (await call.ended()).reason == "forwarded"
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert [(id_, one.address) for id_, one in api.forwards] == [(call.id, NUMBER)]
    asked = [*api.posts] if isinstance(api, FakeTwilioApi) else [r for r in api.requests if r.method == "PUT"]
    assert len(asked) == 1 and api.violations == []
    assert leg.texts == [{"type": "end-call"}]


class Slow(FakeTwilioApi):
    """An API that takes its time."""

    async def _update(self, request: web.Request) -> web.Response:
        await asyncio.sleep(0.2)
        return await super()._update(request)


@pytest.mark.parametrize("status", [None, 500])
async def test_a_bridge_that_stops_waits_for_a_forward_and_hangs_nobody_up(status: int | None) -> None:
    async with twilio(api=Slow) as scene:
        scene.api.status = status
        async with scene.calling() as phone:
            scene.bridge.calls[0].handle.forward(NUMBER)
            await scene.bridge.close()
        assert scene.ended == ["drain"]
        assert [set(post.form) for post in scene.api.posts] == [{"Twiml"}]
        # Where it fails the stream is closed, and as nothing follows it in the TwiML the call ends.
        assert phone.ended_by == ("redirect" if status is None else "bridge")


async def test_a_forward_that_the_provider_refuses_is_told_and_the_call_goes_on(log: io.StringIO) -> None:
    async with twilio() as scene:
        scene.api.status = 500
        async with scene.calling() as phone:
            (leg,) = scene.vapi.calls.values()
            handle = scene.bridge.calls[0].handle
            handle.forward("sip:desk@example.com")
            with pytest.raises(StateError):
                handle.forward(NUMBER)
            await until(lambda: any(isinstance(event, ForwardFailed) for event in scene.events))
            heard = len(leg.uplink)
            await until(lambda: len(leg.uplink) > heard)
            phone.hang_up()
        assert scene.ended == ["provider_stop"]
        assert ForwardFailed("the provider refused with status 500") in scene.events
        assert scene.bridge.counters["forward_failed"] == 1
    assert "not forwarded: the provider refused with status 500" in log.getvalue()
    assert "desk@example.com" not in log.getvalue()


class Lingering(FakeVonageCall):
    """A socket that Vonage leaves open when its phone is gone."""

    def hang_up(self, by: str = "caller") -> None:
        if by != "transfer":
            super().hang_up(by)


@pytest.mark.parametrize("kind", [FakeVonageCall, Lingering])
async def test_a_call_of_vonages_is_transferred_and_nobody_gets_a_fallback(
    kind: type[FakeVonageCall], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapimedia.protocols.vonage._HANGUP_GRACE_MS", 100)
    asked: list[str] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_fallback
        async def fall_back(info: object, status: str) -> Any:
            asked.append(status)
            return [{"action": "talk", "text": "Goodbye."}]

    async with vonage_scene.running(None, prepare) as scene:
        phone = scene.phone(kind)
        running = asyncio.create_task(phone.run())
        await until(lambda: any(call.uplink for call in scene.vapi.calls.values()))
        scene.bridge.calls[0].handle.forward("sip:desk@example.com", message="One moment.")
        await running
        await until(lambda: bool(scene.ended))
        assert [event.reason for event in scene.ended] == ["forwarded"]
        shown = Forwarded("sip", "sip:desk@example.com", "+15005550001", message="One moment.")
        assert scene.api.forwards == [(phone.call_uuid, shown)]
        assert (phone.violations, scene.api.violations, asked) == ([], [], [])
        assert [request.body["action"] for request in scene.api.requests] == ["transfer"]
        assert "completed" not in phone.phone_statuses
        assert phone.ended_by == ("transfer" if kind is FakeVonageCall else "bridge")
