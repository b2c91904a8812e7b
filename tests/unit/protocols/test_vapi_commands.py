"""Messages to a running call: each is read back as it was written, and what is wrong is named without its value."""

from __future__ import annotations

import json
from pathlib import Path

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
    say = vapi.decode_control('{"type":"say","message":"Hi."}')
    assert say == vapi.Say(content="Hi.")
    assert say.encode() == b'{"type":"say","content":"Hi."}'


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


@pytest.mark.parametrize("destination", [{"type": "number", "number": object()}, {1: {2: object}}, "x", {}])
def test_a_destination_that_is_no_json_is_refused(destination: dict) -> None:
    with pytest.raises(ConfigError, match="JSON"):
        vapi.transfer(destination)


def test_a_transport_message_is_one_of_two() -> None:
    sent = vapi.send_transport_message(vapi.TwilioTransportMessage(twiml="<Response/>"))
    assert json.loads(sent)["message"] == {"transport": "twilio", "twiml": "<Response/>"}
    with pytest.raises(ConfigError, match="SipTransportMessage"):
        vapi.send_transport_message({"transport": "twilio"})  # type: ignore[arg-type]
