"""One call as sans-I/O state: legs, lifecycle, barge-in, marks, key presses. Time is an argument."""

from vapimedia.session.call import CallSession
from vapimedia.session.config import DtmfTone, SessionConfig
from vapimedia.session.events import (
    Actions,
    BargeIn,
    CallEnded,
    CallEvent,
    CallProgress,
    CallStarted,
    CallSummary,
    Dtmf,
    EndReason,
    ForwardFailed,
    VapiEvent,
)
from vapimedia.session.forwarding import ForwardTarget
from vapimedia.session.lifecycle import State

__all__ = [
    "Actions",
    "BargeIn",
    "CallEnded",
    "CallEvent",
    "CallProgress",
    "CallSession",
    "CallStarted",
    "CallSummary",
    "Dtmf",
    "DtmfTone",
    "EndReason",
    "ForwardFailed",
    "ForwardTarget",
    "SessionConfig",
    "State",
    "VapiEvent",
]
