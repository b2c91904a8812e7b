"""What a session tells its user and asks the I/O layer to do. Plain data."""

from __future__ import annotations

from typing import Literal

import msgspec

from vapimedia.media import PathStats
from vapimedia.protocols.commands import Command
from vapimedia.protocols.events import CallProgress, Dtmf
from vapimedia.protocols.vapi import VapiEvent

__all__ = [
    "Actions",
    "BargeIn",
    "CallEnded",
    "CallEvent",
    "CallProgress",
    "CallStarted",
    "CallSummary",
    "Dtmf",
    "EndReason",
    "ForwardFailed",
    "VapiEvent",
]

EndReason = Literal[
    "provider_stop",
    "provider_closed",
    "provider_reset",
    "vapi_ended",
    "vapi_closed",
    "vapi_lost",
    "vapi_failed",
    "hang_up",
    "forwarded",
    "drain",
    "callback_error",
    "media_timeout",
    "start_timeout",
    "idle_timeout",
    "unsupported_format",
    "protocol_error",
    "busy",
    "unanswered",
    "rejected",
    "cancelled",
    "failed",
    "media_lost",
]


class CallStarted(msgspec.Struct, frozen=True):
    """The provider's media stream runs. ``parameters`` are those given in the answer document."""

    call_id: str
    stream_id: str
    parameters: dict[str, str]
    provider: str

    def __repr__(self) -> str:
        # Parameters often hold phone numbers.
        return f"CallStarted(call_id={self.call_id!r}, provider={self.provider!r})"


class BargeIn(msgspec.Struct, frozen=True):
    """The caller interrupted the assistant. Milliseconds of audio.

    ``dropped_ms`` will not be heard any more; ``heard_ms`` is all that the caller has heard since the start.
    """

    dropped_ms: float
    heard_ms: float


class ForwardFailed(msgspec.Struct, frozen=True):
    """The phone call was to go on elsewhere, and does not: it goes on here. ``detail`` holds no number.

    ``refused``: the provider was not even asked; a forward that was under way before goes on.
    """

    detail: str
    refused: bool = False


class CallSummary(msgspec.Struct, frozen=True):
    """One call in figures. Times are those passed to the session; ``None`` where the call never came so far.

    ``duration_ms`` runs from the provider's start message. ``counters`` holds everything that was dropped,
    unknown, malformed or stale, by a word; what happened to audio stands in the two ``PathStats``, and how long each
    hop took. The rest is known to a bridge only: the most that waited to be sent to a leg, of what was seen once a
    second, how late its timer was at worst during the call, the file that both legs are recorded to (empty: they are
    not), and how much of them is missing there as the disk did not keep up.
    """

    call_id: str
    vapi_call_id: str
    provider: str
    created_ns: int
    started_ns: int | None
    ended_ns: int | None
    duration_ms: float
    end_reason: EndReason | None
    counters: dict[str, int]
    uplink: PathStats | None
    downlink: PathStats | None
    barge_ins: int
    provider_backlog_max_bytes: int = 0
    vapi_backlog_max_bytes: int = 0
    loop_lag_max_ms: float = 0.0
    recording: str = ""
    recording_dropped_ms: float = 0.0


class CallEnded(msgspec.Struct, frozen=True):
    """The call is over on both legs: the last event of every call, exactly once.

    ``detail`` is the peer's own word for it where there is one (Vapi's ``endedReason``, a close code).
    """

    reason: EndReason
    detail: str
    summary: CallSummary


CallEvent = CallProgress | CallStarted | Dtmf | BargeIn | ForwardFailed | CallEnded | VapiEvent


class Actions(msgspec.Struct):
    """What follows from one input. Commands are carried out in order, per leg, and never awaited.

    ``next_tick_ns`` is when ``tick`` should be called at the latest; ``None`` means never.
    """

    to_provider: list[Command] = []
    to_vapi: list[Command] = []
    events: list[CallEvent] = []
    next_tick_ns: int | None = None
