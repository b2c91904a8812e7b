"""What a peer may ask of us is bounded, and what we write ourselves is escaped."""

from __future__ import annotations

import json
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from canaries import CANARIES
from fault_scene import faulty
from scene import stream_url
from twilio.request_validator import RequestValidator
from wire import connected, until

from vapimedia import AudioFormat, Bridge, BridgeConfig, CallInfo, CallOptions, ConfigError
from vapimedia.io import front_door, media_transport, webhooks
from vapimedia.protocols.dialect import Document
from vapimedia.protocols.vonage import VonageDialect, VonageSettings
from vapimedia.session import SessionConfig

EVIL = {
    "a": '"/><Dial>+15557770123</Dial><x y="',
    "b": "</Parameter></Stream></Connect><Reject/>",
    "c": "&lt;Hangup/&gt; ]]> <!-- %s {0} \u00e9\u4e2d",
    'd"><Reject/>': '","action":"talk","text":"' + CANARIES["a custom parameter"],
}


def test_the_limits_are_those_that_are_told() -> None:
    session, config = SessionConfig(vapi_format=AudioFormat("mulaw", 8000)), BridgeConfig()
    assert (session.media_timeout_ms, session.start_timeout_ms, session.idle_timeout_ms) == (
        15000,
        10000,
        30000,
    )
    assert (front_door.HANDSHAKE_TIMEOUT_S, media_transport.HANDSHAKE_TIMEOUT_S) == (5.0, 5.0)
    assert (front_door.MAX_HEAD_BYTES, webhooks.MAX_BODY_BYTES) == (8192, 1 << 20)
    assert (config.webhook_max_kib, config.max_calls, config.token_ttl_s) == (4096, 500, 60.0)


@pytest.mark.parametrize("is_chunked", [False, True], ids=["told", "chunked"])
async def test_a_body_may_have_1_mib_and_not_a_byte_more(is_chunked: bool) -> None:
    async with faulty() as scene:
        for n_bytes, status in ((1 << 20, 403), ((1 << 20) + 1, 413)):
            body = b"x" * n_bytes
            length = f"Content-Length: {n_bytes}"
            if is_chunked:
                length, body = "Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (n_bytes, body)
            async with connected(scene.bridge.port) as wire:
                wire.send(f"POST /twilio/voice HTTP/1.1\r\nHost: b\r\n{length}\r\n\r\n".encode() + body)
                assert (await wire.answer()).status == status


async def test_calls_above_the_limit_get_503_until_one_ends() -> None:
    async with faulty(max_calls=2) as scene:
        assert [(await scene.voice(number)).status for number in (1, 2, 3)] == [200, 200, 503]
        scene.bridge.calls[0].hang_up("enough")
        await until(lambda: len(scene.bridge.calls) == 1)
        assert (await scene.voice(3)).status == 200


async def test_no_media_leg_speaks_permessage_deflate() -> None:
    offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    async with faulty() as scene:
        url = stream_url(await scene.voice())
        signature = RequestValidator(scene.auth_token).compute_signature(url, {})
        async with connected(scene.bridge.port) as wire:
            path = url.removeprefix("wss://bridge.test")
            answer = await wire.upgrade(path, {"X-Twilio-Signature": signature, **offer})
            assert answer.status == 101
            assert "sec-websocket-extensions" not in answer.headers
            leg = await scene.vapi.leg()
            assert "Sec-WebSocket-Extensions" not in leg.headers


def with_parameters(parameters: dict[str, str]) -> Callable[[Bridge], None]:
    def prepare(bridge: Bridge) -> None:
        @bridge.on_call
        async def choose(_info: CallInfo) -> CallOptions:
            return CallOptions(parameters=parameters)

    return prepare


async def test_no_parameter_can_add_to_the_twiml() -> None:
    async with faulty(prepare=with_parameters(EVIL)) as scene:
        response = ElementTree.fromstring((await scene.voice()).body)
    assert [one.tag for one in response.iter()] == ["Response", "Connect", "Stream"] + ["Parameter"] * len(
        EVIL
    )
    assert {one.attrib["name"]: one.attrib["value"] for one in response.iter("Parameter")} == EVIL


def vonage_answer(parameters: dict[str, str]) -> Document:
    settings = VonageSettings(signature_secret="a-secret-of-the-test-0123456789abcdef")
    dialect = VonageDialect(settings, call_id="aaaaaaaa-bbbb-cccc-dddd-0123456789ab")
    return dialect.answer("wss://bridge.test/vonage/media/T", "https://bridge.test/vonage/event", parameters)


def test_no_parameter_can_add_to_the_ncco() -> None:
    [action] = json.loads(vonage_answer(EVIL).body)
    [endpoint] = action["endpoint"]
    headers = endpoint["headers"]
    assert action["action"] == "connect"
    assert {name: headers[name] for name in EVIL} == EVIL


def test_vonages_headers_have_512_bytes_at_most() -> None:
    n_bytes = 0
    with pytest.raises(ConfigError, match="Vonage takes 512"):
        for length in range(200, 300):
            [action] = json.loads(vonage_answer({"p": "\u00e9" * length}).body)
            headers = action["endpoint"][0]["headers"]
            n_bytes = len(json.dumps(headers, ensure_ascii=False, separators=(",", ":")).encode())
    assert 500 < n_bytes <= 512
