"""The tables that say how a call lives and ends."""

from typing import get_args

from session_fakes import HANGUP

from vapimedia.protocols.commands import CloseSocket, HttpCall, SendText
from vapimedia.session.events import EndReason
from vapimedia.session.lifecycle import (
    END_RULES,
    STATES,
    Leg,
    State,
    Step,
    VapiCall,
    phone_commands,
    vapi_commands,
)


def test_every_end_reason_has_a_rule() -> None:
    assert set(END_RULES) == set(get_args(EndReason))


def test_every_state_but_the_last_can_end_and_none_follows_the_last() -> None:
    assert all(STATES[state][Step.END] is State.ENDED for state in State if state is not State.ENDED)
    assert not STATES[State.ENDED]


def test_no_state_is_entered_twice() -> None:
    order = list(State)
    assert all(order.index(after) > order.index(state) for state in State for after in STATES[state].values())


def test_a_vapi_call_is_told_of_its_end_only_once() -> None:
    call = VapiCall("id", "https://control", {})
    assert len(vapi_commands(Leg.OPEN, call, 1000)) == 2
    assert vapi_commands(Leg.CLOSED, call, 1000) == []


def test_a_control_url_never_shows() -> None:
    call = VapiCall("id", "https://secret.example/control", {"authorization": "Bearer secret"})
    (command,) = vapi_commands(Leg.UNOPENED, call, 1000)
    assert isinstance(command, HttpCall)
    assert "secret" not in repr(call) + repr(command)


def test_a_plan_is_fitted_to_the_socket() -> None:
    plan = [SendText(b"bye"), HANGUP, CloseSocket(1000)]
    assert phone_commands(plan, Leg.OPEN, 1000) == plan
    assert phone_commands(plan, Leg.OPEN, 1001) == [SendText(b"bye"), HANGUP, CloseSocket(1001)]
    assert phone_commands(plan, Leg.CLOSED, 1000) == [HANGUP]
