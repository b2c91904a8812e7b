"""Where a call was sent is read from TwiML and NCCO alike, and what a provider would refuse is found."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

import pytest
from naive_vonage_bridge import VonageBridge, serving
from test_fake_vonage_api import api_for, ask

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


NCCO = [{"action": "connect", "endpoint": [{"type": "phone", "number": "14155550100"}]}]


@pytest.mark.parametrize(
    ("leg", "destination", "status", "violation"),
    [
        ("call_uuid", {"type": "ncco", "ncco": NCCO}, 204, ""),
        ("websocket_uuid", {"type": "ncco", "ncco": NCCO}, 204, "leg"),
        ("call_uuid", {"type": "ncco", "ncco": [{"action": "dance"}]}, 204, "unknown action"),
        ("call_uuid", {"type": "ncco", "url": ["https://bridge.example.com/ncco"]}, 400, "inline"),
    ],
)
async def test_vonage_transfers_the_phones_leg_and_what_is_odd_about_it_is_noted(
    leg: str, destination: dict[str, Any], status: int, violation: str
) -> None:
    async with serving(VonageBridge()) as bridge, api_for() as api:
        call = api.register(bridge.phone())
        running = asyncio.create_task(call.run())
        await call.streaming()
        update = {"action": "transfer", "destination": destination}
        assert (await ask(api, "PUT", f"/{getattr(call, leg)}", update))[0] == status
        if status == 400:
            call.hang_up()
        await running
        found = [*api.violations, *call.violations]
        assert len(found) == bool(violation)
        assert violation in "".join(found)
        assert call.ended_by == ("transfer" if status == 204 else "caller")
