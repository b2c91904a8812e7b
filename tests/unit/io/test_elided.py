"""The wire log shows how a message is built and never what is in it, whatever a peer puts where."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.io.elided import MAX_BYTES, elided, type_of

CANARY = "canary words 5557770123"
KEYS = [
    "event",
    "type",
    "id",
    "callSid",
    "name",
    "mark",
    "role",
    "sequenceNumber",
    "timestamp",
    "code",
    CANARY,
    "x",
]


def test_keys_ids_and_counts_show_and_contents_do_not() -> None:
    sid = "MZ" + "2" * 32
    message = {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": sid,
        "start": {"tracks": ["inbound"], "mediaFormat": {"sampleRate": 8000, "encoding": "audio/x-mulaw"}},
        "customParameters": {"phone": "+15557770123", "n": 7, "ok": True, "none": None},
        "mark": {"name": "0:1000"},
        "transcript": "words of the caller",
    }
    assert elided(json.dumps(message).encode()) == {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": sid,
        "start": {
            "tracks": ["(7 characters)"],
            "mediaFormat": {"sampleRate": 8000, "encoding": "(13 characters)"},
        },
        "customParameters": {"phone": "(12 characters)", "n": "(number)", "ok": True, "none": None},
        "mark": {"name": "0:1000"},
        "transcript": "(19 characters)",
    }
    assert type_of(json.dumps(message).encode()) == "start"


@pytest.mark.parametrize("above", ["customParameters", "arguments", "parameters", "variableValues"])
def test_what_a_tool_or_a_call_is_given_never_shows_whatever_it_is_called(above: str) -> None:
    given = {"type": "Canary", "status": "Canary", "code": 4711, "x": [{"role": "Canary", "name": {"id": 1}}]}
    shown = json.dumps(elided(json.dumps({"type": "start", "start": {above: given}}).encode()))
    assert "Canary" not in shown and "4711" not in shown
    assert '"type": "(6 characters)"' in shown


_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.just(5557770123), st.sampled_from([CANARY, CANARY * 9, "+15557770123"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=5), st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=30,
)


@given(_VALUES)
@settings(max_examples=200, deadline=None)
def test_no_sentence_and_no_number_shows_wherever_it_stands(value: object) -> None:
    data = json.dumps(value).encode()
    shown = json.dumps(elided(data)) + type_of(data)
    assert "canary" not in shown and "7770123" not in shown


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"event": 1e999}', b"nul"])
def test_what_is_no_json_is_told_as_such(data: bytes) -> None:
    assert elided(data) == "(no JSON)"
    assert type_of(data) in ("(no JSON)", "(long)")


def test_of_a_long_message_only_type_and_size_are_told() -> None:
    data = b'{"type":"conversation-update","x":"' + b"y" * MAX_BYTES + b'"}'
    assert type_of(data) == "conversation-update"
    assert type_of(data.replace(b"conversation-update", b"two words")) == "(long)"
