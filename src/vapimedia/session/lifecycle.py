"""The life of a call as data: its states, its ways to end, and what each end asks of the two legs.

::

    WAITING --provider opened--> CONNECTING --both legs ready--> LIVE --Vapi ended, audio owed--> ENDING
       |                             |                             |                                |
       +-----------------------------+------ any way to end -------+--------------------------------+--> ENDED
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from vapimedia.protocols.commands import CloseSocket, Command, HttpCall, SendText
from vapimedia.protocols.vapi import end_call
from vapimedia.secret import Secret
from vapimedia.session.events import EndReason

__all__ = [
    "END_RULES",
    "FAR_ENDS",
    "STATES",
    "EndRule",
    "Forwarding",
    "Leg",
    "State",
    "Step",
    "VapiCall",
    "phone_commands",
    "vapi_commands",
]


class State(enum.Enum):
    """Where a call stands."""

    WAITING = "waiting"
    """No media socket of the provider yet."""
    CONNECTING = "connecting"
    """The provider is here; its start message or Vapi's socket is still missing."""
    LIVE = "live"
    """Audio flows both ways."""
    ENDING = "ending"
    """Vapi is gone; the caller hears what was already said."""
    ENDED = "ended"


class Step(enum.Enum):
    """What moves a call to another state."""

    PROVIDER_OPENED = "provider opened"
    LEGS_READY = "legs ready"
    GOODBYE = "goodbye"
    END = "end"


STATES: Mapping[State, Mapping[Step, State]] = {
    State.WAITING: {Step.PROVIDER_OPENED: State.CONNECTING, Step.END: State.ENDED},
    State.CONNECTING: {Step.LEGS_READY: State.LIVE, Step.END: State.ENDED},
    State.LIVE: {Step.GOODBYE: State.ENDING, Step.END: State.ENDED},
    State.ENDING: {Step.END: State.ENDED},
    State.ENDED: {},
}


class Leg(enum.Enum):
    """Where the socket of a leg stands, as the I/O layer reported it."""

    UNOPENED = "unopened"
    OPEN = "open"
    CLOSED = "closed"


class EndRule(msgspec.Struct, frozen=True):
    """What one way to end asks of the legs. A leg that is over by itself is only released.

    ``without_vapi``: Vapi went missing, and the policy decides whether the phone leg is hung up. ``releases``: the
    media socket is closed and the phone call left to the provider, which may have something else for the caller.
    Close codes are those of RFC 6455 s. 7.4.1.
    """

    without_vapi: bool = False
    releases: bool = False
    provider_code: int = 1000
    vapi_code: int = 1000


END_RULES: Mapping[EndReason, EndRule] = {
    "provider_stop": EndRule(),
    "provider_closed": EndRule(),
    "provider_reset": EndRule(),
    "vapi_ended": EndRule(),
    "vapi_closed": EndRule(without_vapi=True),
    "vapi_lost": EndRule(without_vapi=True),
    "vapi_failed": EndRule(without_vapi=True),
    "hang_up": EndRule(),
    "forwarded": EndRule(releases=True),
    "drain": EndRule(provider_code=1001, vapi_code=1001),
    "callback_error": EndRule(provider_code=1011, vapi_code=1011),
    "media_timeout": EndRule(),
    "start_timeout": EndRule(),
    "idle_timeout": EndRule(),
    "unsupported_format": EndRule(releases=True, provider_code=1003),
    # Whoever finds the fault names the code for the leg that made it.
    "protocol_error": EndRule(),
    # A call that never came about: one that we made, or whose media socket the provider could not reach.
    "busy": EndRule(),
    "unanswered": EndRule(),
    "rejected": EndRule(),
    "cancelled": EndRule(),
    "failed": EndRule(),
    "media_lost": EndRule(),
}


FAR_ENDS: frozenset[EndReason] = frozenset(
    {
        "provider_stop",
        "provider_closed",
        "provider_reset",
        "vapi_ended",
        "vapi_closed",
        "vapi_lost",
        "vapi_failed",
    }
)
"""Ends that a leg brings by itself, and that may be the consequence of a forward."""


class Forwarding(msgspec.Struct):
    """A forward that is under way: the *request* to the provider, and how its socket is then left.

    ``due_ns`` is when the request goes out, or once ``is_asked`` when its answer is given up. ``end`` came meanwhile
    from a leg: it is the call's if the provider does not agree.
    """

    request: Sequence[Command]
    release: Sequence[Command]
    due_ns: int
    is_asked: bool = False
    end: tuple[EndReason, str] | None = None


class VapiCall(msgspec.Struct):
    """What is known of the call on Vapi's side. ``over``: Vapi said so or was told; it is left alone."""

    call_id: str = ""
    control_url: Secret = Secret()
    headers: dict[str, str | Secret] = {}
    over: bool = False

    def __repr__(self) -> str:
        return f"VapiCall(call_id={self.call_id!r}, over={self.over})"


def vapi_commands(leg: Leg, call: VapiCall, code: int) -> list[Command]:
    """Return how to end Vapi's leg, and note that it was done.

    On the socket while it is open, else by one request to the control URL; nothing is waited for. 404 and 410
    say that the call is gone.
    """
    tell = not call.over
    if leg is Leg.OPEN:
        call.over = True
        return [SendText(end_call()), CloseSocket(code)] if tell else [CloseSocket(code)]
    if not tell or not call.control_url:
        return []
    call.over = True
    headers = {"content-type": "application/json", **call.headers}
    return [HttpCall("end-call", "POST", call.control_url, headers, end_call(), frozenset({404, 410}))]


def phone_commands(plan: Iterable[Command], leg: Leg, code: int) -> list[Command]:
    """Return the dialect's *plan* fitted to the state of its socket and to *code* (1000: the plan's own)."""
    commands: list[Command] = []
    for command in plan:
        if isinstance(command, HttpCall):
            commands.append(command)
        elif leg is Leg.OPEN:
            changed = isinstance(command, CloseSocket) and code != 1000
            commands.append(msgspec.structs.replace(command, code=code) if changed else command)
    return commands
