"""Vapi's own SDK as the judge. Importing its models takes long, so this runs only with ``-m sdk``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vapimedia.formats import AudioFormat
from vapimedia.protocols import vapi
from vapimedia.protocols.vapi import CreateCall, ToolResult, decode_server_message, encode_tool_results

# The import counts against the first test that needs it.
pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]
DATA = Path(__file__).parents[2] / "data" / "vapi"


@pytest.fixture(scope="module")
def types() -> Any:
    return pytest.importorskip("vapi.types")


def test_tool_results_are_what_the_sdk_expects(types: Any) -> None:
    results = [ToolResult("call_1", "hours", {"open": "9\n18"}), ToolResult("call_2", "book", error="down")]
    answer = types.ServerMessageResponseToolCalls.model_validate_json(encode_tool_results(results))
    read = [(entry.tool_call_id, entry.name, entry.result, entry.error) for entry in answer.results]
    assert read == [("call_1", "hours", '{"open":"9\\n18"}', None), ("call_2", "book", None, "down")]


@pytest.mark.parametrize("format_", [AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16000)])
def test_the_transport_is_one_the_sdk_builds(format_: AudioFormat) -> None:
    module = pytest.importorskip("vapi.calls.types.create_call_dto_transport")
    ours = json.loads(CreateCall(format=format_, assistant_id="a").body())["transport"]
    model = module.CreateCallDtoTransport_VapiWebsocket.model_validate(ours)
    assert not model.model_extra
    read = model.audio_format
    assert (read.format, read.sample_rate) == (format_.encoding, format_.sample_rate)


def test_a_call_is_read_as_the_sdk_reads_it(types: Any) -> None:
    body = (DATA / "rest.create-call.response.json").read_bytes()
    theirs, ours = types.Call.model_validate_json(body), vapi.decode_call(body)
    for field in ("id", "org_id", "type", "status", "assistant_id", "cost"):
        assert getattr(ours, field) == getattr(theirs, field), field
    assert (ours.control_url, ours.listen_url) == (theirs.monitor.control_url, theirs.monitor.listen_url)
    assert ours.websocket_call_url == theirs.transport.model_extra["websocketCallUrl"]


def test_a_customer_is_one_of_the_sdk(types: Any) -> None:
    customer = vapi.Customer(
        number="+15005550006", extension="5", name="Ann", email="a@b.example", external_id="7"
    )
    request = vapi.CreatePhoneCall(
        assistant_id="a",
        phone_number_id="p",
        customer=customer,
        schedule_plan=vapi.SchedulePlan(earliest_at="2027-01-01T00:00:00Z"),
    )
    body = json.loads(request.body())
    theirs = types.CreateCustomerDto.model_validate(body["customer"])
    assert not theirs.model_extra
    assert (theirs.number, theirs.external_id) == ("+15005550006", "7")
    assert not types.SchedulePlan.model_validate(body["schedulePlan"]).model_extra


@pytest.mark.parametrize(
    ("command", "type_"),
    [
        (vapi.say("Hi.", interruptions_enabled=True), "say"),
        (vapi.add_message("user", "Hi."), "add-message"),
        (vapi.append_context("thinking", "Hi."), "append-context"),
        (vapi.control("mute-assistant"), "control"),
        (vapi.end_call(), "end-call"),
        (vapi.transfer("+15005550006", "Bye."), "transfer"),
        (vapi.transfer("sip:desk@example.test"), "transfer"),
        (
            vapi.send_transport_message(vapi.TwilioTransportMessage(twiml="<Response/>")),
            "send-transport-message",
        ),
        (
            vapi.send_transport_message(vapi.SipTransportMessage(sip_verb="INFO", headers={"X": "1"})),
            "send-transport-message",
        ),
    ],
)
def test_commands_are_messages_of_the_sdk(types: Any, command: bytes, type_: str) -> None:
    message = types.ClientInboundMessage.model_validate({"message": json.loads(command)}).message
    assert message.type == type_
    assert not message.model_extra


@pytest.mark.parametrize(
    ("name", "class_name", "fields"),
    [
        ("status-update.ended", "ServerMessageStatusUpdate", ["status", "ended_reason"]),
        ("speech-update", "ServerMessageSpeechUpdate", ["status", "role", "turn"]),
        ("transcript", "ServerMessageTranscript", ["role", "transcript_type", "transcript"]),
        ("user-interrupted", "ServerMessageUserInterrupted", ["turn_id"]),
        ("end-of-call-report", "ServerMessageEndOfCallReport", ["ended_reason", "cost"]),
        ("phone-call-control.forward", "ServerMessagePhoneCallControl", ["request"]),
        ("voice-request", "ServerMessageVoiceRequest", ["text", "sample_rate"]),
    ],
)
def test_webhooks_are_read_as_the_sdk_reads_them(
    types: Any, name: str, class_name: str, fields: list[str]
) -> None:
    body = (DATA / f"{name}.json").read_bytes()
    theirs = getattr(types, class_name).model_validate(json.loads(body)["message"])
    ours = decode_server_message(body)
    assert [getattr(ours, field) for field in fields] == [getattr(theirs, field) for field in fields]
