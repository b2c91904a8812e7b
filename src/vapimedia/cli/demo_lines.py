"""What the demo's bridge process tells its parent, one JSON line each. Times are of the monotonic clock."""

from __future__ import annotations

import msgspec

from vapimedia.media import HopStats
from vapimedia.session.events import CallSummary

__all__ = ["LeftOpen", "Line", "Moment", "Ready", "Result"]


class Ready(msgspec.Struct, tag=True):
    """The bridge listens."""

    port: int
    admin_port: int


class Moment(msgspec.Struct, tag=True):
    """Something that belongs on the timeline."""

    t_ns: int
    who: str
    what: str
    text: str = ""


class LeftOpen(msgspec.Struct):
    """What was still there after the bridge had closed; all zero is right."""

    calls: int = 0
    tasks: int = 0
    sockets: int = 0


class Result(msgspec.Struct, tag=True):
    """The bridge's own figures. ``cpu_ms`` is what its process used from start to end of the call."""

    summaries: list[CallSummary]
    loop: str
    cpu_ms: float
    loop_lag: HopStats | None
    left_open: LeftOpen


Line = Ready | Moment | Result
