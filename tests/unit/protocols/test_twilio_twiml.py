"""TwiML equals what Twilio's own library writes, whatever stands in the parameters."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.voice_response import Connect, VoiceResponse

from vapimedia.errors import ConfigError
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings

DIALECT = TwilioDialect(TwilioSettings())
MEDIA, STATUS = "wss://bridge.example.com/twilio/media/t0k", "https://bridge.example.com/twilio/status"
XML_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
)


def official(parameters: dict[str, str]) -> str:
    response, connect = VoiceResponse(), Connect()
    stream = connect.stream(url=MEDIA, status_callback=STATUS, status_callback_method="POST")
    for name, value in parameters.items():
        stream.parameter(name=name, value=value)
    response.append(connect)
    return str(response)


def as_tree(element: ET.Element) -> Any:
    return element.tag, element.attrib, element.text or "", [as_tree(child) for child in element]


@settings(max_examples=60)
@given(st.dictionaries(XML_TEXT.filter(bool), XML_TEXT, max_size=4))
def test_the_answer_parses_equal_to_the_official_librarys(parameters: dict[str, str]) -> None:
    document = DIALECT.answer(MEDIA, STATUS, parameters)
    assert document.content_type == "text/xml"
    assert as_tree(ET.fromstring(document.body)) == as_tree(ET.fromstring(official(parameters).encode()))


def test_the_answer_carries_what_the_recorded_one_carries(twilio_call: list[dict[str, Any]]) -> None:
    [recorded] = [
        ET.fromstring(e["wire"].encode()) for e in twilio_call if (e["dir"], e["kind"]) == ("out", "http")
    ]
    stream = recorded.find("Connect/Stream")
    assert stream is not None
    parameters = {p.attrib["name"]: p.attrib["value"] for p in stream}
    ours = ET.fromstring(
        DIALECT.answer(stream.attrib["url"], stream.attrib["statusCallback"], parameters).body
    )
    ours_stream = ours.find("Connect/Stream")
    assert ours_stream is not None
    assert ours_stream.attrib == stream.attrib | {"statusCallbackMethod": "POST"}
    assert [as_tree(p) for p in ours_stream] == [as_tree(p) for p in stream]


def test_white_space_in_a_parameter_survives() -> None:
    value = "a\tb\nc\rd  e"
    tree = ET.fromstring(DIALECT.answer(MEDIA, STATUS, {"x": value}).body)
    assert tree.find("Connect/Stream/Parameter").attrib["value"] == value


def test_name_and_value_stay_under_500_characters_together() -> None:
    DIALECT.answer(MEDIA, STATUS, {"name": "v" * 495})
    with pytest.raises(ConfigError, match="500"):
        DIALECT.answer(MEDIA, STATUS, {"name": "v" * 496})


@pytest.mark.parametrize("value", ["\0", "\x1b", "\ud800", "\ufffe"])
def test_what_xml_cannot_carry_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="XML"):
        DIALECT.answer(MEDIA, STATUS, {"x": value})


@pytest.mark.parametrize("url", ["https://host/x", "wss://host/x?a=1", "wss://host/x#y", "/x"])
def test_a_media_url_that_twilio_refuses_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="media URL"):
        DIALECT.answer(url, STATUS, {})


def test_without_a_status_url_no_callback_is_asked_for() -> None:
    stream = ET.fromstring(DIALECT.answer(MEDIA, "", {}).body).find("Connect/Stream")
    assert stream is not None
    assert stream.attrib == {"url": MEDIA}


def test_a_refusal_says_nothing_and_hangs_up() -> None:
    official_refusal = VoiceResponse()
    official_refusal.hangup()
    body = DIALECT.refuse("no assistant for +14155550100").body
    assert as_tree(ET.fromstring(body)) == as_tree(ET.fromstring(str(official_refusal).encode()))
