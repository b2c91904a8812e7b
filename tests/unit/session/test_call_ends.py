"""Every way to end: both legs, exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from session_fakes import END_CALL, ENDED, FRAME, HANGUP, MULAW, Driver, FakeDialect

from vapimedia.protocols.commands import CloseSocket, HttpCall, SendBinary
from vapimedia.protocols.events import Stopped
from vapimedia.session import CallEnded, CallSession, SessionConfig, State

CLOSE = CloseSocket(1000)
CONTROL = HttpCall(
    "end-call",
    "POST",
    "https://vapi.example/control",
    {"content-type": "application/json", "x-key": "k"},
    b'{"type":"end-call"}',
    frozenset({404, 410}),
)

# input, its arguments, reason, what the provider gets, what Vapi gets
ENDS: list[tuple[str, tuple[Any, ...], str, list[Any], list[Any]]] = [
    ("text", ("stop",), "provider_stop", [CLOSE], [END_CALL, CLOSE]),
    ("provider_events", ([Stopped("completed")],), "provider_stop", [CLOSE], [END_CALL, CLOSE]),
    ("provider_closed", (1000,), "provider_closed", [], [END_CALL, CLOSE]),
    ("provider_closed", (1001,), "provider_closed", [], [END_CALL, CLOSE]),
    ("provider_closed", (1006,), "provider_reset", [], [END_CALL, CLOSE]),
    ("vapi_text", (ENDED,), "vapi_ended", [HANGUP, CLOSE], [CLOSE]),
    ("vapi_closed", (1000,), "vapi_closed", [HANGUP, CLOSE], [CONTROL]),
    ("vapi_closed", (1001,), "vapi_closed", [HANGUP, CLOSE], [CONTROL]),
    ("vapi_closed", (1006,), "vapi_lost", [HANGUP, CLOSE], [CONTROL]),
    ("vapi_failed", ("refused",), "vapi_failed", [HANGUP, CLOSE], [CONTROL]),
    ("hang_up", ("enough",), "hang_up", [HANGUP, CLOSE], [END_CALL, CLOSE]),
    ("hang_up", ("drain",), "drain", [HANGUP, CloseSocket(1001)], [END_CALL, CloseSocket(1001)]),
    (
        "hang_up",
        ("callback_error",),
        "callback_error",
        [HANGUP, CloseSocket(1011)],
        [END_CALL, CloseSocket(1011)],
    ),
    ("text", ("fatal",), "protocol_error", [HANGUP, CloseSocket(1002)], [END_CALL, CLOSE]),
    (
        "text",
        ("fatal unsupported_format",),
        "unsupported_format",
        [CloseSocket(1003)],
        [END_CALL, CLOSE],
    ),
    ("advance", (40_000,), "idle_timeout", [HANGUP, CLOSE], [END_CALL, CLOSE]),
]


@pytest.mark.parametrize(("name", "arguments", "reason", "to_provider", "to_vapi"), ENDS)
def test_every_end_ends_both_legs_at_once_and_once(
    name: str, arguments: tuple[Any, ...], reason: str, to_provider: list[Any], to_vapi: list[Any]
) -> None:
    call = Driver().go_live()
    call.advance(20)
    call.forget()
    getattr(call, name)(*arguments)
    assert call.ended is not None
    assert call.ended.reason == reason
    assert call.without_audio(call.to_provider) == to_provider
    assert call.without_audio(call.to_vapi) == to_vapi
    assert isinstance(call.events[-1], CallEnded)
    assert call.session.state is State.ENDED
    assert call.next_tick_ns is None


EVERYTHING: list[Callable[[Driver], Any]] = [
    lambda call: call.provider_opened(),
    lambda call: call.vapi_opened(),
    lambda call: call.vapi_failed("late"),
    lambda call: call.text("start"),
    lambda call: call.text("stop"),
    lambda call: call.text("dtmf 5"),
    lambda call: call.text("media abc"),
    lambda call: call.provider_message(FRAME, False),
    lambda call: call.provider_events([Stopped("again")]),
    lambda call: call.provider_closed(1006),
    lambda call: call.vapi_text(ENDED),
    lambda call: call.vapi_audio(20),
    lambda call: call.vapi_closed(1000),
    lambda call: call.send_to_vapi(b"{}"),
    lambda call: call.hang_up("again"),
    lambda call: call.tick(),
]


@pytest.mark.parametrize("again", EVERYTHING)
def test_nothing_follows_the_end(again: Callable[[Driver], Any]) -> None:
    call = Driver().go_live()
    call.text("stop")
    call.forget()
    call.now_ns += 60_000_000_000
    again(call)
    assert not call.to_provider + call.to_vapi + call.events
    assert call.next_tick_ns is None
    assert call.session.mark_due(call.now_ns) is None


def test_the_callers_last_words_reach_vapi_before_the_end() -> None:
    for last in ("text", "provider_closed"):
        call = Driver().go_live()
        call.provider_message(FRAME + FRAME[:80], False)
        getattr(call, last)("stop" if last == "text" else 1000)
        assert call.said.startswith(FRAME + FRAME[:80])
        assert isinstance(call.to_vapi[1], SendBinary)
        assert call.without_audio(call.to_vapi) == [END_CALL, CLOSE]


def test_without_a_socket_vapi_is_told_at_its_control_url() -> None:
    call = Driver()
    call.provider_events([Stopped("no-answer")])
    assert call.to_vapi == [CONTROL]
    assert not call.to_provider


def test_without_a_socket_and_a_control_url_nothing_is_sent() -> None:
    call = Driver(control=False)
    call.hang_up("")
    assert not call.to_vapi


def test_a_vapi_call_that_was_made_too_late_is_ended_once() -> None:
    call = Driver(control=False)
    call.provider_closed(1000)
    for expected in ([CONTROL], []):
        late = call.session.set_vapi_call("vapi-2", "https://vapi.example/control", {"x-key": "k"})
        assert late.to_vapi == expected


def test_a_vapi_call_that_was_ended_on_its_socket_is_not_ended_again() -> None:
    call = Driver(control=False).go_live()
    call.hang_up("")
    assert not call.session.set_vapi_call("vapi-1", "https://vapi.example/control", {}).to_vapi


def test_a_socket_that_is_not_open_is_not_closed() -> None:
    call = Driver()
    call.hang_up("")
    assert call.to_provider == [HANGUP]


@pytest.mark.parametrize(
    ("name", "argument"), [("vapi_closed", 1000), ("vapi_closed", 1006), ("vapi_failed", "no answer")]
)
def test_the_phone_call_may_go_on_without_vapi(name: str, argument: Any) -> None:
    call = Driver(on_vapi_lost="continue").go_live()
    getattr(call, name)(argument)
    assert call.to_provider == [CLOSE]


def test_a_call_that_vapi_has_ended_never_goes_on() -> None:
    call = Driver(on_vapi_lost="continue").go_live()
    call.vapi_text(ENDED)
    assert call.to_provider == [HANGUP, CLOSE]


def test_the_end_says_what_the_peer_said() -> None:
    for name, argument, detail in (
        ("text", "stop", "hung-up"),
        ("vapi_text", ENDED, "assistant-ended-call"),
        ("vapi_failed", "status 401", "status 401"),
        ("vapi_closed", 1001, "1001"),
        ("hang_up", "operator", "operator"),
        ("hang_up", "drain", ""),
        ("text", "fatal wrong_account", "wrong_account"),
    ):
        call = Driver().go_live()
        getattr(call, name)(argument)
        assert call.ended is not None
        assert call.ended.detail == detail


def test_an_event_after_a_stop_in_the_same_batch_is_not_acted_upon() -> None:
    call = Driver().go_live()
    call.provider_events([Stopped("a"), Stopped("b")])
    assert call.ended is not None
    assert call.ended.detail == "a"


def test_what_was_not_heard_is_counted_at_the_end() -> None:
    call = Driver(lead_ms=200).go_live()
    call.vapi_audio(1000)
    call.text("stop")
    assert call.ended is not None
    downlink = call.ended.summary.downlink
    assert downlink is not None
    assert downlink.dropped_closed_ms == pytest.approx(800, abs=120)


def test_a_session_that_ends_unused_has_a_summary() -> None:
    session = CallSession(FakeDialect(), SessionConfig(vapi_format=MULAW), now_ns=0)
    summary = session.summary(5)
    assert (summary.started_ns, summary.ended_ns, summary.end_reason) == (None, None, None)
    assert session.next_tick_ns == 15_000_000_000


@pytest.mark.parametrize("code", [1002, 1007, 1009])
def test_a_socket_that_was_closed_for_a_breach_ends_the_call_as_a_protocol_error(code: int) -> None:
    for name, to_provider, to_vapi in (
        ("provider_closed", [HANGUP], [END_CALL, CLOSE]),
        ("vapi_closed", [HANGUP, CLOSE], [CONTROL]),
    ):
        call = Driver().go_live()
        getattr(call, name)(code, breach=True)
        assert call.ended is not None
        assert (call.ended.reason, call.ended.detail) == ("protocol_error", str(code))
        assert call.without_audio(call.to_provider) == to_provider
        assert call.without_audio(call.to_vapi) == to_vapi


def test_only_the_leg_at_fault_is_closed_with_an_error() -> None:
    guilty_phone, guilty_vapi = Driver().go_live(), Driver().go_live()
    for _ in range(16):
        guilty_phone.text("bad")
        guilty_vapi.vapi_text(b"{bad")
    assert guilty_phone.to_provider[-1] == guilty_vapi.to_vapi[-1] == CloseSocket(1007)
    assert guilty_phone.to_vapi[-1] == guilty_vapi.to_provider[-1] == CLOSE
