"""Calls that live on at the provider although we want them no more, and those that ring on while we drain."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from aiohttp import web
from outbound_scene import PROVIDERS, Asked, call_id, stubbed
from scene import start
from wire import until

import vapimedia.io.outbound as outbound_module
from vapimedia import ConfigError
from vapimedia.errors import ProviderError

both = pytest.mark.parametrize("provider", PROVIDERS)


async def refuse(asked: Asked) -> web.Response:
    """Make the call, perhaps, and say nothing of it."""
    return web.json_response({}, status=504)


@both
async def test_a_hang_up_that_fails_is_tried_again_when_the_call_is_heard_of(provider: str) -> None:
    async with stubbed(provider) as (line, api):
        api.refusals += [500, 500]
        call = await line.dial()
        call.hang_up("enough")
        await until(lambda: api.hang_ups == [call.id])
        await until(lambda: line.scene.bridge.counters["hangup_failed"] == 1)
        url = api.asked[0].status_url
        for n_tries in (2, 3):
            assert (await line.status(url, "in-progress")).status == 204
            await until(lambda n=n_tries: api.hang_ups == [call.id] * n)  # type: ignore[misc]
        await until(lambda: not line.scene.bridge._tasks)
        assert (await line.status(url, "in-progress")).status == 204
        assert api.hang_ups == [call.id] * 3
    assert line.reasons == ["hang_up"] and line.scene.vapi.requests == []


@both
async def test_a_call_that_ended_by_itself_is_not_hung_up_any_more(provider: str) -> None:
    async with stubbed(provider) as (line, api):
        api.refusals += [500]
        call = await line.dial()
        call.hang_up("enough")
        await until(lambda: line.scene.bridge.counters["hangup_failed"] == 1)
        url = api.asked[0].status_url
        await line.status(url, "completed")
        await line.status(url, "in-progress")
        assert api.hang_ups == [call.id]


async def test_what_names_no_call_does_not_use_up_that_one_was_given_up() -> None:
    async with stubbed("vonage", refuse) as (line, api):
        with pytest.raises(ProviderError):
            await line.dial()
        url = api.asked[0].status_url
        media = {"to": "wss://bridge.test/vonage/media/x", "uuid": "00000000-0000-4000-8000-00000000beef"}
        assert (await line.status(url, "started", **media)).status == 204
        assert (await line.status(url, "in-progress", **media)).status == 204
        assert api.hang_ups == [] and line.scene.bridge.counters["given_up_call"] == 0
        assert (await line.status(url, "ringing")).status == 204
        await until(lambda: api.hang_ups == [call_id("vonage")])
        assert line.scene.bridge.counters["given_up_call"] == 1


async def test_a_callback_of_another_provider_changes_nothing() -> None:
    async with stubbed("vonage") as (line, api):
        await line.dial()
        url = api.asked[0].status_url.replace("/vonage/event/", "/twilio/status/")
        line.provider = "twilio"
        assert (await line.status(url, "busy")).status == 204
        assert line.reasons == [] and len(line.scene.bridge.calls) == 1


async def test_media_of_another_call_than_the_one_that_was_made_ends_both() -> None:
    gate = asyncio.Event()

    async def made_late(asked: Asked) -> None:
        await gate.wait()

    async with stubbed("twilio", made_late) as (line, api):
        dialling = asyncio.create_task(line.dial())
        await until(lambda: api.asked)
        async with line.media(api.asked[0].media_url) as (wire, answer):
            assert answer.status == 101
            wire.text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
            wire.text(start(77))
            await until(lambda: any(call.call_id for call in line.scene.bridge.calls))
            gate.set()
            await dialling
            await until(lambda: line.reasons)
    assert line.reasons == ["hang_up"] and line.scene.bridge.counters["foreign_start"] == 1


@both
async def test_a_call_that_is_answered_late_in_a_drain_gets_its_media(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vapimedia.io.desk._DRAIN_ACCEPT_S", 0.0)
    async with stubbed(provider) as (line, api):
        await line.dial()
        draining = asyncio.create_task(line.scene.bridge.drain())
        await until(lambda: line.scene.bridge.reception.admission() is not None)
        await asyncio.sleep(0.01)
        async with line.media(api.asked[0].media_url) as (_wire, answer):
            assert answer.status == 101
        await draining


@pytest.mark.parametrize(
    "wrong", [{"ring_timeout_s": "30"}, {"ring_timeout_s": 30.5}, {"options": {}}, {"to": 911}]
)
async def test_a_value_of_the_wrong_type_is_told_and_nobody_is_called(wrong: dict[str, object]) -> None:
    async with stubbed("twilio") as (line, api):
        to = wrong.pop("to", "+15557770456")
        with pytest.raises(ConfigError, match="dial: "):
            await line.dial(to, **wrong)  # type: ignore[arg-type]
        assert api.asked == []


@both
async def test_a_call_that_rings_for_too_long_ends_and_its_token_is_dead(
    provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = outbound_module.session_config
    monkeypatch.setattr(
        outbound_module,
        "session_config",
        lambda *a, **_: msgspec.structs.replace(original(*a), media_timeout_ms=100, ring_ms=100),
    )
    async with stubbed(provider) as (line, api):
        call = await line.dial()
        ended = await call.ended()
        assert ended.reason == "media_timeout"
        await until(lambda: api.hang_ups == [call.id])
        async with line.media(api.asked[0].media_url) as (_wire, answer):
            assert answer.status == 403
        line.expect_nothing_left()
    assert line.reasons == ["media_timeout"] and line.scene.vapi.requests == []
