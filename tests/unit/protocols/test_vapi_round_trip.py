"""Every recorded payload decodes to its class, and encodes back to the same document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from vapimedia.errors import StateError
from vapimedia.protocols import vapi
from vapimedia.protocols.vapi import CATALOGUE, decode_event, decode_server_message, encode_event
from vapimedia.protocols.vapi.listen import ListenStart, decode_listen

DATA = Path(__file__).parents[2] / "data"
FILES = sorted(path.name.removesuffix(".json") for path in (DATA / "vapi").glob("*.json"))
FIELDS = json.loads((DATA / "vapi_fields.json").read_bytes())
# What does not come back equal, and why.
EXCEPTIONS: dict[str, str] = {
    "listen.start.ASSUMED": "a guess at what a listenUrl may say first: only what is of use is read, nothing is sent"
}

Reader = tuple[Callable[[bytes], Any], Callable[[Any], bytes]]
READERS: dict[str, Reader] = {
    "ws.": (decode_event, encode_event),
    "control.": (vapi.decode_control, lambda message: message.encode()),
    "rest.create-call.request.": (vapi.decode_create_call, lambda request: request.body()),
    "rest.create-call.response": (vapi.decode_call, lambda call: call.raw),
    "transcriber.": (vapi.decode_transcriber, lambda message: message.encode()),
    "listen.": (decode_listen, msgspec.json.encode),
}
TYPES = {entry.type: entry for entry in CATALOGUE}
ASKED = sorted(entry.type for entry in CATALOGUE if entry.reply is not None)
CONTROLS = {
    "say": vapi.Say,
    "add-message": vapi.AddMessage,
    "append-context": vapi.AppendContext,
    "control": vapi.Control,
    "end-call": vapi.EndCall,
    "hangup": vapi.Hangup,
    "transfer": vapi.Transfer,
    "handoff": vapi.Handoff,
    "send-transport-message": vapi.SendTransportMessage,
    "transcriber-response": vapi.TranscriberResponse,
    "start": vapi.TranscriberStart,
    "error": vapi.TranscriberError,
}


def reader_of(name: str) -> Reader:
    if name.startswith("response."):
        asked = next(type_ for type_ in ASKED if name.startswith(f"response.{type_}"))
        return (lambda data: vapi.decode_reply(asked, data)), (lambda reply: reply.encode())
    found = (reader for start, reader in READERS.items() if name.startswith(start))
    return next(found, (decode_server_message, vapi.encode_server_message))


def class_of(name: str, document: dict[str, Any]) -> type:
    if name.startswith("response."):
        return next(TYPES[type_].reply or object for type_ in ASKED if name.startswith(f"response.{type_}"))
    if name.startswith("rest."):
        return vapi.CallRecord if name.endswith("response") else vapi.CreateCall
    if name.startswith("listen."):
        return ListenStart
    if name.startswith(("control.", "transcriber.")):
        return CONTROLS[document["type"]]
    return TYPES[document.get("message", document)["type"]].struct


@pytest.mark.parametrize("name", FILES)
def test_every_payload_becomes_its_class_and_the_same_document_again(name: str) -> None:
    data = (DATA / "vapi" / f"{name}.json").read_bytes()
    decode, encode = reader_of(name)
    message = decode(data)
    assert type(message) is class_of(name, json.loads(data))
    assert (json.loads(encode(message)) == json.loads(data)) is (name not in EXCEPTIONS)


def test_every_exception_is_a_payload_and_has_its_reason() -> None:
    assert set(EXCEPTIONS) <= set(FILES)
    assert all(EXCEPTIONS.values())


@pytest.mark.parametrize("where", ["socket", "webhook"])
def test_every_documented_field_of_every_message_is_kept(where: str) -> None:
    fields_of = dict(FIELDS[where])
    common = fields_of.pop("*")
    for type_, fields in fields_of.items():
        entry = TYPES[type_]
        assert entry.on_socket if where == "socket" else entry.on_webhook
        assert {*common, *fields} - set(entry.struct.__struct_encode_fields__) == set()


def test_every_documented_field_of_every_answer_can_be_given() -> None:
    for type_, fields in FIELDS["reply"].items():
        reply: Any = TYPES[type_].reply
        assert set(fields) == set(reply.__struct_encode_fields__)


def test_every_part_that_stays_json_has_a_property_that_reads_it() -> None:
    for entry in CATALOGUE:
        for name in entry.struct.__struct_fields__:
            if name.endswith("_json") and name not in {
                "tool_call_list_json",
                "tool_with_tool_call_list_json",
            }:
                assert getattr(entry.struct(), name.removesuffix("_json")) is None


def test_a_message_encodes_as_the_channel_carries_it() -> None:
    event = vapi.UserInterrupted(turn_id="t")
    assert encode_event(event) == b'{"type":"user-interrupted","turnId":"t"}'
    assert vapi.encode_server_message(event) == b'{"message":{"type":"user-interrupted","turnId":"t"}}'


def test_what_has_no_schema_is_kept_whole() -> None:
    for type_ in ("tool.completed", "function-call-result", "language-changed"):
        data = json.dumps({"type": type_, "call": {"id": "c"}, "bodyJson": 1, "any": [{"thing": None}]})
        event: Any = decode_event(data)
        assert type(event) is TYPES[type_].struct
        assert event.call_id == "c"
        assert event.body == json.loads(encode_event(event)) == json.loads(data)


def test_an_unknown_message_encodes_as_it_came_and_a_malformed_one_not_at_all() -> None:
    data = b'{"type":"brand.new", "x":[1, 2]}'
    assert encode_event(decode_event(data)) == data
    assert vapi.encode_server_message(decode_server_message(data)) == b'{"message":' + data + b"}"
    with pytest.raises(StateError, match="malformed"):
        encode_event(decode_event(b"{"))
