"""Vapi's own SDK as the judge. Importing its models takes long, so this runs only with ``-m sdk``.

Its union of messages takes anything for anything, so the model is chosen by ``type``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from vapimedia.formats import AudioFormat
from vapimedia.protocols import vapi
from vapimedia.protocols.vapi import (
    AssistantDestination,
    AssistantReply,
    CreateCall,
    Document,
    EndpointingReply,
    HandoffReply,
    KnowledgeBaseReply,
    NumberDestination,
    PredialReply,
    SipDestination,
    ToolMessage,
    ToolResult,
    TransferReply,
    decode_server_message,
    encode_tool_results,
)

# The import counts against the first test that needs it.
pytestmark = [pytest.mark.sdk, pytest.mark.timeout(900), pytest.mark.filterwarnings("default")]
DATA = Path(__file__).parents[2] / "data" / "vapi"
SHORTER = {
    "assistant.speechStarted": "AssistantSpeech",
    'transcript[transcriptType="final"]': "Transcript",
}
NO_MODEL = ("_unschemed.", "ws.", "control.", "response.", "rest.", "transcriber.", "listen.")
WEBHOOKS = sorted(path.stem for path in DATA.glob("*.json") if not path.name.startswith(NO_MODEL))
CONTROLS = sorted(path.stem for path in DATA.glob("control.*.json"))
RESPONSES = sorted(path.stem for path in DATA.glob("response.*.json"))
# What Vapi sends, or documents, and its SDK refuses. We take it.
REFUSED = {
    "model-output": "the wire has a string, the schema wants an object",
    "model-output.tool-call": "the wire has a list, the schema wants an object",
    "tool-calls.docs-arguments-object": "the guide's spelling of a tool call has no function",
    "tool-calls.docs-parameters": "the guide's spelling of a tool call has no function",
    "response.knowledge-base-request.message": "the guide's message has a role and no type",
    "response.tool-calls.no-name": "the guide's result has no name",
    "control.handoff": "the SDK has no such message",
    "control.hangup": "the SDK has no such message",
}


@pytest.fixture(scope="module")
def types() -> Any:
    return pytest.importorskip("vapi.types")


def class_name(type_: str) -> str:
    words = SHORTER.get(type_) or "".join(
        word[0].upper() + word[1:] for word in type_.replace(".", "-").split("-")
    )
    return f"ServerMessage{words}"


def answer_name(type_: str) -> str:
    return class_name(type_).replace("Message", "MessageResponse")


def is_taken(model: Any, document: Any) -> bool:
    """Whether *model* reads all of *document* into fields of its own, and gives it back the same."""
    try:
        read = model.model_validate(document)
    except ValueError:
        return False
    return not read.model_extra and timed(told(read)) == timed(document)


def told(read: Any) -> Any:
    return json.loads(read.model_dump_json(by_alias=True, exclude_unset=True))


def timed(value: Any) -> Any:
    """Return *value* with its times as times: the SDK reads them, and writes them without zeros."""
    if isinstance(value, dict):
        return {key: timed(one) for key, one in value.items()}
    if isinstance(value, list):
        return [timed(one) for one in value]
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", value):
        return datetime.fromisoformat(value)
    return value


@pytest.mark.parametrize("name", WEBHOOKS)
def test_webhooks_are_read_as_the_sdk_reads_them_field_by_field(types: Any, name: str) -> None:
    body = (DATA / f"{name}.json").read_bytes()
    message = json.loads(body)["message"]
    model = getattr(types, class_name(message["type"]))
    ours = decode_server_message(body)
    assert isinstance(ours, vapi.Event)
    try:
        theirs = model.model_validate(message)
    except ValueError:
        assert name in REFUSED
        return
    assert name not in REFUSED
    kept = json.loads(vapi.encode_event(ours))
    aliases = {field.alias or key: key for key, field in model.model_fields.items()}
    assert set(kept) <= set(aliases)
    dumped = told(theirs)
    assert timed(kept) == timed({key: dumped.get(key) for key in kept})


@pytest.mark.parametrize(("kind", "n_models"), [("ServerMessage", 30), ("ClientMessage", 22)])
def test_every_field_of_the_sdks_messages_is_kept(types: Any, kind: str, n_models: int) -> None:
    missing, found = {}, 0
    for entry in vapi.CATALOGUE:
        model = getattr(types, class_name(entry.type).replace("ServerMessage", kind), None)
        found += model is not None
        aliases = {field.alias or key for key, field in model.model_fields.items()} if model else set()
        missing[entry.type] = aliases - set(entry.struct.__struct_encode_fields__) - {"type"}
    assert not {type_: fields for type_, fields in missing.items() if fields}
    assert found >= n_models


REPLIES: list[tuple[str, Callable[[], Any]]] = [
    ("assistant-request", lambda: AssistantReply(assistant_id="a", assistant_overrides={"name": "x"})),
    ("assistant-request", lambda: AssistantReply(assistant={"firstMessage": "Hi"})),
    ("assistant-request", lambda: AssistantReply(squad_id="s")),
    ("assistant-request", lambda: AssistantReply(workflow_id="w")),
    ("assistant-request", lambda: AssistantReply(error="We are closed.")),
    ("assistant-request", lambda: AssistantReply(destination=NUMBER)),
    ("assistant-request", lambda: AssistantReply(destination=SIP)),
    ("transfer-destination-request", lambda: TransferReply(destination=NUMBER, message=MESSAGE)),
    ("transfer-destination-request", lambda: TransferReply(destination=SIP)),
    (
        "transfer-destination-request",
        lambda: TransferReply(destination=AssistantDestination(assistant_name="billing")),
    ),
    ("transfer-destination-request", lambda: TransferReply(error="nobody is there")),
    (
        "handoff-destination-request",
        lambda: HandoffReply(destination=AssistantDestination(assistant_id="a"), result="ok"),
    ),
    ("handoff-destination-request", lambda: HandoffReply(error="no")),
    (
        "knowledge-base-request",
        lambda: KnowledgeBaseReply(documents=[Document(content="9 to 18", similarity=0.9, uuid="d")]),
    ),
    ("knowledge-base-request", lambda: KnowledgeBaseReply(documents=[])),
    ("knowledge-base-request", lambda: KnowledgeBaseReply(message="At nine.")),
    ("call.endpointing.request", lambda: EndpointingReply(timeout_seconds=0.4)),
    ("campaign.predial", lambda: PredialReply(eligible=True)),
    (
        "tool-calls",
        lambda: vapi.ToolCallsReply(
            [
                ToolResult("call_1", "hours", {"open": "9\n18"}, metadata={"id": 1}),
                ToolResult("call_2", "book", error="down", message=FAILED),
                ToolResult("call_3", "book", "ok", message=COMPLETE),
            ]
        ),
    ),
]
NUMBER = NumberDestination(
    number="+15005550002", extension="7", caller_id="+15005550003", message="", description="desk"
)
SIP = SipDestination(sip_uri="sip:desk@example.test", sip_headers={"X-A": "b"}, message="One moment.")
MESSAGE = ToolMessage(content="Connecting you.")
COMPLETE = ToolMessage(type="request-complete", content="Booked.", end_call_after_spoken_enabled=False)
FAILED = ToolMessage(type="request-failed", content="That did not work.")


@pytest.mark.parametrize(("asked", "make"), REPLIES)
def test_our_answers_are_the_sdks(types: Any, asked: str, make: Callable[[], Any]) -> None:
    assert is_taken(getattr(types, answer_name(asked)), json.loads(make().encode()))


@pytest.mark.parametrize("name", RESPONSES)
def test_recorded_answers_are_read_by_us_and_by_the_sdk(types: Any, name: str) -> None:
    body = (DATA / f"{name}.json").read_bytes()
    asked = max(
        (entry.type for entry in vapi.CATALOGUE if name.startswith(f"response.{entry.type}")), key=len
    )
    assert vapi.decode_reply(asked, body)
    assert is_taken(getattr(types, answer_name(asked)), json.loads(body)) is (name not in REFUSED)


@pytest.mark.parametrize("name", CONTROLS)
def test_recorded_controls_are_read_by_us_and_by_the_sdk(types: Any, name: str) -> None:
    body = (DATA / f"{name}.json").read_bytes()
    ours, document = vapi.decode_control(body), json.loads(body)
    assert json.loads(ours.encode()) == document
    assert is_taken(types.ClientInboundMessage, {"message": document}) is (name not in REFUSED)


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
