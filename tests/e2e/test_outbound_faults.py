"""What may go wrong while a call is made: a slow, silent or lying API, early and forged callbacks, a dial given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from outbound_scene import PROVIDERS, TO, Asked, StubApi, call_id, faked, stubbed
from wire import nothing_left, on_both_loops, until

from vapimedia import Bridge, BridgeConfig, CallInfo, CallOptions, Reject
from vapimedia.errors import ConfigError, ProviderError, StateError
from vapimedia.testing import FakeTwilioApi

both = pytest.mark.parametrize("provider", PROVIDERS)


@pytest.fixture(autouse=True)
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the end of a bridge waits for, besides requests that something hangs on."""
    monkeypatch.setattr("vapimedia.io.leftovers._CLOSE_GRACE_S", 0.2)


async def never(_asked: Asked) -> web.StreamResponse | None:
    await asyncio.sleep(30)
    return None


def after(gate: asyncio.Event) -> Callable[[Asked], Any]:
    async def make(_asked: Asked) -> None:
        await gate.wait()

    return make


# --- the API does not answer ---------------------------------------------------------------------


@both
@on_both_loops
async def test_an_api_that_does_not_answer_raises_within_its_timeout(provider: str) -> None:
    async with nothing_left(), stubbed(provider, never) as (line, api):
        line.scene.bridge.client._timeout_s = 0.1
        async with asyncio.timeout(3):
            with pytest.raises(ProviderError, match="did not answer") as caught:
                await line.dial()
        assert caught.value.status is None
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.reasons == ["failed"] and line.scene.ended[0].detail == "no answer"
    assert line.scene.vapi.requests == [] and api.hang_ups == []


@both
async def test_an_api_that_cannot_be_reached_raises(provider: str) -> None:
    changes = {"twilio_api_url": "http://127.0.0.1:1", "vonage_api_url": "http://127.0.0.1:1"}
    async with stubbed(provider, **changes) as (line, _api):
        with pytest.raises(ProviderError, match=r"127\.0\.0\.1 did not answer"):
            await line.dial()
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.reasons == ["failed"]


@both
async def test_an_answer_that_names_no_call_raises(provider: str) -> None:
    async def make(_asked: Asked) -> web.Response:
        return web.Response(status=201, text="<html>")

    async with stubbed(provider, make) as (line, _api):
        with pytest.raises(ProviderError, match="told no proper"):
            await line.dial()
        line.expect_nothing_left()
    assert line.reasons == ["failed"]


@both
@pytest.mark.parametrize("status", ["ringing", "in-progress"])
async def test_a_call_that_was_made_although_the_api_did_not_say_so_is_hung_up_when_it_shows(
    provider: str, status: str
) -> None:
    async with stubbed(provider, never) as (line, api):
        line.scene.bridge.client._timeout_s = 0.4
        with pytest.raises(ProviderError):
            await line.dial()
        line.scene.bridge.client._timeout_s = 5.0
        url = api.asked[0].status_url
        assert (await line.status(url, status)).status == 204
        await until(lambda: api.hang_ups == [call_id(provider)])
        assert (await line.status(url, status)).status == 204
        assert (await line.status(url, "completed")).status == 204
        await until(lambda: not line.scene.bridge._tasks)
        assert line.scene.bridge.counters["given_up_call"] == 1
    assert api.hang_ups == [call_id(provider)]
    assert line.reasons == ["failed"] and line.scene.vapi.requests == []


@both
async def test_a_call_given_up_that_shows_its_end_alone_is_left_alone(provider: str) -> None:
    async with stubbed(provider, never) as (line, api):
        line.scene.bridge.client._timeout_s = 0.4
        with pytest.raises(ProviderError):
            await line.dial()
        assert (await line.status(api.asked[0].status_url, "busy")).status == 204
        await until(lambda: not line.scene.bridge._tasks)
    assert api.hang_ups == [] and line.reasons == ["failed"]


# --- a dial that is given up ---------------------------------------------------------------------


@both
@on_both_loops
async def test_a_dial_that_is_cancelled_hangs_up_by_the_id_as_soon_as_that_is_known(provider: str) -> None:
    gate = asyncio.Event()
    async with nothing_left(), stubbed(provider, after(gate)) as (line, api):
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling
        assert line.reasons == ["hang_up"] and api.hang_ups == []
        assert line.scene.bridge.calls == []
        gate.set()
        await until(lambda: api.hang_ups == [call_id(provider)])
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.reasons == ["hang_up"] and line.scene.vapi.requests == []


