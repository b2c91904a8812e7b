"""What event webhooks say of a call, and the calls that we make: as the official models ask for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vonage_voice.models import Connect, CreateCallRequest, WebsocketEndpoint
from vonage_voice.models.common import Phone, Websocket, WebsocketAuthorization
from vonage_voice.models.ncco import Conversation, Talk
from vonage_voice.models.requests import ToPhone

from vapimedia.errors import ConfigError, ProtocolError, ProviderError
from vapimedia.protocols import (
    CallProgress,
    CloseSocket,
    DialRequest,
    HttpCall,
    StatusReport,
    Stopped,
    UnknownMessage,
    WebhookRequest,
)
from vapimedia.protocols.vonage import VonageDialect, VonageSettings

CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
LEG = "bbbbbbbb-bbbb-cccc-dddd-0123456789ab"
MEDIA = "wss://bridge.example.com/vonage/media/secret-token"
STATUS = "https://bridge.example.com/vonage/event/ref"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"


def report(**fields: Any) -> StatusReport:
    body = json.dumps(fields).encode()
    return VonageDialect(VonageSettings()).read_status_webhook(WebhookRequest("POST", "/e", {}, body))


def phone(status: str, direction: str = "outbound", **more: Any) -> StatusReport:
    to = {"from": "14155550199", "to": "14155550100"}
    return report(uuid=CALL, conversation_uuid="CON-1", status=status, direction=direction, **to, **more)


def socket(status: str, headers: Any = None, **more: Any) -> StatusReport:
    told = {"headers": {"call_uuid": CALL}} if headers is None else {"headers": headers}
    return report(uuid=LEG, to=MEDIA, status=status, direction="outbound", **told | more)


class TestPhoneLeg:
    @pytest.mark.parametrize(
        ("status", "events"),
        [
            ("started", ()),
            ("ringing", (CallProgress("ringing"),)),
            ("answered", (CallProgress("answered"),)),
            ("machine", (CallProgress("machine", "beep_start"),)),
            ("human", (CallProgress("human", "beep_start"),)),
            ("completed", (Stopped("completed"),)),
            ("busy", (Stopped("busy", "busy"),)),
            ("unanswered", (Stopped("unanswered", "unanswered"),)),
            ("timeout", (Stopped("timeout", "unanswered"),)),
            ("rejected", (Stopped("rejected", "rejected"),)),
            ("cancelled", (Stopped("cancelled", "cancelled"),)),
            ("failed", (Stopped("failed", "failed"),)),
            ("new\nthing", (UnknownMessage("new?thing"),)),
        ],
    )
    def test_every_status_has_its_event(self, status: str, events: Any) -> None:
        assert phone(status, sub_state="beep_start") == StatusReport(CALL, events)

    @pytest.mark.parametrize("status", ["started", "ringing", "answered"])
    def test_of_a_call_that_came_in_no_progress_is_told(self, status: str) -> None:
        assert phone(status, "inbound") == StatusReport(CALL)

    @pytest.mark.parametrize("sub_state", [None, 5, {}])
    def test_a_machine_need_not_be_described(self, sub_state: Any) -> None:
        assert phone("machine", sub_state=sub_state).events == (CallProgress("machine"),)

    def test_a_webhook_by_get_says_the_same(self) -> None:
        path = f"/vonage/event?uuid={CALL}&status=busy&to=14155550100"
        read = VonageDialect(VonageSettings()).read_status_webhook(WebhookRequest("GET", path, {}, b""))
        assert read == StatusReport(CALL, (Stopped("busy", "busy"),))


class TestMediaLeg:
    @pytest.mark.parametrize(
        "status", ["failed", "unanswered", "timeout", "busy", "rejected", "cancelled", "disconnected"]
    )
    def test_a_socket_that_was_not_reached_or_dropped_is_lost_whatever_the_phone_did(
        self, status: str
    ) -> None:
        assert socket(status) == StatusReport(CALL, (Stopped(status, "media_lost"),), media_lost=status)

    @pytest.mark.parametrize("status", ["started", "ringing", "answered"])
    def test_its_progress_is_not_the_calls(self, status: str) -> None:
        assert socket(status) == StatusReport(CALL)

    def test_its_end_is_the_calls(self) -> None:
        assert socket("completed") == StatusReport(CALL, (Stopped("completed"),))

    def test_an_unknown_status_is_counted(self) -> None:
        assert socket("machine") == StatusReport(CALL, (UnknownMessage("machine"),))

    @pytest.mark.parametrize("headers", [{}, {"call_uuid": "a/b"}, {"call_uuid": 5}, [], "x"])
    @pytest.mark.parametrize("status", ["started", "failed", "completed", "machine", None])
    def test_a_socket_that_names_no_call_has_no_id_of_one(self, status: Any, headers: Any) -> None:
        assert socket(status, headers).call_id == ""

    def test_neither_url_nor_number_shows(self) -> None:
        told = socket("failed", **{"from": "14155550199", "detail": "no route to 14155550100"})
        assert "secret-token" not in repr(told)
        assert "1415555" not in repr(told)


class TestOddEvents:
    def test_an_error_names_its_conversation_only(self) -> None:
        error = {"reason": f"Syntax error in NCCO: {MEDIA}", "conversation_uuid": "CON-1"}
        assert report(**error) == StatusReport("", (UnknownMessage("error"),))

    @pytest.mark.parametrize("more", [{}, {"status": 5}, {"status": None, "recording_url": "https://x"}])
    def test_an_event_without_a_status_is_counted(self, more: dict[str, Any]) -> None:
        assert report(uuid=CALL, **more) == StatusReport(CALL, (UnknownMessage("event"),))

    @pytest.mark.parametrize("fields", [{}, {"status": "failed"}, {"uuid": "", "status": "failed"}])
    def test_an_event_without_any_id_is_the_peers_fault(self, fields: dict[str, Any]) -> None:
        with pytest.raises(ProtocolError, match="uuid"):
            report(**fields)

    @given(
        st.dictionaries(
            st.sampled_from(
                ["uuid", "conversation_uuid", "status", "to", "headers", "direction", "sub_state"]
            ),
            st.none()
            | st.integers()
            | st.sampled_from([CALL, MEDIA, "failed", "ringing", "outbound"])
            | st.text(max_size=5)
            | st.dictionaries(st.just("call_uuid"), st.text(max_size=5) | st.none()),
        )
    )
    def test_whatever_the_fields_are_nothing_else_is_raised(self, fields: dict[str, Any]) -> None:
        try:
            report(**fields)
        except ProtocolError:
            assert fields.get("uuid") != CALL


def settings(rsa_pem: str, **changes: Any) -> VonageSettings:
    known = {"application_id": APPLICATION, "private_key": rsa_pem, "from_number": "+14155550199"}
    return VonageSettings(**(known | changes))


def request(**changes: Any) -> DialRequest:
    known = {
        "to": "+14155550100",
        "from_": "",
        "media_url": MEDIA,
        "status_url": STATUS,
        "parameters": {"a": "b"},
    }
    return DialRequest(**(known | changes))


def sent(call: HttpCall) -> Any:
    return json.loads(call.body)


def dumped(model: CreateCallRequest) -> Any:
    return model.model_dump(by_alias=True, exclude_none=True, mode="json")


class TestDial:
    def test_a_call_to_a_phone_is_the_one_of_the_official_models(self, rsa_pem: str) -> None:
        call = VonageDialect(settings(rsa_pem)).dial(request(machine_detection="hangup", ring_timeout_s=30))
        assert (call.purpose, call.method, call.url) == ("dial", "POST", "https://api.nexmo.com/v1/calls")
        assert call.headers == {"Content-Type": "application/json"}
        assert call.gone == frozenset()
        assert call.sign is not None
        assert call.sign(1_700_000_000)["Authorization"].reveal().startswith("Bearer ey")
        endpoint = WebsocketEndpoint(
            uri=MEDIA,
            contentType="audio/l16;rate=16000",
            headers={"a": "b"},
            authorization=WebsocketAuthorization(type="vonage"),
        )
        connect = Connect(
            endpoint=[endpoint], from_="14155550199", eventType="synchronous", eventUrl=[STATUS]
        )
        model = CreateCallRequest(
            to=[ToPhone(number="14155550100")],
            from_=Phone(number="14155550199"),
            ncco=[connect],
            event_url=[STATUS],
            ringing_timer=30,
            machine_detection="hangup",
        )
        assert sent(call) == dumped(model)

    @pytest.mark.parametrize("talks", [False, True])
    def test_a_call_to_the_socket_alone_is_the_one_of_the_official_models(
        self, talks: bool, rsa_pem: str
    ) -> None:
        document = [{"action": "talk", "text": "Hello", "loop": 0}] if talks else None
        call = VonageDialect(settings(rsa_pem, sample_rate=8000)).dial(request(to=None, document=document))
        endpoint = Websocket(
            uri=MEDIA,
            content_type="audio/l16;rate=8000",
            headers={"a": "b"},
            authorization=WebsocketAuthorization(type="vonage"),
        )
        name = sent(call)["ncco"][0].get("name", "")
        model = CreateCallRequest(
            to=[endpoint],
            from_=Phone(number="14155550199"),
            ncco=[Talk(text="Hello", loop=0) if talks else Conversation(name=name)],
            event_url=[STATUS],
            ringing_timer=60,
        )
        assert sent(call) == dumped(model)
        assert "secret-token" not in name

    def test_calls_to_sockets_alone_do_not_hear_each_other(self, rsa_pem: str) -> None:
        dialect = VonageDialect(settings(rsa_pem))
        first, second = (
            sent(dialect.dial(request(to=None, media_url=MEDIA + tail)))["ncco"] for tail in ("1", "2")
        )
        assert first[0]["name"] != second[0]["name"]

    def test_a_number_of_the_request_goes_before_the_configured_one(self, rsa_pem: str) -> None:
        body = sent(VonageDialect(settings(rsa_pem)).dial(request(from_="447700900000")))
        assert body["from"]["number"] == body["ncco"][0]["from"] == "447700900000"

    def test_nothing_of_a_call_shows(self, rsa_pem: str) -> None:
        shown = repr(VonageDialect(settings(rsa_pem)).dial(request()))
        assert "1415" not in shown
        assert "secret-token" not in shown

    @pytest.mark.parametrize(
        "number", ["", "+", "123", "0415555010", "+1 415 555 0100", "1" * 16, "sip:a@b", "+٤٤٧٧٠٠٩٠٠٠٠"]
    )
    @pytest.mark.parametrize("which", ["to", "from_"])
    def test_a_number_that_is_none_is_refused_and_not_shown(
        self, which: str, number: str, rsa_pem: str
    ) -> None:
        if which == "from_" and not number:
            return
        with pytest.raises(ConfigError, match=r"E\.164") as caught:
            VonageDialect(settings(rsa_pem)).dial(request(**{which: number}))
        assert len(number) < 4 or number not in str(caught.value)

    @pytest.mark.parametrize(
        ("missing", "variable"),
        [
            ("application_id", "VONAGE_APPLICATION_ID"),
            ("private_key", "VONAGE_PRIVATE_KEY"),
            ("from_number", "VAPIMEDIA_VONAGE_FROM"),
        ],
    )
    def test_what_is_not_set_is_named(self, missing: str, variable: str, rsa_pem: str) -> None:
        with pytest.raises(ConfigError, match=variable):
            VonageDialect(settings(rsa_pem, **{missing: ""})).dial(request())

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"ring_timeout_s": 0}, "1 to 120"),
            ({"ring_timeout_s": 121}, "1 to 120"),
            ({"machine_detection": "Enable"}, "continue and hangup"),
            ({"document": [{"action": "talk"}]}, "document"),
            ({"to": None, "document": []}, "NCCO"),
            ({"media_url": "https://h"}, "wss://"),
            ({"parameters": {"event": "x"}}, "event"),
            ({"parameters": {"a": "x" * 512}}, "512"),
        ],
    )
    def test_what_vonage_would_refuse_is_refused(
        self, changes: dict[str, Any], said: str, rsa_pem: str
    ) -> None:
        with pytest.raises(ConfigError, match=said):
            VonageDialect(settings(rsa_pem)).dial(request(**changes))


class TestDialled:
    @pytest.mark.parametrize("status", [200, 201, 202])
    def test_the_call_that_was_made_can_be_hung_up(self, status: int, rsa_pem: str) -> None:
        dialect = VonageDialect(settings(rsa_pem))
        body = json.dumps({"uuid": CALL, "status": "started", "direction": "outbound"}).encode()
        assert dialect.read_dialled(status, body) == CALL
        hangup, close = dialect.hangup()
        assert hangup.url == f"https://api.nexmo.com/v1/calls/{CALL}"
        assert close == CloseSocket(1000, grace_ms=2000)

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"uuid":5}', b'{"uuid":"a/b"}', b"\xff"])
    def test_a_call_without_an_id_is_none(self, body: bytes) -> None:
        with pytest.raises(ProviderError, match="uuid") as caught:
            VonageDialect(VonageSettings()).read_dialled(201, body)
        assert caught.value.status == 201

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            ({"title": "Bad Request", "detail": "number is wrong"}, "Bad Request: number is wrong"),
            ({"type": "UNAUTHORIZED", "error_title": "Unauthorized"}, "Unauthorized: UNAUTHORIZED"),
            ({"type": "https://x.example/errors#a", "title": "No"}, "No"),
            ({"title": 5, "detail": {}}, "HTTP status 400"),
            ({"title": "to 14155550100 or +1 (415) 555-0100"}, "to ... or ..."),
            ({"title": f"cannot open {MEDIA}"}, "cannot open ..."),
            ({"title": "a\nb"}, "a?b"),
            ({"title": "from sip:alice@example.com", "detail": "<a b='secret'>"}, "from ..."),
            ([], "HTTP status 400"),
        ],
    )
    def test_a_refusal_says_why_without_numbers_and_urls(self, answer: Any, text: str) -> None:
        with pytest.raises(ProviderError) as caught:
            VonageDialect(VonageSettings()).read_dialled(400, json.dumps(answer).encode())
        assert str(caught.value) == f"Vonage refused the call: {text}"
        assert caught.value.status == 400

    @given(st.text(max_size=400), st.integers(10_000, 10**15))
    def test_whatever_a_refusal_says_it_is_short_printable_and_holds_no_number(
        self, text: str, number: int
    ) -> None:
        answer = {"title": f"{text} {number}", "detail": f"{number}{text}"}
        body = json.dumps(answer).encode("utf-8", "surrogatepass")
        with pytest.raises(ProviderError) as caught:
            VonageDialect(VonageSettings()).read_dialled(500, body)
        said = str(caught.value)
        assert len(said) <= 200
        assert said.isprintable()
        assert str(number) not in said
