"""Peers that are slow, dead or without a webhook; figures of what came of them."""

from __future__ import annotations

import asyncio

import pytest
from scene import media, running, start
from wire import PING, PONG, connected, on_both_loops, until

from vapimedia import Bridge, CallInfo, CallOptions, Reject


@on_both_loops
async def test_a_phone_that_answers_no_ping_is_given_up() -> None:
    async with running(ping_interval_s=0.1) as scene:
        async with scene.call() as (phone, leg):
            assert await phone.close_code() == 1001
            await until(lambda: leg.is_over)
        assert [event.reason for event in scene.ended] == ["provider_reset"]


async def test_a_phone_that_answers_pings_is_kept() -> None:
    async with running(ping_interval_s=0.05) as scene, scene.call() as (phone, _leg):
        for _ in range(4):
            opcode, payload = await phone.read_frame()
            assert opcode == PING
            phone.frame(PONG, payload)
        assert scene.ended == []


async def test_a_long_conversation_update_ends_no_call() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        await leg.say(
            {"type": "conversation-update", "messages": [{"role": "user", "message": "x" * 500_000}]}
        )
        phone.text(media(b"\x10" * 160))
        await until(lambda: b"\x10" * 160 in leg.audio)
        assert scene.ended == []


async def test_what_is_held_for_a_phone_that_never_reads_is_bounded() -> None:
    async with running() as scene, scene.call() as (phone, leg):
        phone.writer.transport.pause_reading()  # type: ignore[attr-defined]
        live = scene.bridge.calls[0]
        for _ in range(60):  # a minute of audio at a go, of which 60 s may be ahead of playout
            await leg.socket.send_bytes(b"\x20" * 60000)
        await until(lambda: live.summary().downlink.messages_in == 60)  # type: ignore[union-attr]
        assert live.provider.write_backlog < 4096
        phone.writer.transport.resume_reading()  # type: ignore[attr-defined]


async def test_without_authentication_a_bare_media_socket_is_a_call() -> None:
    async with (
        running(auth=False, public_url="", vapi_webhook_secret="") as scene,
        connected(scene.bridge.port) as wire,
    ):
        assert (await wire.upgrade("/twilio/media")).status == 101
        wire.text(start())
        leg = await scene.vapi.leg()
        wire.text(media(b"\x10" * 160))
        await until(lambda: b"\x10" * 160 in leg.audio)


async def test_with_authentication_a_bare_media_socket_is_refused() -> None:
    async with running() as scene, connected(scene.bridge.port) as wire:
        assert (await wire.upgrade("/twilio/media")).status == 403


@pytest.mark.parametrize("wanted", [Reject("closed"), CallOptions(assistant_id="a", squad_id="b")])
async def test_a_bare_call_that_is_not_wanted_is_closed(wanted: Reject | CallOptions) -> None:
    async def choose(_info: CallInfo) -> Reject | CallOptions:
        return wanted

    async with (
        running(prepare=lambda bridge: bridge.on_call(choose), auth=False) as scene,
        connected(scene.bridge.port) as wire,
    ):
        if (await wire.upgrade("/twilio/media")).status == 101:
            assert await wire.close_code() in (1000, 1001)
        await until(lambda: scene.ended)
        assert scene.vapi.requests == []


async def test_a_bare_call_that_left_while_the_user_chose_never_reaches_vapi() -> None:
    release = asyncio.Event()

    async def choose(_info: CallInfo) -> CallOptions:
        await release.wait()
        return CallOptions()

    def prepare(bridge: Bridge) -> None:
        bridge.on_call(choose)

    async with running(prepare=prepare, auth=False) as scene:
        async with connected(scene.bridge.port) as wire:
            await wire.upgrade("/twilio/media")
            wire.close(1000)
            await wire.close_code()
        await until(lambda: scene.ended)
        release.set()
        await scene.bridge.close()
        assert scene.vapi.requests == []


async def test_figures_of_ended_calls_stay_in_the_metrics() -> None:
    async with running() as scene:
        async with scene.call() as (phone, leg):
            for _ in range(5):
                phone.text(media(b"\x10" * 160))
            await until(lambda: leg.audio.count(b"\x10" * 160) == 5)
            live = (await scene.get("/metrics", admin=True)).body.decode()
        await until(lambda: not scene.bridge.calls)
        ended = (await scene.get("/metrics", admin=True)).body.decode()
    line = 'vapimedia_media_messages_total{direction="in",path="uplink"} 5.0'
    assert line in live and line in ended
    assert "vapimedia_calls 0.0" in ended
    assert 'vapimedia_calls_ended_total{reason="provider_reset"} 1.0' in ended
    assert len(scene.bridge.summaries) == 1
