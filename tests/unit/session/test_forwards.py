"""The phone call goes on elsewhere: asked once, ended once, and nobody is hung up for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from session_fakes import END_CALL, ENDED, HANGUP, INTERRUPTED, Driver, FakeDialect
from test_call_properties import CAPS, ENDING_INPUTS, INPUTS, SETTINGS

from vapimedia.errors import ConfigError, StateError
from vapimedia.protocols import ForwardTo, forward_to
from vapimedia.protocols.commands import CloseSocket, Command, HttpCall
from vapimedia.protocols.dialect import Caps
from vapimedia.protocols.vapi import NumberDestination, SipDestination
from vapimedia.session import CallEnded, ForwardFailed, State

REQUEST = HttpCall("forward", "POST", "https://provider.example/calls/1", awaited=True)
RELEASE = CloseSocket(1000, grace_ms=2000)
CLOSE = CloseSocket(1000)
DESK = forward_to("+14155550100")
DATA = Path(__file__).parents[2] / "data" / "vapi"
OTHER = forward_to("sip:desk@example.com")


class Forwarding(FakeDialect):
    """A provider that lets calls go on elsewhere."""

    def __init__(self, caps: Caps | None = None) -> None:
        super().__init__(caps)
        self.caps = msgspec.structs.replace(self.caps, forwards=True)
        self.asked: list[ForwardTo] = []

    def forward(self, to: ForwardTo) -> list[Command]:
        self.asked.append(to)
        return [REQUEST, RELEASE]


def forwarded(**config: Any) -> Driver:
    """A call whose forward has been asked for."""
    call = Driver(Forwarding(), **config).go_live()
    call.forward(DESK)
    return call


def agrees(call: Driver) -> None:
    call.forward_answered("")


def reason_of(call: Driver) -> str:
    assert call.ended is not None
    return call.ended.reason


def requests(call: Driver) -> list[HttpCall]:
    return [command for command in call.to_provider if isinstance(command, HttpCall)]


def test_the_assistant_stays_until_the_provider_agrees_and_then_leaves() -> None:
    call = forwarded()
    assert (call.to_provider, call.without_audio(call.to_vapi)) == ([REQUEST], [])
    assert call.session.state is State.LIVE
    agrees(call)
    assert reason_of(call) == "forwarded"
    assert call.to_provider == [REQUEST, RELEASE]
    assert call.without_audio(call.to_vapi) == [END_CALL, CLOSE]
    agrees(call)
    assert len(call.of(CallEnded)) == 1


def test_a_refused_forward_is_told_and_the_call_goes_on() -> None:
    call = forwarded()
    call.forward_answered("status 400")
    assert call.of(ForwardFailed) == [ForwardFailed("status 400")]
    assert call.session.state is State.LIVE
    call.forget()
    call.forward(OTHER)
    assert call.to_provider == [REQUEST]
    agrees(call)
    assert reason_of(call) == "forwarded"
    assert call.ended is not None and call.ended.summary.counters == {"forward_failed": 1}


def test_what_the_assistant_has_said_is_heard_before_the_provider_is_asked() -> None:
    call = Driver(Forwarding()).go_live()
    call.vapi_audio(600)
    call.forward(DESK)
    call.advance(580)
    assert requests(call) == []
    call.vapi_audio(2000)  # what is said later does not hold the forward up
    call.advance(40)
    assert requests(call) == [REQUEST]


def test_words_hold_a_forward_up_for_the_goodbye_at_most_and_not_once_interrupted() -> None:
    call = Driver(Forwarding(), goodbye_ms=300).go_live()
    call.vapi_audio(5000)
    call.forward(DESK)
    call.advance(310)
    assert requests(call) == [REQUEST]
    call = Driver(Forwarding()).go_live()
    call.vapi_audio(5000)
    call.forward(DESK)
    call.vapi_text(INTERRUPTED)
    assert requests(call) == [REQUEST]


@pytest.mark.parametrize(("name", "argument"), [("text", "stop"), ("provider_closed", 1000)])
@pytest.mark.parametrize("agreed", [True, False])
def test_a_stream_that_stops_before_the_answer_ends_as_the_answer_says(
    name: str, argument: Any, agreed: bool
) -> None:
    call = forwarded()
    getattr(call, name)(argument)
    assert call.without_audio(call.to_vapi) == [END_CALL, CLOSE]
    assert call.ended is None
    call.forward_answered("" if agreed else "status 404")
    stopped = "provider_stop" if name == "text" else "provider_closed"
    assert reason_of(call) == ("forwarded" if agreed else stopped)
    assert call.without_audio(call.to_vapi) == [END_CALL, CLOSE]
    assert HANGUP not in call.to_provider


def test_an_answer_that_never_comes_after_the_stop_is_waited_for_two_seconds() -> None:
    call = forwarded()
    call.text("stop")
    call.advance(1990)
    assert call.ended is None
    call.advance(20)
    assert reason_of(call) == "provider_stop"


def test_without_an_answer_the_call_goes_on_with_the_assistant() -> None:
    call = forwarded(idle_timeout_ms=0)
    call.advance(30_010)
    assert call.of(ForwardFailed) == [ForwardFailed("no answer")]
    assert call.session.state is State.LIVE
    agrees(call)
    assert call.ended is None


@pytest.mark.parametrize(
    ("name", "argument", "reason"),
    [
        ("vapi_text", ENDED, "vapi_ended"),
        ("vapi_closed", 1006, "vapi_lost"),
        ("hang_up_when_heard", "phone-call-control", "vapi_ended"),
        ("vapi_failed", "x", "vapi_failed"),
    ],
)
def test_an_assistant_that_leaves_first_hangs_nobody_up_unless_the_forward_fails(
    name: str, argument: Any, reason: str
) -> None:
    for trouble, plan in (("", [REQUEST, RELEASE]), ("status 500", [REQUEST, HANGUP, CLOSE])):
        call = forwarded()
        getattr(call, name)(argument)
        assert call.ended is None
        call.forward_answered(trouble)
        assert reason_of(call) == (reason if trouble else "forwarded")
        assert call.to_provider == plan


def test_last_words_are_heard_before_a_forward_that_comes_with_the_assistants_end() -> None:
    call = Driver(Forwarding()).go_live()
    call.vapi_audio(500)
    call.forward(DESK)
    call.vapi_text(ENDED)
    call.advance(400)
    assert requests(call) == []
    call.advance(700)
    assert requests(call) == [REQUEST]
    call.advance(5000)
    agrees(call)
    assert reason_of(call) == "forwarded"


def test_a_goodbye_may_become_a_forward() -> None:
    call = Driver(Forwarding()).go_live()
    call.vapi_audio(500)
    call.vapi_text(ENDED)
    assert call.session.state is State.ENDING
    call.forward(DESK)
    call.advance(1100)
    assert requests(call) == [REQUEST]
    agrees(call)
    assert reason_of(call) == "forwarded"
    assert call.to_provider[-1] == RELEASE


@pytest.mark.parametrize("reason", ["operator", "drain", "callback_error"])
@pytest.mark.parametrize("is_asked", [True, False])
def test_an_end_of_ours_leaves_the_phone_to_the_forward(reason: str, is_asked: bool) -> None:
    call = Driver(Forwarding()).go_live()
    if not is_asked:
        call.vapi_audio(1000)
    call.forward(DESK)
    assert requests(call) == [REQUEST] * is_asked
    call.hang_up(reason)
    assert reason_of(call) == ("hang_up" if reason == "operator" else reason)
    assert requests(call) == [REQUEST]
    assert isinstance(call.to_provider[-1], CloseSocket)
    assert call.to_provider[-1].grace_ms == 2000


def test_who_hangs_up_before_the_request_is_forwarded_nowhere() -> None:
    call = Driver(Forwarding()).go_live()
    call.vapi_audio(1000)
    call.forward(DESK)
    call.text("stop")
    assert reason_of(call) == "provider_stop"
    assert requests(call) == []


def test_the_same_forward_once_more_changes_nothing_and_another_is_refused() -> None:
    call = forwarded()
    call.forward(DESK)
    assert call.of(ForwardFailed) == []
    call.forward(OTHER)
    assert call.of(ForwardFailed) == [ForwardFailed("the call is being forwarded already", refused=True)]
    with pytest.raises(StateError, match="already"):
        call.session.check_forward(OTHER)
    agrees(call)
    assert call.ended is not None
    assert call.ended.summary.counters == {"forward_repeated": 1, "forward_refused": 1}
    assert requests(call) == [REQUEST]


def test_a_forward_is_refused_before_the_media_after_the_end_and_without_a_phone_leg() -> None:
    ringing = Driver(Forwarding(), ring_ms=60_000)
    opened = Driver(Forwarding())
    opened.provider_opened()
    page = Driver(FakeDialect()).go_live()
    for call, error, text in (
        (ringing, StateError, "CallStarted"),
        (opened, StateError, "CallStarted"),
        (page, ConfigError, "no phone leg"),
    ):
        with pytest.raises(error, match=text):
            call.session.check_forward(DESK)
        call.forward(DESK)
        assert call.of(ForwardFailed)[0].refused
        assert call.to_provider == []
        assert call.session.state is not State.ENDED
    over = forwarded()
    agrees(over)
    over.forget()
    with pytest.raises(StateError, match="over"):
        over.session.check_forward(DESK)
    over.forward(OTHER)
    assert not over.to_provider + over.to_vapi + over.events


def fixture(name: str) -> bytes:
    return (DATA / f"{name}.json").read_bytes()


def transfer(**destination: Any) -> bytes:
    return msgspec.json.encode({"type": "transfer-update", "destination": destination})


def test_a_transfer_that_vapi_tells_of_in_several_ways_is_done_once() -> None:
    call = Driver(Forwarding()).go_live()
    call.vapi_text(transfer(type="number", number="+1 500 555 0002", message="One moment."))
    call.vapi_text(fixture("status-update.forwarding"))
    call.forward(NumberDestination(number="+15005550002"))
    assert requests(call) == [REQUEST]
    assert call.dialect.asked == [forward_to("+15005550002", message="One moment.")]
    call.forward_answered("status 500")
    call.vapi_text(fixture("status-update.forwarding"))
    assert requests(call) == [REQUEST]
    call.advance(1_000)  # the assistant tries once more
    call.vapi_text(fixture("status-update.forwarding"))
    assert requests(call) == [REQUEST, REQUEST]
    assert call.session.summary(call.now_ns).counters == {"forward_repeated": 3, "forward_failed": 1}


def test_what_vapi_names_becomes_a_destination_of_any_provider() -> None:
    message = {"type": "custom-message", "content": "One moment."}
    for told, to in (
        (
            NumberDestination(
                number="+14155550100", extension="12", caller_id="+14155550199", message=message
            ),
            forward_to("+14155550100", extension="12", caller_id="+14155550199", message="One moment."),
        ),
        (
            SipDestination(sip_uri="sip:desk@example.com", sip_headers={"X-Case": 4}),
            forward_to("sip:desk@example.com", headers={"X-Case": "4"}),
        ),
    ):
        call = Driver(Forwarding()).go_live()
        call.forward(told)
        assert call.dialect.asked == [to]


@pytest.mark.parametrize(
    ("policy", "message", "counters"),
    [
        ("ignore", transfer(type="number", number="+15005550002"), {"transfer_ignored": 1}),
        ("forward", transfer(type="assistant", assistantName="billing"), {}),
        ("forward", transfer(type="number", number="+15"), {"forward_refused": 1}),
        ("forward", transfer(type="number", number=5), {"transfer_unreadable": 1}),
        ("forward", b'{"type":"transfer-update"}', {}),
        ("forward", b'{"type":"transfer-update","destination":null}', {}),
    ],
)
def test_what_is_no_transfer_to_a_phone_changes_nothing(
    policy: str, message: bytes, counters: dict[str, int]
) -> None:
    call = Driver(Forwarding(), vapi_transfers=policy).go_live()
    call.vapi_text(message)
    assert call.to_provider == []
    assert call.session.summary(call.now_ns).counters == counters
    assert [event.refused for event in call.of(ForwardFailed)] == [True] * counters.get("forward_refused", 0)
    page = Driver(FakeDialect()).go_live()
    page.vapi_text(transfer(type="number", number="+15005550002"))
    assert page.session.summary(page.now_ns).counters == {"transfer_ignored": 1}


FORWARDS = st.one_of(
    st.tuples(st.just("forward"), st.sampled_from([DESK, OTHER])),
    st.tuples(st.just("vapi_text"), st.just(transfer(type="number", number="+14155550100"))),
    st.tuples(st.just("forward_answered"), st.sampled_from(["", "status 404"])),
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(INPUTS, max_size=8),
    st.lists(st.one_of(INPUTS, INPUTS, FORWARDS, ENDING_INPUTS), max_size=20),
    SETTINGS,
    CAPS,
)
def test_a_forward_at_any_moment_ends_once_and_only_its_failure_can_hang_up(
    before: list[Any], after: list[Any], config: dict[str, Any], caps: Caps
) -> None:
    call = Driver(Forwarding(caps), **config).go_live()
    for name, *arguments in before:
        getattr(call, str(name))(*arguments)
    was_live = call.ended is None
    call.forward(DESK)
    for name, *arguments in [*after, ("hang_up", "last"), ("tick",)]:
        getattr(call, str(name))(*arguments)
        if call.ended is None:
            assert call.next_tick_ns is None or call.next_tick_ns >= call.input_ns
    call.advance(40_000)
    assert len(call.of(CallEnded)) == 1 and call.next_tick_ns is None
    failed = [event for event in call.of(ForwardFailed) if not event.refused]
    if was_live and not failed:
        assert HANGUP not in call.to_provider
        assert requests(call).count(REQUEST) <= 1
    for commands in (call.to_provider, call.to_vapi):
        closes = [i for i, command in enumerate(commands) if isinstance(command, CloseSocket)]
        assert closes in ([], [len(commands) - 1])
    assert call.to_vapi.count(END_CALL) <= 1
