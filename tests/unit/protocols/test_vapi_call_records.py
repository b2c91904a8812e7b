"""Calls as the API tells them, and phone calls that are asked of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vapimedia.errors import ConcurrencyBlocked, ConfigError, VapiError
from vapimedia.protocols import vapi

DATA = Path(__file__).parents[2] / "data" / "vapi"
RESPONSE = (DATA / "rest.create-call.response.json").read_bytes()
SEED = {"assistantId": "a", "customer": {"number": "+15005550006"}, "phoneNumberId": "p"}


class TestCallRecord:
    def test_the_documented_answer_is_read_and_written_back(self) -> None:
        record, wire = vapi.decode_call(RESPONSE), json.loads(RESPONSE)
        assert json.loads(msgspec.json.encode(record)) == wire
        assert record.raw == RESPONSE
        assert (record.id, record.status, record.cost) == (wire["id"], "queued", 0)
        assert record.control_url == wire["monitor"]["controlUrl"]
        assert record.listen_url == wire["monitor"]["listenUrl"]
        assert record.websocket_call_url == wire["transport"]["websocketCallUrl"]
        assert not any(word in repr(record) for word in ("http", "wss", "example", "monitor"))

    def test_unknown_fields_are_kept_as_they_came(self) -> None:
        data = b'{"id":"1","neverHeardOf":{"x":[1,2]},"status":"on-the-moon","monitor":null}'
        record = vapi.decode_call(data)
        assert (record.status, record.control_url, record.raw) == ("on-the-moon", "", data)

    @pytest.mark.parametrize(
        ("fields", "settled"),
        [
            ({"status": "ended", "endedReason": "customer-ended-call", "cost": 0.02}, True),
            ({"status": "ended", "endedReason": "customer-ended-call", "cost": 0}, False),
            ({"status": "ended", "cost": 0.02}, False),
            ({"status": "in-progress", "cost": 0.02, "endedReason": "x"}, False),
            ({}, False),
        ],
    )
    def test_a_call_is_settled_once_its_reason_and_cost_are_told(
        self, fields: dict[str, Any], settled: bool
    ) -> None:
        assert vapi.decode_call(json.dumps({"id": "1"} | fields)).is_settled is settled

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"{}", b'{"id":""}', b'{"id":5}', b'{"id":"1","cost":"canary"}', b"\xff"]
    )
    def test_what_is_no_call_is_an_error_without_its_values(self, data: bytes) -> None:
        for read in (vapi.decode_call, lambda data: vapi.decode_calls(b"[" + data + b"]" if data else data)):
            with pytest.raises(VapiError, match="not a") as caught:
                read(data)
            assert "canary" not in str(caught.value)

    def test_a_list_holds_its_calls_in_order(self) -> None:
        assert [call.id for call in vapi.decode_calls(b'[{"id":"1"},{"id":"2"}]')] == ["1", "2"]
        assert vapi.decode_calls(b"[]") == []


class TestLimit:
    LIMITS = (
        '"subscriptionLimits":{"concurrencyBlocked":true,"concurrencyLimit":10,"remainingConcurrentCalls":0}'
    )

    @pytest.mark.parametrize(
        ("body", "limit"),
        [
            ('{"message":"Over Concurrency Limit.","statusCode":400}', None),
            ('{"message":"no",' + LIMITS + "}", 10),
        ],
    )
    def test_a_refusal_for_the_limit_has_its_own_type(self, body: str, limit: int | None) -> None:
        with pytest.raises(ConcurrencyBlocked) as caught:
            vapi.read_created_call(400, body.encode())
        assert (caught.value.status, caught.value.limit) == (400, limit)

    def test_an_answer_tells_the_limit_and_what_is_left(self) -> None:
        body = '{"id":"1","transport":{"websocketCallUrl":"w"},' + self.LIMITS + "}"
        call = vapi.read_created_call(201, body.encode())
        assert (call.concurrency_blocked, call.concurrency_limit, call.remaining_calls) == (True, 10, 0)


class TestCreatePhoneCall:
    def test_the_documented_request_is_read_and_written_back(self) -> None:
        request = vapi.decode_create_call(json.dumps(SEED))
        assert request == vapi.CreatePhoneCall(
            assistant_id="a", customer=vapi.Customer(number="+15005550006"), phone_number_id="p"
        )
        assert json.loads(request.body()) == SEED
        assert "555" not in repr(request) + repr(request.customer)

    @pytest.mark.parametrize("name", ["mulaw", "pcm"])
    def test_requests_on_the_websocket_transport_are_too(self, name: str) -> None:
        body = (DATA / f"rest.create-call.request.{name}.json").read_bytes()
        request = vapi.decode_create_call(body)
        assert isinstance(request, vapi.CreateCall)
        assert json.loads(request.body()) == json.loads(body)

    def test_every_form_reaches_the_wire(self) -> None:
        fields = {
            "squadId": "s",
            "squadVersion": "3",
            "squadOverrides": {"variableValues": {"a": 1}},
            "name": "n",
            "customer": {"sipUri": "sip:a@b.example", "extension": "5", "name": "Ann"},
            "phoneNumber": {"twilioPhoneNumber": "+15005550006", "twilioAccountSid": "AC1"},
            "schedulePlan": {"earliestAt": "2027-01-01T00:00:00Z"},
        }
        assert json.loads(vapi.decode_create_call(json.dumps(fields)).body()) == fields

    @pytest.mark.parametrize("field", ["phone_number_id", "phone_number", "schedule_plan"])
    def test_phone_fields_do_not_go_with_the_websocket_transport(self, field: str) -> None:
        with pytest.raises(ConfigError, match=f"^{field} cannot go with the WebSocket .*CreatePhoneCall"):
            vapi.CreateCall(assistant_id="a", **{field: {"x": 1}})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"phoneNumberId": None}, "number to call from"),
            ({"phoneNumber": {"x": 1}}, "number to call from"),
            ({"customer": None}, "who is called"),
            ({"customer": {}}, "one of number and sip_uri"),
            ({"customer": {"number": "0005550006"}}, "E.164"),
            ({"assistantId": None}, "exactly one"),
            ({"name": "n" * 41}, "40"),
            ({"customers": [{"number": "+15005550006"}]}, "one call"),
            ({"transport": {"provider": "daily"}}, "vapi.websocket"),
            ({"assistantID": "a"}, "unknown field `assistantID`"),
            ({"transport": {"provider": "vapi.websocket"}}, "phone_number_id cannot go"),
        ],
    )
    def test_what_vapi_would_refuse_is_refused_before_it_is_sent(
        self, change: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(ConfigError, match=said) as caught:
            vapi.decode_create_call(json.dumps(SEED | change))
        assert "5550006" not in str(caught.value)

    def test_a_number_without_the_check_may_be_any(self) -> None:
        customer = {"number": "501", "numberE164CheckEnabled": False}
        assert vapi.decode_create_call(json.dumps(SEED | {"customer": customer}))


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("wss://h/1/listen", "control"),
        ("https://h/1/listen", "control"),
        ("wss://h/1/transport", "control"),
        ("https://h/1/control", "listen"),
    ],
)
def test_another_url_of_the_call_is_told_from_the_right_one(url: str, kind: str) -> None:
    with pytest.raises(ConfigError, match="give the call's") as caught:
        vapi.check_monitor_url(url, kind)
    assert "h/1" not in str(caught.value)


def test_the_api_on_loopback_may_name_loopback_and_no_other_may() -> None:
    url = "http://127.0.0.1:9001/1/control"
    assert vapi.check_url_from_api(url, "http://localhost:9001", ["vapi.ai"]) is None
    assert vapi.check_url_from_api(url, "https://api.vapi.ai", ["vapi.ai"]) is not None
    assert vapi.check_url_from_api("https://x.vapi.ai/1/control", "https://api.vapi.ai", ["vapi.ai"]) is None
    assert vapi.check_url_from_api("wss://[::1/x", "http://localhost:9001", ["vapi.ai"]) is not None
