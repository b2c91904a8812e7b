"""Signatures, TwiML and the judge of messages, against Twilio's own library where it has one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse

from vapimedia.testing.twilio_wire import judge_message, parse_twiml, sign

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@settings(max_examples=40, deadline=None)
@given(params=st.dictionaries(TEXT.filter(bool), TEXT, max_size=6))
def test_form_signatures_are_what_twilios_validator_accepts(params: dict[str, str]) -> None:
    url = "https://voice.example.com/twilio/voice"
    assert RequestValidator("token").validate(url, params, sign("token", url, params))


def test_the_stream_of_twilios_own_twiml_is_found() -> None:
    response = VoiceResponse()
    stream = response.connect().stream(
        url="wss://h.example/twilio/media/t", status_callback="https://h.example/s"
    )
    stream.parameter(name="a", value='<&">')
    response.hangup()
    twiml = parse_twiml(str(response))
    assert twiml.violations == []
    assert (twiml.stream_url, twiml.status_callback) == (
        "wss://h.example/twilio/media/t",
        "https://h.example/s",
    )
    assert (twiml.parameters, twiml.after) == ({"a": '<&">'}, ["Hangup"])


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("<Response>", "12100"),
        ("<!DOCTYPE x><Response/>", "12100"),
        ("<Answer/>", "12100"),
        ("<Response><Connect/></Response>", "12200"),
        ("<Response><Connect><Stream url='ws://far.example/a'/></Connect></Response>", "31922"),
        ("<Response><Connect><Stream url='wss://h/a?x=1'/></Connect></Response>", "31923"),
        ("<Response><Connect><Stream url='wss://h/a' track='both_tracks'/></Connect></Response>", "31941"),
        ("<Response><Connect><Stream url='wss://h/a' nmae='x'/></Connect></Response>", "12200"),
        (
            "<Response><Connect><Stream url='wss://h/a'><Parameter name='a'/></Stream></Connect></Response>",
            "12200",
        ),
    ],
)
def test_faulty_twiml_is_a_violation(document: str, code: str) -> None:
    assert [text.split()[0] for text in parse_twiml(document).violations] == [code]


GOOD = {"event": "media", "streamSid": "MZ1", "media": {"payload": "/////w=="}}


@pytest.mark.parametrize(
    "message",
    [
        GOOD,
        {"event": "mark", "streamSid": "MZ1", "mark": {"name": "x"}},
        {"event": "clear", "streamSid": "MZ1"},
    ],
)
def test_documented_messages_pass(message: dict) -> None:
    decoded, warning = judge_message(json.dumps(message), "MZ1")
    assert decoded is not None
    assert warning is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"event":"stop","streamSid":"MZ1"}',
        json.dumps({**GOOD, "streamSid": "MZ2"}),
        json.dumps({**GOOD, "sequenceNumber": "1"}),
        json.dumps({**GOOD, "media": {"payload": "/w==", "track": "outbound"}}),
        json.dumps({**GOOD, "media": {"payload": "/w"}}),
        json.dumps({**GOOD, "media": {"payload": "/x=="}}),
        json.dumps({**GOOD, "media": {"payload": "_w=="}}),
        json.dumps({**GOOD, "media": {"payload": 1}}),
        json.dumps({"event": "clear", "streamSid": "MZ1", "clear": {}}),
    ],
)
def test_anything_else_is_a_violation_and_is_not_acted_on(text: str) -> None:
    decoded, warning = judge_message(text, "MZ1")
    assert decoded is None
    assert warning is not None
