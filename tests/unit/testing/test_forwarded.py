"""Where a call was sent is read from TwiML and NCCO alike, and what a provider would refuse is found."""

from __future__ import annotations

from urllib.parse import parse_qs

import pytest

from vapimedia.protocols import ForwardTo, HttpCall, forward_to
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.protocols.vonage_ncco import connect_elsewhere
from vapimedia.testing import Forwarded
from vapimedia.testing.forwarded import read_transfer
from vapimedia.testing.twilio_wire import parse_twiml
from vapimedia.testing.vonage_ncco import read_actions

NUMBER = "+14155550100"
DESTINATIONS = [
    (forward_to(NUMBER), Forwarded("number", NUMBER)),
    (
        forward_to(NUMBER, caller_id="+14155550199", extension="12#", message="One <moment>."),
        Forwarded("number", NUMBER, "+14155550199", "12#", message="One <moment>."),
    ),
    (
        forward_to("sip:desk@example.com", headers={"X-Case": "4 & 5"}),
        Forwarded("sip", "sip:desk@example.com", headers={"X-Case": "4 & 5"}),
    ),
]


@pytest.mark.parametrize(("to", "forwarded"), DESTINATIONS)
def test_both_providers_are_sent_to_the_same_place(to: ForwardTo, forwarded: Forwarded) -> None:
    request = TwilioDialect(TwilioSettings("AC1", "token"), call_id="CA1").forward(to)[0]
    assert isinstance(request, HttpCall)
    twiml = parse_twiml(parse_qs(request.body.decode())["Twiml"][0])
    assert (twiml.forwarded, twiml.violations) == (forwarded, [])
    ncco = connect_elsewhere(to, "")
    assert (read_transfer(ncco), read_actions(ncco).violations) == (forwarded, [])


@pytest.mark.parametrize(
    "dial",
    [
        "<Dial/>",
        "<Dial>4155550100</Dial>",
        f"<Dial from='x'>{NUMBER}</Dial>",
        f"<Dial timeout='4'><Number>{NUMBER}</Number></Dial>",
        f"<Dial callerId='me'><Number>{NUMBER}</Number></Dial>",
        f"<Dial><Number sendDigits='p1'>{NUMBER}</Number></Dial>",
        f"<Dial><Number keys='1'>{NUMBER}</Number></Dial>",
        f"<Dial><Number>{NUMBER}</Number><Number>{NUMBER}</Number></Dial>",
        "<Dial><Sip>desk@example.com</Sip></Dial>",
        "<Dial><Queue>sales</Queue></Dial>",
    ],
)
def test_what_twilio_would_refuse_is_found_and_no_number_quoted(dial: str) -> None:
    violations = parse_twiml(f"<Response>{dial}</Response>").violations
    assert len(violations) == 1
    assert "415555" not in violations[0]


@pytest.mark.parametrize(
    "ncco",
    [
        [],
        [{"action": "talk", "text": "Goodbye."}],
        [{"action": "connect"}],
        [{"action": "connect", "endpoint": ["x"]}],
        [{"action": "connect", "endpoint": [{"type": "app", "user": "ann"}]}],
    ],
)
def test_an_ncco_that_connects_to_no_phone_forwards_nowhere(ncco: list[dict[str, object]]) -> None:
    assert read_transfer(ncco) is None
