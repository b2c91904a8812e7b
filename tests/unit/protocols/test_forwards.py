"""A call goes on elsewhere as the official libraries of Twilio and Vonage would have it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.twiml.voice_response import Dial, VoiceResponse
from vonage_voice.models import Connect, PhoneEndpoint, SipEndpoint
from vonage_voice.models.ncco import Talk

from vapimedia.errors import ConfigError
from vapimedia.protocols import CloseSocket, DialRequest, ForwardTo, HttpCall, WebhookRequest, forward_to
from vapimedia.protocols.browser import BrowserDialect, BrowserSettings
from vapimedia.protocols.dialect import Dialect
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.protocols.vonage import VonageDialect, VonageSettings

ACCOUNT, TOKEN = "AC00000000000000000000000000000001", "0123456789abcdef0123456789abcdef"
SID = "CA5a1e00000000000000000000000000a1"
UUID = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
NUMBER, OURS = "+14155550100", "+14155550199"
SIP = "sip:desk@example.com;transport=tls"
XML_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
)
HEADERS = {"X-Case": "4 & <5>", "User-to-User": "342342ef34;encoding=hex"}


def as_tree(element: ET.Element) -> Any:
    return element.tag, element.attrib, element.text or "", [as_tree(child) for child in element]


def twilio(**changes: str) -> TwilioDialect:
    return TwilioDialect(
        TwilioSettings(**({"account_sid": ACCOUNT, "auth_token": TOKEN} | changes)), call_id=SID
    )


def vonage(pem: str, **changes: str) -> VonageDialect:
    known = {"application_id": "app-1", "private_key": pem, "from_number": OURS}
    return VonageDialect(VonageSettings(**(known | changes)), call_id=UUID)  # type: ignore[arg-type]


def asked(dialect: Dialect, to: ForwardTo) -> HttpCall:
    request, close = dialect.forward(to)
    assert isinstance(request, HttpCall)
    assert (request.purpose, request.awaited, request.gone) == ("forward", True, frozenset())
    assert close == CloseSocket(1000, grace_ms=2000)
    return request


def twiml(to: ForwardTo) -> Any:
    return as_tree(ET.fromstring(parse_qs(asked(twilio(), to).body.decode())["Twiml"][0]))


def ncco(dialect: Dialect, to: ForwardTo) -> Any:
    return json.loads(asked(dialect, to).body)["destination"]["ncco"]


def official(
    noun: str, address: str, message: str = "", caller_id: str | None = None, **noun_options: Any
) -> Any:
    response, dial = VoiceResponse(), Dial(caller_id=caller_id, timeout=30)
    if message:
        response.say(message)
    getattr(dial, noun)(address, **noun_options)
    response.append(dial)
    return as_tree(ET.fromstring(str(response).encode()))


def dumped(*actions: Any) -> Any:
    return [action.model_dump(by_alias=True, exclude_none=True, mode="json") for action in actions]


@settings(max_examples=50)
@given(XML_TEXT.filter(lambda text: len(text) <= 600))
def test_twilio_is_told_a_number_as_the_official_library_does(message: str) -> None:
    to = forward_to(NUMBER, caller_id=OURS, extension="12#", message=message)
    assert twiml(to) == official("number", NUMBER, message, OURS, send_digits="ww12#")
    assert twiml(forward_to(NUMBER)) == official("number", NUMBER)


def test_twilio_is_told_a_sip_address_with_its_headers() -> None:
    headers = "X-Case=4%20%26%20%3C5%3E&User-to-User=342342ef34%3Bencoding%3Dhex"
    to = forward_to(SIP, caller_id="desk-7", headers=HEADERS)
    assert twiml(to) == official("sip", f"{SIP}?{headers}", caller_id="desk-7")
    assert twiml(forward_to(f"{SIP}?a=b", headers={"X-Case": "4"})) == official("sip", f"{SIP}?a=b&X-Case=4")


def test_twilio_is_asked_where_and_how_it_is_asked_to_hang_up() -> None:
    request, hangup = asked(twilio(), forward_to(NUMBER)), twilio().hangup()[0]
    assert isinstance(hangup, HttpCall)
    assert (request.method, request.url, request.headers) == (hangup.method, hangup.url, hangup.headers)
    assert set(parse_qs(request.body.decode())) == {"Twiml"}


def test_vonage_is_told_as_the_official_models_do(rsa_pem: str) -> None:
    to = forward_to(NUMBER, extension="12#", message="One moment.")
    phone = PhoneEndpoint(number="14155550100", dtmfAnswer="pp12#")
    assert ncco(vonage(rsa_pem), to) == dumped(
        Talk(text="One moment."), Connect(endpoint=[phone], from_="14155550199", timeout=30)
    )
    sip = SipEndpoint(
        uri="sip:desk@example.com",
        headers={"Case": "4 & <5>"},
        standardHeaders={"User-to-User": "342342ef34;encoding=hex"},
    )
    to = forward_to("sip:desk@example.com", caller_id="+44 7700 900 000", headers=HEADERS)
    assert ncco(vonage(rsa_pem), to) == dumped(Connect(endpoint=[sip], from_="447700900000", timeout=30))


def test_vonage_is_asked_to_transfer_the_phones_leg_and_shows_the_number_that_was_called(
    rsa_pem: str,
) -> None:
    dialect = vonage(rsa_pem, from_number="")
    body = json.dumps({"uuid": UUID, "from": "15005550006", "to": "15005550001"}).encode()
    dialect.read_voice_webhook(WebhookRequest("POST", "/vonage/answer", {}, body))
    request = asked(dialect, forward_to(NUMBER))
    assert (request.method, request.url) == ("PUT", f"https://api.nexmo.com/v1/calls/{UUID}")
    assert request.sign is not None and request.sign(1_700_000_000)["Authorization"].reveal().startswith(
        "Bearer ey"
    )
    sent = json.loads(request.body)
    assert (sent["action"], sent["destination"]["type"]) == ("transfer", "ncco")
    assert sent["destination"]["ncco"][0]["from"] == "15005550001"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"address": "911"}, "E.164"),
        ({"address": "4155550100"}, "E.164"),
        ({"address": "tel:+14155550100"}, "E.164"),
        ({"address": "sip:\x7f"}, "sip:desk"),
        ({"address": "sip:a b@other.example"}, "sip:desk"),
        ({"address": "sip:<a>@other.example"}, "sip:desk"),
        ({"caller_id": "alice-4155550199"}, "caller_id"),
        ({"extension": "12a"}, "extension"),
        ({"headers": {"X-Case": "4"}}, "headers"),
        ({"address": SIP, "extension": "12"}, "extension"),
        ({"address": SIP, "headers": {"X Case": "4"}}, "X-Case"),
        ({"address": SIP, "headers": {"X-Case": "4\r\nX: 5"}}, "X-Case"),
        ({"message": "x" * 1501}, "1500"),
    ],
)
def test_what_cannot_be_dialled_is_refused_and_not_quoted(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text) as caught:
        forward_to(**({"address": NUMBER} | changes))
    for told in (str(value) for value in changes.values()):
        assert told not in str(caught.value)


def test_what_twilio_or_vonage_would_refuse_is_refused(rsa_pem: str) -> None:
    alone = vonage(rsa_pem)
    alone.dial(DialRequest(to=None, from_=OURS, media_url="wss://h/m", status_url=""))
    number, named = forward_to(NUMBER), forward_to(SIP, caller_id="desk-7")
    refusals: list[tuple[Dialect, ForwardTo, str]] = [
        (twilio(account_sid=""), number, "TWILIO_ACCOUNT_SID"),
        (TwilioDialect(TwilioSettings(ACCOUNT, TOKEN)), number, "named the call"),
        (twilio(), forward_to(SIP, headers={f"X-{n}": "x" * 200 for n in range(6)}), "1024"),
        (twilio(), forward_to(NUMBER, message="&" * 1000), "4000"),
        (twilio(), forward_to(NUMBER, message="\0"), "XML"),
        (vonage("", application_id=""), number, "VONAGE_APPLICATION_ID"),
        (VonageDialect(VonageSettings(application_id="a", private_key=rsa_pem)), number, "named the call"),
        (vonage(rsa_pem), named, "caller_id"),
        (alone, number, "no phone leg"),
        (BrowserDialect(BrowserSettings()), number, "no phone leg"),
    ]
    for dialect, to, text in refusals:
        with pytest.raises(ConfigError, match=text) as caught:
            dialect.forward(to)
        assert "5550100" not in str(caught.value)
        assert dialect.caps.forwards is (dialect.name != "browser")


def test_nothing_of_a_destination_shows(rsa_pem: str) -> None:
    to = forward_to(NUMBER, caller_id=OURS, message="One moment, Ann.")
    shown = repr([to, *twilio().forward(to), *vonage(rsa_pem).forward(to)])
    for private in ("5550100", "5550199", "Ann", TOKEN):
        assert private not in shown


@given(st.text(), st.text(), st.text(), st.dictionaries(st.text(), st.text()), st.text())
def test_whatever_a_destination_is_it_can_be_written_or_is_refused(
    address: str, caller_id: str, extension: str, headers: dict[str, str], message: str
) -> None:
    for at in (address, f"sip:{address}"):
        try:
            to = forward_to(at, caller_id=caller_id, extension=extension, headers=headers, message=message)
            twilio().forward(to)
        except ConfigError:
            continue
        assert twiml(to)[0] == "Response"
