"""Calls that a bridge makes, against the fakes of both providers' APIs: one end each, and Vapi only if answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from outbound_scene import FROM, NO_ANSWER, PROVIDERS, TO, Line, faked
from wire import nothing_left, on_both_loops, until

from vapimedia import CallOptions
from vapimedia.errors import ConfigError, ProviderError, StateError
from vapimedia.session import CallStarted
from vapimedia.testing import FakeTwilioApi
from vapimedia.testing.fake_vonage_api import FakeVonageApi

Api = FakeTwilioApi | FakeVonageApi
ENDED = {"type": "status-update", "status": "ended", "endedReason": "assistant-ended-call"}


def made(api: Api) -> list[Any]:
    return api.dialled if isinstance(api, FakeTwilioApi) else api.calls


def asked_to_end(api: Api) -> list[str]:
    """The calls that the API was asked to end."""
    if isinstance(api, FakeTwilioApi):
        return [post.call_sid for post in api.posts]
    return [one.call_uuid for one in api.requests if one.method == "PUT"]


def violations(api: Api) -> list[str]:
    calls = [] if isinstance(api, FakeTwilioApi) else [one.call for one in api.calls]
    return [*api.violations, *(text for call in calls for text in call.violations)]


async def let_end(line: Line) -> None:
    """Have the assistant end the call once it is live."""
    leg = await line.scene.vapi.leg()
    await until(lambda: leg.audio)
    await leg.say(ENDED)


@pytest.mark.parametrize("provider", PROVIDERS)
@on_both_loops
async def test_a_call_that_is_answered_is_live_and_ends_once(provider: str) -> None:
    async with nothing_left(), faked(provider) as (line, api):
        call = await line.dial(options=CallOptions(parameters={"order": "17"}))
        assert call.id and call.info.direction == "outbound" and call.provider == provider
        await let_end(line)
        ended = await call.ended()
        assert (ended.reason, ended.detail) == ("vapi_ended", "assistant-ended-call")
        started = [event for event in line.scene.events if isinstance(event, CallStarted)]
        assert [event.parameters for event in started] == [{"order": "17"}]
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.statuses == ["ringing", "answered"]
    assert line.reasons == ["vapi_ended"]
    assert len(line.scene.vapi.requests) == 1
    assert violations(api) == []


@pytest.mark.parametrize(
    "provider,outcome,reason",
    [
        ("twilio", "busy", "busy"),
        ("twilio", "no-answer", "unanswered"),
        ("twilio", "failed", "failed"),
        ("twilio", "canceled", "cancelled"),
        ("vonage", "busy", "busy"),
        ("vonage", "unanswered", "unanswered"),
        ("vonage", "timeout", "unanswered"),
        ("vonage", "rejected", "rejected"),
        ("vonage", "failed", "failed"),
    ],
)
@on_both_loops
async def test_a_call_that_nobody_answers_ends_once_and_vapi_is_not_asked(
    provider: str, outcome: str, reason: str
) -> None:
    async with nothing_left(), faked(provider, outcome) as (line, api):
        call = await line.dial()
        ended = await call.ended()
        assert ended.reason == reason and ended.summary.started_ns is None
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.reasons == [reason]
    assert line.scene.vapi.requests == [] and asked_to_end(api) == []
    assert violations(api) == []


@pytest.mark.parametrize(
    "provider,word,detail", [("twilio", "Enable", "machine_start"), ("vonage", "continue", None)]
)
async def test_who_answers_is_told_and_a_machine_is_talked_to(
    provider: str, word: str, detail: str | None
) -> None:
    async with faked(provider, "machine") as (line, api):
        call = await line.dial(machine_detection=word)
        await until(lambda: "machine" in line.statuses)
        await let_end(line)
        assert (await call.ended()).reason == "vapi_ended"
    machine = next(event for event in line.scene.events if getattr(event, "status", "") == "machine")
    assert detail is None or machine.detail == detail
    assert violations(api) == []


async def test_vonage_hangs_up_on_a_machine_where_it_is_told_to() -> None:
    async with faked("vonage", "machine") as (line, api):
        call = await line.dial(machine_detection="hangup")
        await call.ended()
    assert len(line.reasons) == 1 and "machine" in line.statuses
    assert violations(api) == []


@pytest.mark.parametrize("provider", PROVIDERS)
@on_both_loops
async def test_a_call_that_is_hung_up_while_it_rings_ends_at_the_provider_and_vapi_is_not_asked(
    provider: str,
) -> None:
    async with nothing_left(), faked(provider, ring_s=5) as (line, api):
        call = await line.dial()
        await until(lambda: "ringing" in line.statuses)
        call.hang_up("changed my mind")
        ended = await call.ended()
        assert (ended.reason, ended.detail) == ("hang_up", "changed my mind")
        await until(lambda: asked_to_end(api) == [call.id])
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.reasons == ["hang_up"] and line.scene.vapi.requests == []
    assert violations(api) == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how", ["close", "drain"])
async def test_a_bridge_that_stops_ends_a_call_that_still_rings(provider: str, how: str) -> None:
    async with faked(provider, ring_s=5, drain_s=0.1) as (line, api):
        call = await line.dial()
        await until(lambda: "ringing" in line.statuses)
        await getattr(line.scene.bridge, how)()
        assert (await call.ended()).reason == "drain"
        assert asked_to_end(api) == [call.id]
        line.expect_nothing_left()
    assert line.reasons == ["drain"] and line.scene.vapi.requests == []


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_a_call_that_rings_when_draining_begins_may_still_be_answered(provider: str) -> None:
    async with faked(provider, ring_s=0.4) as (line, api):
        call = await line.dial()
        draining = asyncio.create_task(line.scene.bridge.drain())
        await asyncio.sleep(0)
        with pytest.raises(StateError, match="draining"):
            await line.dial()
        await let_end(line)
        assert (await call.ended()).reason == "vapi_ended"
        await draining
    assert len(made(api)) == 1 and violations(api) == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("status", [400, 401, 500])
@on_both_loops
async def test_an_api_that_refuses_raises_and_the_call_has_failed_once(provider: str, status: int) -> None:
    async with nothing_left(), faked(provider) as (line, api):
        api.status = status
        with pytest.raises(ProviderError) as caught:
            await line.dial()
        assert caught.value.status == status
        assert TO not in str(caught.value) and TO[1:] not in str(caught.value)
        await until(lambda: not line.scene.bridge._tasks)
        line.expect_nothing_left()
    assert line.reasons == ["failed"] and line.scene.ended[0].detail == f"status {status}"
    assert line.scene.vapi.requests == [] and made(api) == [] and asked_to_end(api) == []


async def test_vonage_calls_the_media_socket_alone_and_its_other_side_hears_the_document() -> None:
    document = [{"action": "talk", "text": "Hello"}]
    async with faked("vonage") as (line, api):
        call = await line.dial(None, document=document)
        assert call.info.to == ""
        await let_end(line)
        assert (await call.ended()).reason == "vapi_ended"
    assert isinstance(api, FakeVonageApi)
    assert api.calls[0].body["ncco"] == document and api.calls[0].body["to"][0]["type"] == "websocket"
    assert line.reasons == ["vapi_ended"] and violations(api) == []


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_the_number_to_call_from_is_the_settings_unless_it_is_given(provider: str) -> None:
    async with faked(provider, NO_ANSWER[provider]) as (line, api):
        await (await line.dial()).ended()
        await (await line.dial(from_="+15557779999")).ended()
    one, two = [
        call.form["From"] if isinstance(api, FakeTwilioApi) else call.body["from"]["number"]
        for call in made(api)
    ]
    assert (one.lstrip("+"), two.lstrip("+")) == (FROM[1:], "15557779999")


@pytest.mark.parametrize(
    "provider,wanted,words",
    [
        ("twilio", {"to": None}, "not the media socket alone"),
        ("twilio", {"to": "five"}, "E.164"),
        ("vonage", {"to": "five"}, "E.164"),
        ("twilio", {"ring_timeout_s": 0}, "ring_timeout_s is 0"),
        ("vonage", {"ring_timeout_s": 601}, "ring_timeout_s is 601"),
        ("twilio", {"machine_detection": "loud"}, "machine_detection"),
        ("vonage", {"machine_detection": "loud"}, "machine_detection"),
        ("browser", {}, "this bridge can with twilio, vonage"),
        ("nowhere", {}, "cannot dial with provider 'nowhere'"),
    ],
)
async def test_what_cannot_be_dialled_is_a_wrong_setting_and_nothing_is_made(
    provider: str, wanted: dict[str, Any], words: str
) -> None:
    async with faked("twilio", providers=(*PROVIDERS, "browser"), browser_secret="s" * 32) as (line, api):
        line.provider = provider
        with pytest.raises(ConfigError, match=words):
            await line.dial(**wanted)
        line.expect_nothing_left()
    assert line.scene.events == [] and made(api) == []


async def test_a_provider_must_be_chosen_where_several_can_dial() -> None:
    async with faked("twilio", "busy") as (line, _api):
        with pytest.raises(ConfigError, match="choose the provider to dial with: twilio, vonage"):
            await line.scene.bridge.dial(TO)
    async with faked("twilio", "busy", providers=("twilio",)) as (line, _api):
        assert (await (await line.scene.bridge.dial(TO)).ended()).reason == "busy"


async def test_a_bridge_dials_no_more_calls_than_it_carries() -> None:
    async with faked("twilio", ring_s=5, max_calls=1) as (line, _api):
        await line.dial()
        with pytest.raises(StateError, match="carries 1 calls already"):
            await line.dial()
        assert len(line.scene.bridge.calls) == 1
