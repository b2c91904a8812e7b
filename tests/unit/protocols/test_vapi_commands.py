"""Messages to a running call: each is read back as it was written, and what is wrong is named without its value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError, ProtocolError
from vapimedia.protocols import vapi

DATA = Path(__file__).parents[2] / "data" / "vapi"
CONTROLS = sorted(DATA.glob("control.*.json"))


@pytest.mark.parametrize("path", CONTROLS, ids=lambda path: path.name)
def test_every_documented_message_is_read_and_written_back(path: Path) -> None:
    data = path.read_bytes()
    message = vapi.decode_control(data)
    assert json.loads(message.encode()) == json.loads(data)
    assert not any(word in repr(message) for word in ("VIP", "moment", "5550002", "desk", "dtmf", "Response"))


def test_say_is_taken_in_its_old_spelling_and_written_in_the_new() -> None:
    say = vapi.decode_control('{"type":"say","message":"Hi.","endCallAfterSpoken":true}')
    assert say == vapi.Say(content="Hi.", end_call_after_spoken=True)
    assert say.encode() == b'{"type":"say","content":"Hi.","endCallAfterSpoken":true}'


def test_the_web_sdks_delay_of_a_control_is_kept() -> None:
    data = b'{"type":"control","control":"say-first-message","videoRecordingStartDelaySeconds":0.5}'
    assert vapi.decode_control(data).encode() == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ('{"type":"canary"}', "type"),
        ('{"type":"say","content":5}', r"\$\.content"),
        ('{"type":"control","control":"canary"}', r"\$\.control"),
        ('{"type":"add-message","message":{"role":"canary"}}', r"\$\.message\.role"),
        ('{"canary":1}', "type"),
        ("[]", "object"),
        ("canary", "not JSON"),
        (b"\xff", "not JSON"),
    ],
)
def test_what_is_no_message_names_the_field_and_no_value(data: bytes | str, said: str) -> None:
    with pytest.raises(ProtocolError, match=said) as caught:
        vapi.decode_control(data)
    assert "canary" not in str(caught.value)


@given(st.binary() | st.text())
def test_no_bytes_raise_anything_else(data: bytes | str) -> None:
    with pytest.raises(ProtocolError):
        vapi.decode_control(data)


def test_a_text_stands_for_a_number_an_address_or_an_assistant() -> None:
    sent = [
        vapi.transfer("+1 (500) 555-0006"),
        vapi.transfer("sip:desk@example.test", "Bye."),
        vapi.handoff("asst_2"),
    ]
    assert [json.loads(one) for one in sent] == [
        {"type": "transfer", "destination": {"type": "number", "number": "+15005550006"}},
        {
            "type": "transfer",
            "destination": {"type": "sip", "sipUri": "sip:desk@example.test"},
            "content": "Bye.",
        },
        {"type": "handoff", "destination": {"type": "assistant", "assistantId": "asst_2"}},
    ]


@pytest.mark.parametrize(
    "destination",
    [
        "",
        "12345",
        "foo",
        "sip:",
        {"number": "+15005550006"},
        None,
        vapi.AssistantDestination(assistant_id="a"),
    ],
)
def test_a_call_is_transferred_to_a_phone_only(destination: Any) -> None:
    with pytest.raises(ConfigError):
        vapi.transfer(destination)
    with pytest.raises(ConfigError):
        vapi.handoff(vapi.NumberDestination(number="+15005550006"))  # type: ignore[arg-type]


def test_a_transport_message_is_one_of_two() -> None:
    sent = vapi.send_transport_message(vapi.TwilioTransportMessage(twiml="<Response/>"))
    assert json.loads(sent)["message"] == {"transport": "twilio", "twiml": "<Response/>"}
    with pytest.raises(ConfigError, match="SipTransportMessage"):
        vapi.send_transport_message({"transport": "twilio"})  # type: ignore[arg-type]
