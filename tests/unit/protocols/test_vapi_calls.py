"""``POST /call``: what is asked for, what comes back, and which of the URLs in it may be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError, VapiError
from vapimedia.formats import AudioFormat
from vapimedia.protocols.vapi import CreateCall, check_call_url, decode_create_call, read_created_call

DATA = Path(__file__).parents[2] / "data" / "vapi"
MULAW, PCM = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16000)


def request_of(**fields: Any) -> dict[str, Any]:
    return json.loads(CreateCall(**({"format": PCM} | fields)).body())


class TestCreateCall:
    @pytest.mark.parametrize(("name", "format_"), [("mulaw", MULAW), ("pcm", PCM)])
    def test_the_request_is_the_documented_one(self, name: str, format_: AudioFormat) -> None:
        expected = json.loads((DATA / f"rest.create-call.request.{name}.json").read_bytes())
        assert request_of(format=format_, assistant_id=expected["assistantId"]) == expected

    def test_any_rate_is_declared_as_it_is(self) -> None:
        request = request_of(format=AudioFormat("pcm_s16le", 24000), assistant_id="a")
        assert request["transport"]["audioFormat"]["sampleRate"] == 24000

    @pytest.mark.parametrize("families", [{}, {"assistant_id": "a", "squad_id": "s"}, {"assistant": {}}])
    def test_exactly_one_family_answers(self, families: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="exactly one"):
            CreateCall(format=PCM, **families)

    @pytest.mark.parametrize("family", ["assistant", "squad"])
    def test_metadata_joins_the_overrides_of_the_family(self, family: str) -> None:
        overrides = {"variableValues": {"a": 1}, "metadata": {"x": 1, "y": 1}}
        fields = {f"{family}_id": "i", f"{family}_overrides": overrides, "metadata": {"y": 2}}
        request = request_of(**fields)
        assert request[f"{family}Overrides"] == overrides | {"metadata": {"x": 1, "y": 2}}
        assert overrides["metadata"] == {"x": 1, "y": 1}

    def test_metadata_without_overrides_makes_them(self) -> None:
        request = request_of(assistant={"name": "x"}, metadata={"k": "v"})
        assert request["assistantOverrides"] == {"metadata": {"k": "v"}}

    @pytest.mark.parametrize(
        "fields",
        [
            {"assistant_id": "a", "format": AudioFormat("alaw", 8000)},
            {"assistant_id": "a", "name": "n" * 41},
            {"workflow_id": "w", "metadata": {"a": 1}},
        ],
    )
    def test_what_vapi_does_not_take_is_refused(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ConfigError):
            CreateCall(**({"format": PCM} | fields))

    @pytest.mark.parametrize("overrides", [{"a": object()}, {"metadata": 5}, {"a": {1: {2: object}}}])
    def test_overrides_that_are_no_json_are_refused(self, overrides: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="JSON"):
            request_of(assistant_id="a", assistant_overrides=overrides, metadata={"a": 1})


class TestCreatedCall:
    def test_the_documented_answer_is_read(self) -> None:
        body = (DATA / "rest.create-call.response.json").read_bytes()
        wire, call = json.loads(body), read_created_call(201, body)
        assert call.id == wire["id"]
        assert call.websocket_call_url == wire["transport"]["websocketCallUrl"]
        assert (call.control_url, call.listen_url) == (
            wire["monitor"]["controlUrl"],
            wire["monitor"]["listenUrl"],
        )
        assert call.concurrency_blocked is False

    def test_a_call_without_monitor_and_limits_is_a_call(self) -> None:
        call = read_created_call(
            201, b'{"id":"1","transport":{"websocketCallUrl":"<wss://x/t>"},"monitor":null}'
        )
        assert (call.websocket_call_url, call.control_url) == ("wss://x/t", "")

    def test_blocked_concurrency_shows(self) -> None:
        limits = b'"subscriptionLimits":{"concurrencyBlocked":true}'
        body = b'{"id":"1","transport":{"websocketCallUrl":"w"},' + limits + b"}"
        assert read_created_call(201, body).concurrency_blocked

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"{}", b'{"id":"1"}', b'{"id":"1","transport":{}}', b"\xff"]
    )
    def test_a_success_without_a_call_is_an_error(self, body: bytes) -> None:
        with pytest.raises(VapiError) as caught:
            read_created_call(201, body)
        assert caught.value.status == 201

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (b'{"message":"assistant not found","statusCode":400}', "assistant not found"),
            (b'{"message":["a must be b","c is d"]}', "a must be b; c is d"),
            (b'{"error":"Unauthorized"}', "Unauthorized"),
            (b"Bad\r\nGateway", "Bad Gateway"),
            (b"", "no message"),
            (b'{"message":{"x":1}}', '{"message":{"x":1}}'),
        ],
    )
    def test_an_error_carries_the_status_and_the_apis_message(self, body: bytes, message: str) -> None:
        with pytest.raises(VapiError) as caught:
            read_created_call(400, body)
        assert caught.value.status == 400
        assert str(caught.value) == f"Vapi refused the call with status 400: {message}"

    def test_a_block_for_the_user_agent_is_explained(self) -> None:
        with pytest.raises(VapiError, match="User-Agent"):
            read_created_call(403, b"error code: 1010")

    @given(
        st.binary(max_size=2000) | st.text(max_size=40).map(lambda text: 40 * text.encode("utf-8", "replace"))
    )
    def test_the_message_is_at_most_400_bytes_on_one_line(self, body: bytes) -> None:
        with pytest.raises(VapiError) as caught:
            read_created_call(500, body)
        message = str(caught.value).removeprefix("Vapi refused the call with status 500: ")
        assert len(message.encode()) <= 400
        assert len(message.splitlines()) == 1

    @pytest.mark.parametrize(
        "whom",
        [
            "15005550006",
            "+15005550006",
            "5005550006",
            "(500) 555-0006",
            "1 500 555 0006",
            "500.555.0006",
            "500-555-0006",
            "555/0006-12",
            "sip:alice@pbx.example.com",
            "SIPS:15005550006@10.0.0.1:5061;transport=tls",
            "tel:+1-500-555-0006",
            "tel:0006",
            "alice.smith+x@example.com",
            "alice@localhost",
        ],
    )
    def test_nobody_who_is_called_shows(self, whom: str) -> None:
        for said in (f"customer {whom} is not valid", f'number="{whom}"', whom):
            for body in (json.dumps({"message": said}).encode(), json.dumps({"x": said}).encode()):
                with pytest.raises(VapiError) as caught:
                    read_created_call(400, body)
                text = str(caught.value).lower()
                assert "<" in text
                assert not any(
                    part in text for part in ("555", "0006", "alice", "pbx", "example", "localhost")
                )

    @pytest.mark.parametrize(
        "said", ["error code: 1010", "at most 40 characters", "sampleRate must be 8000, 16000 or 44100"]
    )
    def test_small_numbers_show(self, said: str) -> None:
        with pytest.raises(VapiError, match=said):
            read_created_call(400, json.dumps({"message": said}).encode())

    def test_a_long_answer_is_searched_in_no_time(self) -> None:
        for body in (b"a" * 200_000, b"1 " * 100_000, b"a@" * 100_000, b"sip:" * 50_000, b"+ " * 100_000):
            with pytest.raises(VapiError):
                read_created_call(400, json.dumps({"message": body.decode()}).encode())

    def test_no_secret_shows(self) -> None:
        key = "canary-key"
        said = f"key {key}, Bearer abc.{key}, call +1 (415) 555-0100 at wss://x.example/{key}"
        for body in (said.encode(), json.dumps({"message": said}).encode()):
            with pytest.raises(VapiError) as caught:
                read_created_call(401, body, hide=[key, ""])
            text = str(caught.value)
            assert not any(secret in text for secret in (key, "abc.", "555", "x.example"))
        answer = {
            "id": "1",
            "transport": {"websocketCallUrl": key},
            "monitor": {"controlUrl": key, "listenUrl": key},
        }
        shown = [read_created_call(201, json.dumps(answer).encode())]
        shown += [CreateCall(format=PCM, assistant_id=key, name=key, metadata={"from": key})]
        assert key not in repr(shown)


class TestCallUrl:
    @pytest.mark.parametrize(
        "url",
        [
            "wss://api.vapi.ai/1/transport",
            "https://aws-us-west-2.vapi.ai/1/control",
            "wss://vapi.ai:443/x",
            "wss://API.VAPI.AI/x",
            "ws://127.0.0.1:9001/x",
            "http://localhost:9001/x",
            "ws://[::1]:9001/x",
        ],
    )
    def test_a_safe_url_on_an_allowed_host_is_used(self, url: str) -> None:
        assert check_call_url(url, ["vapi.ai", "127.0.0.1", "localhost", "::1"]) is None

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "vapi.ai",
            "wss:///x",
            "ws://api.vapi.ai/x",
            "ftp://api.vapi.ai/x",
            "wss://evilvapi.ai/x",
            "wss://vapi.ai.evil.com/x",
            "wss://user@vapi.ai/x",
            "wss://vapi.ai@evil.com/x",
            "wss://evil.com\\@vapi.ai/x",
            "wss://evil.com/\n.vapi.ai",
            "wss://evil.com%2e.vapi.ai/x",
            "wss://vapi.ai:0/x",
            "wss://vapi.ai:99999/x",
            "wss://[::1/x",
            "wss://vápi.ai/x",
            "ws://127.0.0.1/x",
            "wss://169.254.169.254/x",
        ],
    )
    def test_any_other_url_is_refused_without_being_quoted(self, url: str) -> None:
        refusal = check_call_url(url, ["vapi.ai", "", "."])
        assert refusal is not None
        assert refusal.status == 502
        assert "/x" not in refusal.reason

    def test_plain_is_allowed_only_by_an_explicit_setting(self) -> None:
        assert check_call_url("ws://api.vapi.ai/x", ["vapi.ai"], allow_plain=True) is None
        assert check_call_url("ws://evil.com/x", ["vapi.ai"], allow_plain=True) is not None

    def test_an_address_has_no_subdomains(self) -> None:
        assert check_call_url("wss://10.0.0.1/x", ["0.0.1"]) is not None

    @given(st.text(max_size=40))
    def test_no_text_raises(self, url: str) -> None:
        assert check_call_url(url, ["vapi.ai"]) is not None
        assert check_call_url("wss://" + url, ["vapi.ai"]) is not None


def test_a_format_may_be_text_and_what_is_none_is_refused() -> None:
    assert CreateCall(assistant_id="a", format="mulaw/8000").format == AudioFormat("mulaw", 8000)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="mulaw/8000"):
        CreateCall(assistant_id="a", format=8000)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="reads JSON"):
        decode_create_call({"assistantId": "a"})  # type: ignore[arg-type]


def test_what_is_too_short_for_a_key_hides_nothing_of_an_error() -> None:
    with pytest.raises(VapiError, match="no such assistant"):
        read_created_call(400, b'{"message":"no such assistant"}', hide=["a", " "])