@both
async def test_a_dial_that_is_cancelled_and_then_refused_leaves_nothing(provider: str) -> None:
    gate = asyncio.Event()

    async def make(_asked: Asked) -> web.Response:
        await gate.wait()
        return web.json_response({"message": "no"}, status=400)

    async with nothing_left(), stubbed(provider, make) as (line, api):
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
        gate.set()
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.reasons == ["hang_up"] and api.hang_ups == []


@both
@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_closing_waits_for_the_call_that_the_provider_is_making_and_hangs_it_up(
    provider: str, is_cancelled: bool
) -> None:
    async def make(_asked: Asked) -> None:
        await asyncio.sleep(0.4)  # longer than what else is waited for

    async with stubbed(provider, make) as (line, api):
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        if is_cancelled:
            dialling.cancel()
            await asyncio.wait([dialling])
        await line.scene.bridge.close()
        assert api.hang_ups == [call_id(provider)]
        if not is_cancelled:
            assert (await (await dialling).ended()).reason == "drain"
    assert line.reasons == ["hang_up" if is_cancelled else "drain"]


@both
async def test_closing_waits_no_longer_for_the_provider_than_its_client_does(provider: str) -> None:
    async with stubbed(provider, never) as (line, api):
        line.scene.bridge.client._timeout_s = 0.2
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        async with asyncio.timeout(3):
            await line.scene.bridge.close()
        with pytest.raises((ProviderError, StateError)):
            await dialling
    assert line.reasons == ["drain"]


@both
async def test_a_dial_that_the_bridges_end_cuts_says_so(provider: str) -> None:
    async with stubbed(provider, never) as (line, api):
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        line.scene.bridge.client._timeout_s = 0.1  # of what is asked from now on
        await line.scene.bridge.close()
        with pytest.raises(StateError, match="closed before"):
            await dialling
    assert line.reasons == ["drain"]


@both
async def test_closing_waits_for_the_hang_up_of_a_call_that_rings(provider: str) -> None:
    async with stubbed(provider) as (line, api):
        api.hang_up_s = 0.4  # longer than what else is waited for
        await line.dial()
        await line.scene.bridge.close()
        assert api.hang_ups == [call_id(provider)]


# --- callbacks and sockets that come early -------------------------------------------------------


@both
@on_both_loops
async def test_a_callback_that_comes_before_the_apis_answer_is_not_lost(provider: str) -> None:
    gate = asyncio.Event()
    async with stubbed(provider, after(gate)) as (line, api):
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        assert (await line.status(api.asked[0].status_url, "ringing")).status == 204
        assert line.statuses == ["ringing"]
        assert (await line.status(api.asked[0].status_url, "busy")).status == 204
        assert line.reasons == ["busy"]
        gate.set()
        call = await dialling
        assert call.id == call_id(provider) and (await call.ended()).reason == "busy"
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert api.hang_ups == [] and line.scene.vapi.requests == []


@both
async def test_a_media_socket_that_comes_before_the_apis_answer_is_taken(provider: str) -> None:
    gate = asyncio.Event()
    async with stubbed(provider, after(gate)) as (line, api):
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        async with line.media(api.asked[0].media_url) as (_wire, answer):
            assert answer.status == 101
            leg = await line.scene.vapi.leg()  # the socket alone says that somebody is there
            gate.set()
            call = await dialling
            assert call.id == call_id(provider)
            call.hang_up("enough")
            await until(lambda: leg.is_over)
    assert line.reasons == ["hang_up"] and len(line.scene.vapi.requests) == 1


@both
async def test_vapi_is_asked_as_soon_as_somebody_answers_and_not_when_it_rings(provider: str) -> None:
    async with stubbed(provider) as (line, api):
        await line.dial()
        await line.status(api.asked[0].status_url, "ringing")
        assert line.scene.vapi.requests == [] and line.scene.bridge.calls[0].creating is None
        await line.status(api.asked[0].status_url, "in-progress")
        await until(lambda: len(line.scene.vapi.requests) == 1)


@both
async def test_vapi_is_asked_once_whatever_tells_that_somebody_answered(provider: str) -> None:
    async with stubbed(provider) as (line, api):
        await line.dial()
        url = api.asked[0].status_url
        for _ in range(2):
            assert (await line.status(url, "in-progress")).status == 204
        async with line.media(api.asked[0].media_url) as (_wire, answer):
            assert answer.status == 101
            await line.scene.vapi.leg()
            await line.status(url, "in-progress")
        await until(lambda: line.reasons)
    assert len(line.scene.vapi.requests) == 1


