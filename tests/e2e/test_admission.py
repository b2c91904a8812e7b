"""Who is let in: webhooks, tokens, upgrades, Vapi's webhooks; draining; a proxy in front."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode, urlsplit

import msgspec
import pytest
from scene import ACCOUNT, AUTH_TOKEN, SECRET, STOP, Scene, call_sid, running, start, stream_url
from twilio.request_validator import RequestValidator
from wire import Answer, connected, nothing_left, until

from vapimedia import Bridge, CallOptions, ConfigError
from vapimedia.session import CallStarted


async def upgrade(scene: Scene, url: str, *, token: str = AUTH_TOKEN) -> Answer:
    """Try a media socket."""
    signature = RequestValidator(token).compute_signature(url, {})
    async with connected(scene.bridge.port) as wire:
        return await wire.upgrade(urlsplit(url).path, {"X-Twilio-Signature": signature})


# --- webhooks ------------------------------------------------------------------------------------


async def test_a_signed_webhook_is_answered_with_a_one_time_media_url() -> None:
    async with running() as scene:
        answer = await scene.voice()
        assert (answer.status, answer.headers["content-type"]) == (200, "text/xml")
        assert answer.headers["connection"] == "close"
        assert stream_url(answer).startswith("wss://bridge.test/twilio/media/")


@pytest.mark.parametrize("path", ["/twilio/voice", "/twilio/status"])
async def test_a_webhook_without_a_valid_signature_gets_403(path: str) -> None:
    async with running() as scene:
        fields = {"AccountSid": ACCOUNT, "CallSid": call_sid()}
        assert (await scene.webhook(path, fields, token="another" * 5)).status == 403
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        assert (await scene.post(path, urlencode(fields).encode(), form)).status == 403
        assert scene.vapi.requests == []


async def test_a_webhook_that_names_no_call_gets_400() -> None:
    async with running() as scene:
        assert (await scene.webhook("/twilio/voice", {"AccountSid": ACCOUNT})).status == 400
        assert scene.bridge.calls == []


async def test_a_body_over_the_limit_gets_413() -> None:
    async with running() as scene:
        for path, most in (("/twilio/voice", 1 << 20), ("/vapi/webhook", 4 << 20)):
            answer = await scene.post(path, b"x" * (most + 1), {"X-Vapi-Secret": SECRET})
            assert (answer.status, answer.headers["connection"]) == (413, "close")


async def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vapimedia.io.request_body.BODY_TIMEOUT_S", 0.1)
    async with running() as scene, connected(scene.bridge.port) as wire:
        head = f"POST /vapi/webhook HTTP/1.1\r\nHost: b\r\nX-Vapi-Secret: {SECRET}\r\nContent-Length: 100\r\n\r\n{{"
        wire.send(head.encode())
        assert (await wire.answer()).status == 408


async def test_unknown_paths_get_404() -> None:
    async with running() as scene:
        assert (await scene.get("/nowhere")).status == 404
        assert (await scene.post("/vonage/event", b"")).status == 404
        assert (await upgrade(scene, "wss://bridge.test/vonage/media/x")).status == 404


async def test_a_webhook_that_is_sent_again_gets_the_same_answer() -> None:
    async def choose(_info: object) -> CallOptions:
        asked.append(1)
        await asyncio.sleep(0.02)
        return CallOptions(parameters={"customer": "42"})

    asked: list[int] = []
    async with running(prepare=lambda bridge: bridge.on_call(choose)) as scene:
        answers = await asyncio.gather(scene.voice(), scene.voice(), scene.voice())
        answers.append(await scene.voice())
        assert len({answer.body for answer in answers}) == 1
        assert b'"customer"' in answers[0].body
        await until(lambda: len(scene.vapi.requests) == 1)
        assert (len(asked), len(scene.bridge.calls)) == (1, 1)


async def test_an_answer_that_cannot_be_written_ends_the_call() -> None:
    async def choose(_info: object) -> CallOptions:
        return CallOptions(parameters={"too": "long" * 500})

    async with running(prepare=lambda bridge: bridge.on_call(choose)) as scene:
        answer = await scene.voice()
        assert answer.status == 200 and b"<Hangup" in answer.body
        assert [event.reason for event in scene.ended] == ["hang_up"]


async def test_a_webhook_that_is_sent_again_is_answered_when_no_other_call_is_taken() -> None:
    async with running(max_calls=1, drain_s=10) as scene:
        first = await scene.voice(1)
        assert (await scene.voice(2)).status == 503  # full
        assert (await scene.voice(1)).body == first.body
        draining = asyncio.create_task(scene.bridge.drain())
        await asyncio.sleep(0)
        assert (await scene.voice(1)).body == first.body
        scene.bridge.calls[0].hang_up("enough")
        await draining


# --- tokens --------------------------------------------------------------------------------------


async def test_a_token_is_good_for_one_socket() -> None:
    async with running() as scene:
        url = stream_url(await scene.voice())
        async with scene.socket(url):
            assert (await upgrade(scene, url)).status == 403


async def test_a_token_expires() -> None:
    async with running(token_ttl_s=0.05) as scene:
        url = stream_url(await scene.voice())
        await asyncio.sleep(0.06)
        assert (await upgrade(scene, url)).status == 403


async def test_a_token_that_was_changed_or_made_up_gets_403() -> None:
    async with running() as scene:
        url = stream_url(await scene.voice())
        flipped = url[:-5] + ("A" if url[-5] != "A" else "B") + url[-4:]
        for bad in (flipped, url[:-1], "wss://bridge.test/twilio/media", "wss://bridge.test/twilio/media/x"):
            assert (await upgrade(scene, bad)).status == 403
        async with scene.socket(url):
            pass


async def test_an_upgrade_without_a_valid_signature_gets_403_and_spends_no_token() -> None:
    async with running() as scene:
        url = stream_url(await scene.voice())
        assert (await upgrade(scene, url, token="another" * 5)).status == 403
        async with scene.socket(url):
            pass


async def test_a_start_for_another_call_than_the_token_was_made_for_ends_the_call() -> None:
    async with running() as scene:
        async with scene.socket(stream_url(await scene.voice(1))) as wire:
            wire.text(start(2))
            assert await wire.close_code() in (1000, 1002)
        await until(lambda: scene.ended)
        assert not any(isinstance(event, CallStarted) for event in scene.events)


# --- limits and draining -------------------------------------------------------------------------


async def test_a_full_bridge_refuses_new_calls() -> None:
    async with running(max_calls=1) as scene:
        assert (await scene.voice(1)).status == 200
        assert (await scene.voice(2)).status == 503
        assert (await scene.get("/readyz")).status == 503
        assert (await scene.get("/healthz")).status == 200


async def test_a_draining_bridge_refuses_calls_and_lets_the_live_ones_end() -> None:
    async with running(drain_s=10) as scene, scene.call() as (phone, leg):
        waiting = stream_url(await scene.voice(2))
        draining = asyncio.create_task(scene.bridge.drain())
        await asyncio.sleep(0)
        assert (await scene.voice(3)).status == 503
        assert (await scene.get("/readyz")).status == 503
        async with scene.socket(waiting) as second:  # its token is still good
            second.text(start(2))
            await scene.vapi.leg(2)
            second.close(1000)
            await second.close_code()
        assert not draining.done()
        phone.text(STOP)
        assert await phone.close_code() == 1000
        phone.close(1000)
        async with asyncio.timeout(3):
            await draining
        await until(lambda: leg.close_code == 1000)


@pytest.mark.parametrize(("drain_s", "status"), [(10.0, 200), (0.05, 503)])
async def test_a_webhook_that_waits_for_on_call_is_answered_by_a_drain(drain_s: float, status: int) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def choose(_info: object) -> CallOptions:
        asked.set()
        await release.wait()
        return CallOptions()

    async with running(prepare=lambda bridge: bridge.on_call(choose), drain_s=drain_s) as scene:
        answering = asyncio.create_task(scene.voice())
        await asked.wait()
        draining = asyncio.create_task(scene.bridge.drain())
        await asyncio.sleep(0)
        assert (await scene.voice(2)).status == 503
        if status == 200:
            release.set()
        assert (await answering).status == status
        for call in scene.bridge.calls:
            call.hang_up("enough")
        await draining
        assert len(scene.ended) == (status == 200)


async def test_the_limit_of_a_drain_ends_live_calls_with_1001_on_both_legs() -> None:
    async with running(drain_s=0.05) as scene, scene.call() as (phone, leg):
        draining = asyncio.create_task(scene.bridge.drain())
        assert await phone.close_code() == 1001
        phone.close(1001)
        await draining
        await until(lambda: leg.close_code == 1001)
        assert [event.reason for event in scene.ended] == ["drain"]


async def test_a_bridge_that_was_never_started_is_drained_and_closed_at_once() -> None:
    await Bridge().drain()
    await Bridge().close()


async def test_closing_a_bridge_twice_at_once_is_fine_and_leaves_nothing() -> None:
    async with nothing_left(), running() as scene:
        answer = await scene.voice()
        assert answer.status == 200
        await asyncio.gather(scene.bridge.close(), scene.bridge.close(), scene.bridge.drain())
        await scene.bridge.close()
        assert [event.reason for event in scene.ended] == ["drain"]


async def test_a_bridge_that_cannot_listen_says_so_and_leaves_nothing() -> None:
    async with running() as scene, nothing_left():
        for taken, flag in (
            ({"port": scene.bridge.port}, "--host or --port"),
            ({"admin": f"127.0.0.1:{scene.bridge.admin_port}"}, "--admin"),
        ):
            other = Bridge(msgspec.structs.replace(scene.bridge.config, **taken))
            with pytest.raises(ConfigError, match=f"cannot listen: .*; choose another {flag}$"):
                await other.start()


async def test_a_host_that_no_machine_can_have_is_an_error_of_the_settings() -> None:
    async with running() as scene, nothing_left():
        other = Bridge(msgspec.structs.replace(scene.bridge.config, host="a" * 70, port=0))
        with pytest.raises(ConfigError, match="cannot listen"):
            await other.start()


# --- Vapi's webhooks -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/vapi/webhook", "/voice/vapi/tool"])
async def test_vapis_webhooks_need_the_secret(path: str) -> None:
    async with running() as scene:
        message = {"type": "status-update", "status": "ended"}
        assert (await scene.vapi_webhook(message, path, secret="wrong")).status == 403
        assert scene.events == []
        assert (await scene.vapi_webhook(message, path)).status == 200
        assert len(scene.events) == 1


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"message":7}'])
async def test_a_webhook_that_is_no_message_gets_400_and_is_counted(body: bytes) -> None:
    async with running() as scene:
        answer = await scene.post("/vapi/webhook", body, {"X-Vapi-Secret": "webhook-secret-of-the-test"})
        assert answer.status == 400
        assert scene.bridge.counters == {"vapi_webhook_malformed": 1}


async def test_live_calls_are_listed_by_id_and_figures() -> None:
    async with running() as scene, scene.call():
        [shown] = json.loads((await scene.get("/calls", admin=True)).body)
        assert (shown["call_id"], shown["vapi_call_id"]) == (call_sid(), "vapi-call-1")
        metrics = (await scene.get("/metrics", admin=True)).body
        assert b"vapimedia_calls 1.0" in metrics
