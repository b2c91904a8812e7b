"""Reading what Vapi says: a transcript, and passing over a long conversation-update, beside plain parsers."""

import json

import msgspec
import pytest

from vapimedia.bench.cases import conversation_event, transcript_event
from vapimedia.protocols.vapi import decode_event, decode_server_message, encode_server_message, peek_type

TRANSCRIPT, CONVERSATION = transcript_event(), conversation_event()
READ = "read a transcript event"
SKIP = "tell the type of a conversation-update of 10 KB"


def type_of(data):
    return json.loads(data)["type"]


def test_a_transcript(measure):
    event = measure(READ, "vapimedia", lambda: (decode_event, TRANSCRIPT))
    assert (event.type, event.role, event.final) == ("transcript", "assistant", False)
    assert event.transcript == "We are open until"


@pytest.mark.parametrize("name,load", [("msgspec, untyped", msgspec.json.decode), ("json", json.loads)])
def test_a_transcript_untyped(measure, name, load):
    assert measure(READ, name, lambda: (load, TRANSCRIPT))["transcript"] == "We are open until"


def test_a_transcript_by_webhook(measure):
    common = {
        "call": {"id": "c", "monitor": {"controlUrl": "https://x.test"}},
        "artifact": {"messages": [{}] * 20},
    }
    body = encode_server_message(decode_event(json.dumps(json.loads(TRANSCRIPT) | common)))
    event = measure("read a transcript by webhook", "vapimedia", lambda: (decode_server_message, body))
    assert (event.transcript, event.call_id) == ("We are open until", "c")


@pytest.mark.parametrize("head", ["", '{"message":'], ids=["flat", "wrapped"])
def test_a_type(measure, head):
    data = head.encode() + CONVERSATION + b"}" * bool(head)
    assert (
        measure(SKIP, f"vapimedia peek{' wrapped' * bool(head)}", lambda: (peek_type, data))
        == "conversation-update"
    )


def test_a_whole_event(measure):
    event = measure(SKIP, "vapimedia, event", lambda: (decode_event, CONVERSATION))
    assert (event.type, len(event.messages)) == ("conversation-update", 74)


def test_a_type_by_json(measure):
    assert measure(SKIP, "json", lambda: (type_of, CONVERSATION)) == "conversation-update"
