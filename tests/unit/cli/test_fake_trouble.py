"""What the fakes of the command line say of a call, from its record alone."""

from __future__ import annotations

from typing import Any

import pytest

from vapimedia.cli.fake_call import trouble
from vapimedia.testing import (
    FakeTwilioCall,
    FakeVonageCall,
)
from vapimedia.testing.twilio_wire import Twiml
from vapimedia.testing.vonage_ncco import Ncco

PUBLIC = "https://bridge.example.com"
WELL = {"voice_status": 200, "upgrade_status": 101, "ended_by": "bridge", "close_code": 1000}


def made_call(**found: Any) -> FakeTwilioCall:
    """Return a call as it is after it went well, but for what was *found*."""
    call = FakeTwilioCall("http://127.0.0.1:8080/twilio/voice", auth_token="t", max_s=7)
    twiml = Twiml(stream_url="wss://bridge.example.com/twilio/media/x")
    for name, value in (WELL | {"twiml": twiml, "received": b"\xff"} | found).items():
        setattr(call, name, value)
    return call


def made_vonage_call(**found: Any) -> FakeVonageCall:
    call = FakeVonageCall(
        "http://127.0.0.1:8080/vonage/answer",
        api_key="k",
        application_id="a",
        signature_secret="s" * 32,
        max_s=7,
    )
    ncco = Ncco(uri="wss://bridge.example.com/vonage/media/x")
    for name, value in (WELL | {"ncco": ncco, "received": bytes(640)} | found).items():
        setattr(call, name, value)
    return call


def test_a_call_that_the_bridge_ended_after_audio_went_well() -> None:
    assert trouble(made_call()) == [] and trouble(made_vonage_call()) == []


def test_a_caller_who_listens_may_be_cut_off_by_the_clock() -> None:
    assert trouble(made_vonage_call(ended_by="timeout"), listens=True) == []


@pytest.mark.parametrize(
    "found,words",
    [
        ({"voice_status": 403}, ("TWILIO_AUTH_TOKEN", "--public-url")),
        ({"voice_status": 503}, ("webhook answered 503",)),
        ({"twiml": Twiml()}, ("without a media stream",)),
        ({"upgrade_status": 403}, ("stream was refused (403)",)),
        ({"upgrade_status": None}, ("no connection", "bridge.example.com: --public-url")),
        ({"upgrade_status": None, "public_url": PUBLIC}, ("no connection", "log says why")),
        ({"ended_by": "timeout"}, ("cut after 7 s (--max-s)",)),
        ({"close_code": 1001}, ("ended the call early", "1001")),
        ({"received": b""}, ("no audio came",)),
    ],
)
def test_a_call_that_failed_is_one_sentence(found: dict[str, Any], words: tuple[str, ...]) -> None:
    (line,) = trouble(made_call(**found))
    assert all(word in line for word in words)


@pytest.mark.parametrize(
    "found,words",
    [
        ({"voice_status": 401}, ("VONAGE_SIGNATURE_SECRET",)),
        ({"voice_status": 403}, ("VONAGE_API_KEY", "VONAGE_APPLICATION_ID")),
        ({"voice_status": 503}, ("webhook answered 503",)),
        ({"ncco": Ncco()}, ("without a media socket",)),
        ({"upgrade_status": None}, ("no connection", "bridge.example.com: --public-url")),
        ({"upgrade_status": 401}, ("stream was refused (401)",)),
        ({"ended_by": "wrong size", "close_code": 1006}, ("exactly 640 bytes",)),
        ({"ended_by": "timeout"}, ("cut after 7 s (--max-s)",)),
        ({"close_code": 1011}, ("ended the call early", "1011")),
        ({"received": b""}, ("no audio came",)),
    ],
)
def test_a_vonage_call_that_failed_is_one_sentence(found: dict[str, Any], words: tuple[str, ...]) -> None:
    (line,) = trouble(made_vonage_call(**found))
    assert all(word in line for word in words)