# --- callbacks that are not ours -----------------------------------------------------------------


@both
@pytest.mark.parametrize("status", ["in-progress", "busy", "completed"])
async def test_a_forged_callback_is_refused_and_changes_nothing(provider: str, status: str) -> None:
    async with stubbed(provider) as (line, api):
        await line.dial()
        url = api.asked[0].status_url
        forged = await line.status(url, status, signed=False)
        assert forged.status in {401, 403}
        unsigned = await line.scene.post(url.removeprefix("https://bridge.test"), b"{}")
        assert unsigned.status in {401, 403}
        assert line.scene.events == [] and len(line.scene.bridge.calls) == 1
        assert (await line.status(url, "busy")).status == 204
    assert line.reasons == ["busy"] and line.scene.vapi.requests == []


@both
async def test_a_callback_about_a_call_that_nobody_knows_is_answered_and_changes_nothing(
    provider: str,
) -> None:
    async with stubbed(provider) as (line, api):
        await line.dial()
        known = api.asked[0].status_url
        for unknown in ("0123456789abcdef", "%2e%2e", "x" * 500):
            url = f"{known.rpartition('/')[0]}/{unknown}"
            assert (await line.status(url, "busy", number=7)).status == 204
        assert line.scene.events == [] and len(line.scene.bridge.calls) == 1
    assert api.hang_ups == [call_id(provider)]  # the bridge's end


@both
async def test_each_of_two_calls_has_its_own_callbacks(provider: str) -> None:
    async with stubbed(provider) as (line, api):
        one, two = await line.dial(), await line.dial()
        assert api.asked[0].status_url != api.asked[1].status_url
        assert api.asked[0].media_url != api.asked[1].media_url
        await line.status(api.asked[1].status_url, "busy", number=2)
        assert (await two.ended()).reason == "busy"
        await line.status(api.asked[0].status_url, "no-answer", number=1)
        assert (await one.ended()).reason == "unanswered"


# --- the user's choice ---------------------------------------------------------------------------


@pytest.mark.parametrize("chosen", [CallOptions(assistant_id="asst_of_on_call"), Reject("not today"), None])
async def test_without_an_assistant_on_call_chooses_who_talks(chosen: CallOptions | Reject | None) -> None:
    asked: list[CallInfo] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(info: CallInfo) -> CallOptions | Reject | None:
            asked.append(info)
            return chosen

    async with faked("twilio", prepare=prepare, assistant_id="") as (line, _api):
        if isinstance(chosen, CallOptions):
            call = await line.dial()
            leg = await line.scene.vapi.leg()
            call.hang_up("enough")
            await until(lambda: leg.is_over)
            assert line.scene.vapi.requests[0]["assistantId"] == "asst_of_on_call"
        else:
            with pytest.raises(ConfigError, match="not today" if chosen else "no assistant"):
                await line.dial()
            assert line.scene.events == []
        assert (asked[0].direction, asked[0].to) == ("outbound", TO)
        await line.dial(options=CallOptions(assistant_id="asst_of_dial"))
    assert len(asked) == 1  # who says it when dialling is not asked


async def test_with_an_assistant_on_call_is_not_asked() -> None:
    asked: list[CallInfo] = []

    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(info: CallInfo) -> Reject:
            asked.append(info)
            return Reject("not today")

    async with faked("twilio", "busy", prepare=prepare) as (line, _api):
        await (await line.dial()).ended()
    assert asked == [] and line.reasons == ["busy"]


async def test_a_bridge_that_begins_to_drain_while_on_call_chooses_calls_nobody() -> None:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(info: CallInfo) -> CallOptions:
            bridge.reception.drain()
            return CallOptions(assistant_id="asst_1")

    async with faked("twilio", prepare=prepare, assistant_id="") as (line, api):
        with pytest.raises(StateError, match="draining"):
            await line.dial()
        line.expect_nothing_left()
    assert isinstance(api, FakeTwilioApi) and api.dialled == []


async def test_a_bridge_dials_between_its_start_and_its_end_only() -> None:
    bridge = Bridge(BridgeConfig(auth=False, vapi_api_key="k", assistant_id="a", port=0, admin="127.0.0.1:0"))
    with pytest.raises(StateError, match="has not started"):
        await bridge.dial(TO)
    async with stubbed("twilio") as (line, api):
        await line.scene.bridge.close()
        with pytest.raises(StateError):
            await line.dial()
    assert isinstance(api, StubApi) and api.asked == []
