"""The one line that the log has of a call that ended: ids and figures."""

from __future__ import annotations

from pathlib import PurePath

from vapimedia.media import HopStats, PathStats
from vapimedia.session import CallEnded

__all__ = ["ended_line"]


def ended_line(event: CallEnded) -> str:
    """Return *event* in one line. Nothing in it was said, dialled or shown by a caller."""
    summary = event.summary
    # The detail is often the peer's word.
    words = [f"call {summary.call_id or '(new)'} ended: {event.reason} {event.detail[:100]!r}"]
    if summary.started_ns is None:
        return words[0]
    words.append(f"{summary.duration_ms / 1000:.1f} s")
    if summary.uplink is not None:
        words.append(f"up {_path(summary.uplink)}")
    if (down := summary.downlink) is not None:
        words.append(f"down {_path(down)}")
        words.append(f"heard {down.heard_ms / 1000:.1f} s, gaps {down.gaps} ({down.gap_ms:.0f} ms)")
    words.append(f"barge-ins {summary.barge_ins}")
    backlog = f"{summary.provider_backlog_max_bytes}/{summary.vapi_backlog_max_bytes}"
    words.append(f"backlog max {backlog} bytes, loop lag max {summary.loop_lag_max_ms:.1f} ms")
    if summary.recording:
        name = PurePath(summary.recording).name
        words.append(f"recording {name}, {summary.recording_dropped_ms:.0f} ms dropped")
    words += [f"{what} {count}" for what, count in summary.counters.items()]
    return "; ".join(words)


def _path(stats: PathStats) -> str:
    lost_ms = sum(getattr(stats, name) for name in stats.__struct_fields__ if name.startswith("dropped_"))
    return f"{stats.messages_in}/{stats.messages_out} messages, {_hop(stats.send)}, dropped {lost_ms:.0f} ms"


def _hop(hop: HopStats | None) -> str:
    if hop is None:
        return "none sent"
    return f"p50 {hop.p50_us / 1000:.3g} ms, p99 {hop.p99_us / 1000:.3g} ms"
