"""``vapimedia dial`` before anything rings: settings, what is shown of a number, what each end is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from plain_settings import isolate

from vapimedia.cli import main
from vapimedia.cli.dial_report import DialRecord, DialWatch, Step, masked, trouble
from vapimedia.protocols.events import CallProgress
from vapimedia.protocols.vapi import Transcript
from vapimedia.session import CallEnded, CallStarted, CallSummary
from vapimedia.session.events import EndReason

NUMBER = "+15557770456"
SETTINGS = {
    "VAPI_API_KEY": "canary-key",
    "TWILIO_ACCOUNT_SID": "AC1",
    "TWILIO_AUTH_TOKEN": "canary-token",
    "VAPIMEDIA_PUBLIC_URL": "https://bridge.example.com",
    "VAPIMEDIA_ASSISTANT_ID": "asst_1",
    "VAPIMEDIA_TWILIO_FROM": "+15557770123",
    "VAPIMEDIA_PORT": "0",
}
VONAGE = {"VONAGE_SIGNATURE_SECRET": "canary-secret-of-thirty-two-bytes", "VONAGE_API_KEY": "canary-account"}


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def dial_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str, **environ: str
) -> str:
    """Return the one error line of a dial that is not even begun."""
    for name, value in (SETTINGS | environ).items():
        monkeypatch.setenv(name, value)
    assert main(["dial", *argv]) == 2
    said = capsys.readouterr()
    lines = [line for line in said.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1 and lines[0].startswith("error: "), said.err
    assert said.out == "" and "by REST" not in said.err  # nothing is said to be done, and nothing twice
    assert "canary" not in said.err and NUMBER[1:] not in said.err
    return lines[0]


@pytest.mark.parametrize(
    "argv,environ,words",
    [
        ((), {}, "there is nobody to call"),
        ((NUMBER,), {"VAPIMEDIA_ASSISTANT_ID": ""}, "--assistant-id"),
        ((NUMBER,), {"VAPI_API_KEY": ""}, "VAPI_API_KEY"),
        ((NUMBER,), {"VAPIMEDIA_PUBLIC_URL": ""}, "--public-url"),
        ((NUMBER,), {"TWILIO_ACCOUNT_SID": ""}, "TWILIO_ACCOUNT_SID is not set"),
        ((NUMBER,), {"VAPIMEDIA_TWILIO_FROM": ""}, "give --from, or set VAPIMEDIA_TWILIO_FROM"),
        (("five",), {}, "E.164"),
        ((NUMBER, "--ring-timeout-s", "0"), {}, "ring_timeout_s is 0"),
        ((NUMBER, "--machine-detection", "loud"), {}, "machine_detection"),
        ((NUMBER, "--provider", "vonage"), {}, "VONAGE_SIGNATURE_SECRET"),
        ((NUMBER, "--provider", "Browser"), {}, "browser cannot dial"),
        ((NUMBER,), {"VAPIMEDIA_PROVIDER": "browser", "VAPIMEDIA_BROWSER_SECRET": "s" * 32}, "add twilio or"),
        ((NUMBER,), {"VAPIMEDIA_PROVIDER": "vonage,twilio"} | VONAGE, "choose the provider to dial with"),
        ((NUMBER, "--provider", "Vonage"), VONAGE, "give --from, or set VAPIMEDIA_VONAGE_FROM"),
        ((NUMBER, "--provider", "VONAGE", "--from", NUMBER), VONAGE, "VONAGE_APPLICATION_ID is not set"),
        ((NUMBER, "--provider", "nowhere"), {}, "unknown provider 'nowhere'"),
        ((NUMBER, "--app", "absent_shop:bridge"), {}, "absent_shop"),
        ((NUMBER, "--log-level", "loud"), {}, "log level"),
        (("--document", "absent.json"), {}, "cannot read absent.json"),
        (("--document", "bridge.toml"), {}, "bridge.toml is not JSON"),
    ],
)
def test_what_keeps_a_call_from_being_made_is_exit_code_2_and_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    argv: tuple[str, ...],
    environ: dict[str, str],
    words: str,
) -> None:
    (tmp_path / "bridge.toml").write_text("port = 0\n")
    assert words in dial_error(monkeypatch, capsys, *argv, **environ)


def test_help_lists_what_dial_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dial", "--help"]) == 0
    text = capsys.readouterr().out
    flags = ("--provider", "--from", "--assistant-id", "--ring-timeout-s", "--machine-detection")
    assert all(flag in text for flag in (*flags, "--public-url", "--config", "--json", "--document"))
    assert "VAPIMEDIA_TWILIO_FROM" in text and "130" in text


@pytest.mark.parametrize(
    "to,shown",
    [
        ("+15557770456", "+1555***0456"),
        ("+1 (555) 777-0456", "+1555***0456"),
        ("15557770456", "1555***0456"),
        ("5557770456", "***"),
        ("sip:somebody@example.com", "***"),
        ("five", "***"),
        (None, "the media socket alone"),
    ],
)
def test_a_number_is_never_shown_whole(to: str | None, shown: str) -> None:
    assert masked(to) == shown


# --- the verdict ---------------------------------------------------------------------------------


def record(reason: EndReason, *statuses: str, detail: str = "") -> DialRecord:
    answered = bool({"answered", "live"} & set(statuses))
    steps = [Step(status, 0) for status in statuses]
    return DialRecord(end_reason=reason, statuses=steps, detail=detail, answered=answered)


@pytest.mark.parametrize("reason", ["provider_stop", "provider_closed", "vapi_ended", "hang_up"])
def test_a_call_that_was_live_and_ended_as_calls_do_is_no_trouble(reason: EndReason) -> None:
    assert trouble(record(reason, "queued", "answered", "live")) is None


@pytest.mark.parametrize("reason", get_args(EndReason))
@pytest.mark.parametrize("statuses", [("queued",), ("queued", "answered")])
def test_a_call_that_was_never_live_is_trouble_however_it_ended(
    reason: EndReason, statuses: tuple[str, ...]
) -> None:
    said = trouble(record(reason, *statuses, detail="word"))
    assert said and "went wrong" not in said
    assert "(word)" in said or reason == "media_timeout"


@pytest.mark.parametrize(
    "reason,words",
    [("vapi_lost", "Vapi was lost"), ("idle_timeout", "silent"), ("callback_error", "on_event")],
)
def test_a_live_call_that_broke_is_trouble(reason: EndReason, words: str) -> None:
    assert words in (trouble(record(reason, "queued", "answered", "live")) or "")


def test_a_provider_that_says_nothing_and_one_that_brings_no_audio_are_told_apart() -> None:
    silent, mute = trouble(record("media_timeout", "queued")), trouble(record("media_timeout", "answered"))
    assert silent and mute and "did not say" in silent and "no media socket" in mute


# --- the events ----------------------------------------------------------------------------------


class Handle:
    """What the watch asks of a call."""

    provider, id, vapi_call_id = "twilio", "CA1", "vapi-1"

    def __init__(self, direction: str = "outbound") -> None:
        self.info: Any = type("Info", (), {"direction": direction})


def ended(reason: EndReason, detail: str = "") -> CallEnded:
    summary = CallSummary("CA1", "vapi-1", "twilio", 0, 0, 9, 1500.4, reason, {}, None, None, 0)
    return CallEnded(reason, detail, summary)


def watched(*events: object, call: Any = None) -> tuple[DialRecord, list[tuple[str, str]]]:
    shown: list[tuple[str, str]] = []
    watch = DialWatch(lambda _at_s, what, text: shown.append((what, text)))
    for event in events:
        watch(call or Handle(), event)
    return watch.record, shown


def test_each_step_is_shown_and_kept() -> None:
    found, shown = watched(
        CallProgress("ringing", "ringing"),
        CallProgress("answered", "in-progress"),
        CallProgress("machine", "machine_start"),
        CallStarted("CA1", "MZ1", {}, "twilio"),
        ended("vapi_ended", "assistant-ended-call"),
    )
    assert shown == [
        ("ringing", ""),
        ("answered", ""),
        ("machine", "machine_start"),
        ("live", ""),
        ("ended", "vapi_ended (assistant-ended-call), 1.5 s"),
    ]
    assert [step.status for step in found.statuses] == [what for what, _ in shown]
    assert [step.detail for step in found.statuses][1:3] == ["in-progress", "machine_start"]
    assert (found.call_id, found.vapi_call_id, found.duration_ms) == ("CA1", "vapi-1", 1500)
    assert found.answered and found.error is None


def test_ringing_is_not_answering() -> None:
    found, _ = watched(CallProgress("ringing"), ended("unanswered"))
    assert not found.answered and found.error == "nobody answered"


def test_final_transcripts_are_shown_once_and_kept_nowhere() -> None:
    def said(role: str, words: str, kind: str = "final") -> Transcript:
        return Transcript(role=role, transcript_type=kind, transcript=words)

    found, shown = watched(
        said("assistant", "Hello"),
        said("assistant", "Hello"),
        said("user", "H", "partial"),
        said("user", "Hi"),
        said("bot", "Hello"),
        said("user", ""),
    )
    assert shown == [("assistant", "Hello"), ("called", "Hi"), ("assistant", "Hello")]
    assert found == DialRecord()


def test_events_of_other_calls_are_left_out() -> None:
    found, shown = watched(CallProgress("ringing"), ended("busy"), call=Handle("inbound"))
    assert (found, shown) == (DialRecord(), [])
    watch = DialWatch(lambda *_: None)
    watch(None, CallProgress("ringing"))
    assert watch.record == DialRecord()
