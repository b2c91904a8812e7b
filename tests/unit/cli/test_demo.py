"""The demo makes a call of every provider, judges it, and says in one line what it cannot do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from vapimedia.cli import main
from vapimedia.cli.demo_legs import Leg, leg_of
from vapimedia.cli.demo_phones import Phone, phone_trouble
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.testing import FakeBrowserCall, FakeTwilioCall, FakeVonageCall, read_wav
from vapimedia.testing.ear import Ear
from vapimedia.testing.webhook_http import CallbackPost


def demo(tmp_path: Path, capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    """Run a demo and return what it prints with ``--json``."""
    code = main(["demo", "--json", "--out", str(tmp_path), *argv])
    said = capsys.readouterr()
    assert (code, said.err) == (0, ""), said.err
    found: dict[str, Any] = msgspec.json.decode(said.out)
    return found


def check(found: dict[str, Any], leg: Leg, tmp_path: Path) -> None:
    assert (found["ok"], found["reasons"]) == (True, [])
    assert (found["provider"], found["rate"]) == (leg.provider, leg.format.sample_rate)
    assert (found["frames_lost"], found["frames_duplicated"], found["frames_corrupted"]) == (0, 0, 0)
    assert found["wrong_size_messages"] == 0
    assert found["uplink"]["expected"] > 1000 and found["downlink"]["expected"] > 700
    assert (found["max_messages_ahead"] is not None) is leg.exact_frames
    fmt, heard = read_wav(tmp_path / "caller-heard.wav")
    assert fmt == leg.format and len(heard) > 100 * leg.format.frame_bytes()
    assert str(read_wav(tmp_path / "assistant-heard.wav")[0]) == found["vapi_format"]


@pytest.mark.slow
def test_a_fast_demo_of_twilio_is_told_as_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--fast", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("One call: fake Twilio <-> bridge <-> fake Vapi (mulaw/8000)\n")
    assert said.err == "" and "Frames of 20 ms" in said.out
    assert read_wav(tmp_path / "caller-heard.wav")[0] == leg_of("twilio").format


@pytest.mark.slow
def test_a_fast_demo_of_vonage_at_another_rate_is_judged_good(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = demo(tmp_path, capsys, "--fast", "--provider", "vonage", "--rate", "24000")
    check(found, leg_of("vonage", 24_000), tmp_path)
    assert found["vapi_format"] == "pcm_s16le/24000"
    assert found["downlink"]["padded"] >= 4  # each utterance that was not interrupted ends within a frame


@pytest.mark.slow
def test_a_fast_demo_of_a_browser_is_judged_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = demo(tmp_path, capsys, "--fast", "--provider", "browser")
    check(found, leg_of("browser"), tmp_path)
    assert found["vapi_format"] == "pcm_s16le/16000"


@pytest.mark.slow
@pytest.mark.parametrize(
    "provider,rate",
    [
        ("vonage", 24_000),
        ("browser", 44_100),
        *(
            pytest.param(*one, marks=pytest.mark.long)
            for one in [("vonage", 8000), ("vonage", 16_000), ("browser", 48_000)]
        ),
    ],
)
def test_a_demo_in_real_time_keeps_to_every_limit(
    provider: str, rate: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = demo(tmp_path, capsys, "--provider", provider, "--rate", str(rate))
    check(found, leg_of(provider, rate), tmp_path)
    assert (found["max_messages_ahead"] or 0) <= 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    "provider,vapi_format",
    [("vonage", "mulaw/8000"), ("vonage", "pcm_s16le/24000"), ("browser", "mulaw/8000")],
)
def test_any_format_of_vapi_goes_with_any_provider(
    provider: str, vapi_format: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = demo(tmp_path, capsys, "--fast", "--provider", provider, "--vapi-format", vapi_format)
    check(found, leg_of(provider), tmp_path)
    assert found["vapi_format"] == vapi_format


@pytest.mark.parametrize(
    "argv,words",
    [
        (["--provider", "telnyx"], ("--provider", "twilio, vonage, browser")),
        (["--rate", "16000"], ("--rate must be 8000 with twilio",)),
        (["--provider", "vonage", "--rate", "48000"], ("8000 or 16000 or 24000 with vonage", "not 48000")),
        (["--provider", "browser", "--rate", "16000"], ("44100 or 48000 with browser",)),
        (["--vapi-format", "opus"], ("vapi_format",)),
        (["--vapi-format", "alaw/8000"], ("vapi_format",)),
        (["--out", "absent"], ("there is no folder absent",)),
    ],
)
def test_what_the_demo_cannot_do_is_one_sentence_and_exit_code_2(
    argv: list[str], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", *argv]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert all(word in line for word in words)


@pytest.mark.parametrize(
    "provider,rate,auto",
    [
        ("twilio", None, "mulaw/8000"),
        ("vonage", None, "pcm_s16le/16000"),
        ("vonage", 8000, "pcm_s16le/8000"),
        ("browser", None, "pcm_s16le/16000"),
        ("browser", 44_100, "pcm_s16le/16000"),
    ],
)
def test_the_format_that_needs_least_work_is_the_default(provider: str, rate: int | None, auto: str) -> None:
    assert str(leg_of(provider, rate).auto_format) == auto


def test_a_leg_at_a_rate_of_another_provider_is_refused() -> None:
    with pytest.raises(ConfigError):
        leg_of("vonage", 44_100)


# --- what the provider's side did not like --------------------------------------------------------


def made(phone: Phone, **found: Any) -> Phone:
    """Return a call as it is after it went well, but for what was *found*."""
    well = {"voice_status": 200, "upgrade_status": 101, "close_code": 1000, "ended_by": "api"}
    for name, value in (well | found).items():
        setattr(phone, name, value)
    return phone


def vonage_call(**found: Any) -> FakeVonageCall:
    call = FakeVonageCall(
        "http://127.0.0.1:8080/vonage/answer", api_key="k", application_id="a", signature_secret="s" * 32
    )
    made(call, **found)
    return call


def test_a_vonage_call_hung_up_by_rest_is_no_trouble() -> None:
    assert phone_trouble(vonage_call(), leg_of("vonage")) == []


def test_a_disconnected_event_is_trouble() -> None:
    call = vonage_call(ended_by="bridge")
    form = {"uuid": call.websocket_uuid, "status": "disconnected"}
    call.callbacks.append(CallbackPost("http://127.0.0.1/vonage/event", form, 204))
    (line,) = phone_trouble(call, leg_of("vonage"))
    assert "disconnected" in line and "REST" in line


@pytest.mark.parametrize(
    "found,word",
    [
        ({"ended_by": "timeout"}, "ended by timeout instead of by REST"),
        ({"fallback_ncco": []}, "another NCCO"),
        ({"voice_status": 401, "upgrade_status": None}, "no media stream: webhook 401"),
        ({"ear": Ear(AudioFormat("pcm_s16le", 8000))}, "pcm_s16le/8000 instead of pcm_s16le/16000"),
        ({"close_code": None}, "left open"),
    ],
)
def test_whatever_went_wrong_on_vonages_side_is_told(found: dict[str, Any], word: str) -> None:
    (line,) = phone_trouble(vonage_call(**found), leg_of("vonage"))
    assert word in line


@pytest.mark.parametrize(
    "phone,leg",
    [
        (FakeTwilioCall("http://127.0.0.1/twilio/voice", auth_token="t"), leg_of("twilio")),
        (FakeBrowserCall("http://127.0.0.1/browser/call"), leg_of("browser")),
    ],
)
def test_providers_without_an_api_call_end_by_the_socket(phone: Phone, leg: Leg) -> None:
    assert phone_trouble(made(phone, ended_by="bridge"), leg) == []
    phone.violations.append("too loud")
    assert phone_trouble(phone, leg) == [f"{leg.provider.title()}'s side: too loud"]
