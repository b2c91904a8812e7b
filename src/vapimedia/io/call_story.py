"""What the log tells of a call while it runs: each event as it comes, and what is seen by looking now and then."""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from vapimedia.io.call_log import CallLog, plain, without_numbers, word_of
from vapimedia.media import HopStats, PathStats
from vapimedia.protocols.events import CallProgress, Dtmf
from vapimedia.session import (
    BargeIn,
    CallEnded,
    CallEvent,
    CallSession,
    CallStarted,
    CallSummary,
    ForwardFailed,
)

__all__ = ["CallStory"]

_FIRST_LOOK_NS: Final = 100_000_000
_LOOK_NS: Final = 5_000_000_000
_FIRST_DROP_MS: Final = 20.0
_FACTOR: Final = 10
# Audio that nobody was there for any more is no loss.
_MEANT: Final = frozenset({"dropped_closed_ms"})
_DROPS: Final = tuple(
    name for name in PathStats.__struct_fields__ if name.startswith("dropped_") and name not in _MEANT
)
_MARK_TROUBLE: Final = "foreign_mark"


class CallStory:
    """Of one call. Costs a comparison where there is nothing to tell."""

    def __init__(self, log: CallLog, session: CallSession) -> None:
        self._log = log
        self._session = session
        self._next_look_ns = 0
        self._heard = {"provider": False, "vapi": False}
        self._dropped_from_ms = {"up": _FIRST_DROP_MS, "down": _FIRST_DROP_MS}
        self._n_digits = self._n_barge_ins = 0
        self._n_counted: dict[str, int] = {}
        self._is_over = False

    def look(self, now_ns: int) -> None:
        """Tell of first audio, of drops and of counters, as far as it is time to look for them."""
        if self._is_over or now_ns < self._next_look_ns:
            return
        self._next_look_ns = now_ns + (_LOOK_NS if all(self._heard.values()) else _FIRST_LOOK_NS)
        session = self._session
        if session.started is not None:
            self._look_at(session.summary(now_ns))

    def take(self, event: CallEvent) -> None:
        """Tell of *event*."""
        log = self._log
        match event:
            case CallStarted():
                log.of_leg("provider").note("media_started", stream_id=event.stream_id)
            case CallProgress():
                log.note("call_progress", status=event.status)
            case Dtmf():
                self._n_digits += 1
                log.of_leg("provider").detail("dtmf", n_digits=self._n_digits)
            case BargeIn():
                self._n_barge_ins += 1
                figures = {"dropped_ms": event.dropped_ms, "heard_ms": event.heard_ms}
                log.detail("barge_in", n_barge_ins=self._n_barge_ins, **figures)
            case ForwardFailed():
                log.trouble("forward_failed", "not forwarded: %s", plain(event.detail))
            case CallEnded():
                self._end(event)

    def _end(self, event: CallEnded) -> None:
        self._is_over, summary = True, event.summary
        if summary.started_ns is not None:
            self._look_at(summary)
        fields: dict[str, object] = {"reason": event.reason, "detail": _detail(event)}
        if summary.started_ns is not None:
            fields |= _figures(summary)
        counters = {word_of(name): count for name, count in summary.counters.items()}
        self._log.note("call_ended", **fields | counters)

    def _look_at(self, summary: CallSummary) -> None:
        paths = {"provider": summary.uplink, "vapi": summary.downlink}
        for leg, stats in paths.items():
            if stats is not None and stats.messages_in and not self._heard[leg]:
                self._heard[leg] = True
                self._log.of_leg(leg).note("first_audio")
        for direction, stats in (("up", summary.uplink), ("down", summary.downlink)):
            if stats is not None:
                self._look_for_drops(direction, stats)
        for name, count in summary.counters.items():
            self._count(name, count)

    def _look_for_drops(self, direction: str, stats: PathStats) -> None:
        dropped = {name: value for name in _DROPS if (value := getattr(stats, name))}
        lost_ms = sum(dropped.values())
        if lost_ms < self._dropped_from_ms[direction]:
            return
        while lost_ms >= self._dropped_from_ms[direction]:
            self._dropped_from_ms[direction] *= _FACTOR
        self._log.trouble("audio_dropped", direction=direction, **dropped)

    def _count(self, name: str, count: int) -> None:
        """Tell of a counter when it is above 0 first, and each time when it is ten times that."""
        if count < self._n_counted.get(name, 1):
            return
        while count >= self._n_counted.setdefault(name, 1):
            self._n_counted[name] *= _FACTOR
        if name == _MARK_TROUBLE:
            self._log.of_leg("provider").trouble("mark_trouble", n_marks=count)
        else:
            self._log.detail("counted", what=word_of(name), n=count)


def _detail(event: CallEnded) -> str:
    """Return the peer's word, or ours: a sentence of a caller's it cannot be where it is Vapi's ``endedReason``."""
    if event.reason == "vapi_ended":
        return word_of(event.detail) if event.detail else ""
    return plain(without_numbers(event.detail), 100)


def _figures(summary: CallSummary) -> dict[str, object]:
    fields: dict[str, object] = {"duration_s": round(summary.duration_ms / 1000, 1)}
    for direction, stats in (("up", summary.uplink), ("down", summary.downlink)):
        if stats is not None:
            fields |= {f"{direction}_{name}": value for name, value in _path(stats).items()}
    if summary.downlink is not None:
        down = summary.downlink
        fields |= {"heard_s": round(down.heard_ms / 1000, 1), "gaps": down.gaps, "gap_ms": round(down.gap_ms)}
    fields |= {
        "barge_ins": summary.barge_ins,
        "provider_backlog_max_bytes": summary.provider_backlog_max_bytes,
        "vapi_backlog_max_bytes": summary.vapi_backlog_max_bytes,
        "loop_lag_max_ms": round(summary.loop_lag_max_ms, 1),
    }
    if summary.recording:
        fields["recording"] = PurePath(summary.recording).name
        fields["recording_dropped_ms"] = round(summary.recording_dropped_ms)
    return fields


def _path(stats: PathStats) -> dict[str, object]:
    names = (name for name in stats.__struct_fields__ if name.startswith("dropped_"))
    fields: dict[str, object] = {"messages_in": stats.messages_in, "messages_out": stats.messages_out}
    fields |= _hop(stats.send)
    return fields | {"dropped_ms": round(sum(getattr(stats, name) for name in names))}


def _hop(hop: HopStats | None) -> dict[str, object]:
    if hop is None:
        return {}
    return {"p50_ms": round(hop.p50_us / 1000, 4), "p99_ms": round(hop.p99_us / 1000, 4)}
