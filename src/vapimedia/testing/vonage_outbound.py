"""What becomes of a call that Vonage's REST API made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["CallOutcome", "Outbound"]

CallOutcome = Literal["answered", "busy", "unanswered", "failed", "rejected", "timeout", "machine"]


@dataclass(frozen=True)
class Outbound:
    """A call that the REST API made: what runs once it is answered, and how far it gets.

    *ncco* runs inline; without it the answer URL is asked. *endpoint* is a websocket that is called itself: no
    phone rings, and its leg is the call. With the outcome ``machine`` it is *machine_detection* that decides
    whether the call goes on: not with ``hangup``. *ring_s* is the time between ``ringing`` and the outcome,
    which is ``timeout`` when *ringing_timer_s* is shorter.
    """

    ncco: list[dict[str, Any]] | None = None
    endpoint: dict[str, Any] | None = None
    outcome: CallOutcome = "answered"
    machine_detection: str = ""
    ring_s: float = 0.1
    ringing_timer_s: float = 60.0
