"""NCCO: the same as the official models write, within Vonage's limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vonage_voice.models import Connect, WebsocketEndpoint
from vonage_voice.models.common import WebsocketAuthorization

from vapimedia.errors import ConfigError, ProtocolError
from vapimedia.protocols import WebhookRequest
from vapimedia.protocols.vonage import VonageDialect, VonageSettings

CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
MEDIA = "wss://bridge.example.com/vonage/media/t?x=1"
STATUS = "https://bridge.example.com/vonage/event"


def answer(
    parameters: dict[str, str] | None = None, *, call_id: str = CALL, url: str = MEDIA, **known: Any
) -> Any:
    dialect = VonageDialect(VonageSettings(**known), call_id=call_id)
    document = dialect.answer(url, STATUS, parameters or {})
    assert document.content_type == "application/json"
    return json.loads(document.body)


def official(rate: int, headers: dict[str, str], *, auth: bool = True, from_: str = "14155550199") -> Any:
    endpoint = WebsocketEndpoint(
        uri=MEDIA,
        contentType=f"audio/l16;rate={rate}",
        headers=headers,
        authorization=WebsocketAuthorization(type="vonage") if auth else None,
    )
    connect = Connect(endpoint=[endpoint], from_=from_, eventType="synchronous", eventUrl=[STATUS])
    return [connect.model_dump(by_alias=True, exclude_none=True, mode="json")]


class TestAnswer:
    @pytest.mark.parametrize("rate", [8000, 16000, 24000])
    @pytest.mark.parametrize("auth", [True, False])
    def test_the_answer_is_the_one_of_the_official_models(self, rate: int, auth: bool) -> None:
        ours = answer({"plan": "gold"}, sample_rate=rate, auth=auth, from_number="+14155550199")
        assert ours == official(rate, {"call_uuid": CALL, "plan": "gold"}, auth=auth)

    @given(st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=5))
    def test_any_parameters_are_written_as_the_official_models_do(self, parameters: dict[str, str]) -> None:
        try:
            ours = answer(parameters, from_number="14155550199")
        except ConfigError:
            assert any(not (name + value).isascii() for name, value in parameters.items())
            return
        assert ours == official(16000, {"call_uuid": CALL} | parameters)

    def test_without_a_number_there_is_no_from(self) -> None:
        [action] = answer()
        assert "from" not in action

    def test_without_a_known_call_there_is_no_call_uuid(self) -> None:
        [action] = answer({"a": "b"}, call_id="")
        assert action["endpoint"][0]["headers"] == {"a": "b"}

    def test_without_a_status_url_events_go_where_the_application_says(self) -> None:
        document = VonageDialect(VonageSettings()).answer(MEDIA, "", {})
        assert "eventUrl" not in json.loads(document.body)[0]

    @pytest.mark.parametrize(
        ("to", "from_"),
        [("14155550177", "14155550177"), ("+14155550177", "14155550177"), ("alice", "14155550199")],
    )
    def test_the_called_number_goes_before_the_configured_one(self, to: str, from_: str) -> None:
        dialect = VonageDialect(VonageSettings(from_number="14155550199"))
        body = json.dumps({"uuid": CALL, "to": to}).encode()
        dialect.read_voice_webhook(WebhookRequest("POST", "/", {}, body))
        [action] = json.loads(dialect.answer(MEDIA, STATUS, {}).body)
        assert action["from"] == from_
        assert action["endpoint"][0]["headers"] == {"call_uuid": CALL}


class TestLimits:
    @pytest.mark.parametrize("name", ["event", "content-type", "call_uuid"])
    def test_a_name_that_vonage_uses_is_refused(self, name: str) -> None:
        with pytest.raises(ConfigError, match=f"'{name}'"):
            answer({name: "x"})

    @pytest.mark.parametrize("call_id", ["", CALL])
    @pytest.mark.parametrize("letter", ["x", "é", '"'])
    def test_headers_have_512_bytes_as_json_and_no_more(self, call_id: str, letter: str) -> None:
        base = {"call_uuid": call_id} if call_id else {}

        def n_bytes(n: int) -> int:
            told = json.dumps(base | {"a": letter * n}, ensure_ascii=False, separators=(",", ":"))
            return len(told.encode())

        most = max(n for n in range(600) if n_bytes(n) <= 512)
        answer({"a": letter * most}, call_id=call_id)
        with pytest.raises(ConfigError, match="512"):
            answer({"a": letter * (most + 1)}, call_id=call_id)

    def test_text_that_json_cannot_carry_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="JSON"):
            answer({"a": "\ud800"})

    @pytest.mark.parametrize(
        "url", ["", "https://h/m", "wss://", "wss:///m", "wss://u:p@h/m", "wss://h/m#a", "wss://h/a b", "h/m"]
    )
    def test_a_url_that_vonage_cannot_open_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match="wss://"):
            answer(url=url)


class TestEnd:
    def test_a_call_that_is_refused_gets_no_action(self) -> None:
        document = VonageDialect(VonageSettings()).refuse("full")
        assert (document.content_type, json.loads(document.body)) == ("application/json", [])

    @pytest.mark.parametrize(
        "document",
        [[{"action": "talk", "text": "Bye"}], [{"action": "talk"}, {"action": "x", "n": [1.5, None, {}]}]],
    )
    def test_a_fallback_is_sent_as_it_is(self, document: Any) -> None:
        sent = VonageDialect(VonageSettings()).fallback(document)
        assert sent.content_type == "application/json"
        assert json.loads(sent.body) == document

    @pytest.mark.parametrize(
        "document",
        [
            None,
            [],
            {},
            "[]",
            b"[]",
            5,
            ({"action": "talk"},),
            [{}],
            [{"action": ""}],
            [{"action": 5}],
            ["talk"],
            [{"action": "talk"}, None],
            [{"action": "talk", "text": object()}],
            [{"action": "talk", "text": "\ud800"}],
            [{"action": "talk", (1, 2): 3}],
        ],
    )
    def test_what_is_no_ncco_is_no_fallback(self, document: Any) -> None:
        with pytest.raises(ConfigError):
            VonageDialect(VonageSettings()).fallback(document)

    def test_a_fallback_that_holds_itself_is_none(self) -> None:
        action: dict[str, Any] = {"action": "talk"}
        action["self"] = action
        with pytest.raises(ConfigError, match="JSON"):
            VonageDialect(VonageSettings()).fallback([action])


class TestVoiceWebhook:
    def test_a_webhook_by_get_says_the_same_as_one_by_post(self) -> None:
        query = f"uuid={CALL}&from=14155550100&to=14155550199&conversation_uuid=CON-1&SipHeader_X-A=b%20c"
        dialect = VonageDialect(VonageSettings())
        got = dialect.read_voice_webhook(WebhookRequest("GET", f"/vonage/answer?{query}", {}, b""))
        fields = {"uuid": CALL, "from": "14155550100", "to": "14155550199", "conversation_uuid": "CON-1"}
        body = json.dumps(fields | {"SipHeader_X-A": "b c", "headers": {}, "n": 5}).encode()
        posted = dialect.read_voice_webhook(WebhookRequest("POST", "/vonage/answer?uuid=other", {}, body))
        assert got == posted
        assert (got.call_id, got.from_, got.to, got.direction) == (
            CALL,
            "14155550100",
            "14155550199",
            "inbound",
        )
        assert got.fields == fields | {"SipHeader_X-A": "b c"}

    @pytest.mark.parametrize(
        ("method", "query", "body"),
        [
            ("GET", "", b""),
            ("GET", "?uuid=", b""),
            ("GET", "?uuid=a%2Fb", b""),
            ("GET", "?" + "&".join(["uuid=C"] * 1001), b""),
            ("POST", f"?uuid={CALL}", b""),
            ("POST", "", b"[]"),
            ("POST", "", b"{"),
            ("POST", "", b"\xff"),
            ("POST", "", b"[" * 100_000),
            ("POST", "", b'{"uuid":5}'),
            ("POST", "", b'{"uuid":"../x"}'),
            ("POST", "", b"uuid=C"),
        ],
    )
    def test_a_webhook_that_names_no_call_is_the_peers_fault(
        self, method: str, query: str, body: bytes
    ) -> None:
        request = WebhookRequest(method, f"/vonage/answer{query}", {}, body)
        with pytest.raises(ProtocolError):
            VonageDialect(VonageSettings()).read_voice_webhook(request)
        with pytest.raises(ProtocolError):
            VonageDialect(VonageSettings()).read_status_webhook(request)

    @given(st.binary(max_size=60))
    def test_no_body_raises_anything_else(self, body: bytes) -> None:
        for read in ("read_voice_webhook", "read_status_webhook"):
            try:
                getattr(VonageDialect(VonageSettings()), read)(WebhookRequest("POST", "/", {}, body))
            except ProtocolError:
                continue
