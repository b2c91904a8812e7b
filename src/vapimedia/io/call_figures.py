"""A call in figures: what its session counted, and what its sockets and its recording did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from vapimedia.io.pump import now_ns
from vapimedia.session import CallSummary

if TYPE_CHECKING:
    from vapimedia.io.live_call import LiveCall

__all__ = ["figures_of"]


def figures_of(call: LiveCall) -> CallSummary:
    """Return *call* in figures, so far or at its end."""
    summary, recording = call.session.summary(now_ns()), call.recording
    counted = {
        "provider_unsent": call.provider.unsent,
        "vapi_unsent": call.vapi.unsent,
        "guarded_message": call.vapi.guarded,
        "recording_incomplete": int(recording is not None and recording.dropped_ms > 0),
    }
    counters = summary.counters | {name: n for name, n in counted.items() if n}
    return msgspec.structs.replace(
        summary,
        counters=counters,
        call_id=summary.call_id or call.call_id,
        provider_backlog_max_bytes=call.provider.max_backlog_bytes,
        vapi_backlog_max_bytes=call.vapi.max_backlog_bytes,
        loop_lag_max_ms=call.host.pump.worst_lag_ns(summary.created_ns) / 1e6,
        recording=str(recording.path) if recording is not None and recording.path is not None else "",
        recording_dropped_ms=recording.dropped_ms if recording is not None else 0.0,
    )
