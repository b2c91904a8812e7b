"""What a load found, as one object: the JSON of ``vapimedia bench calls``."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from vapimedia.bench.load.run import LoadRun, Span

__all__ = ["Ends", "LoadReport", "make_report"]

_FRAMES_PER_S = 100  # of one call, both ways
_FULL = 0.8  # of a core
_BUSY = 0.9
_LATE_US = 10_000
_COUNTS = ("sent", "received", "lost", "duplicated", "corrupted", "crossed")
_MORE_COUNTS = ("reordered", "cleared", "slips")

Flows = Sequence[tuple[dict[str, float | None], dict[str, float | None]]]


class Ends(msgspec.Struct):
    """How the calls ended."""

    not_ended: int = 0
    """Calls that did not end on both legs after ``stop``."""
    without_close: int = 0
    """Calls where a leg's connection ended without a close frame."""
    died: int = 0
    """Legs that ended before they should."""


class LoadReport(msgspec.Struct):
    """Frames are those sent while figures were taken, times of frames are from one socket of ours to the other.

    ``cpu_us_per_frame`` and ``cpu_share`` (1 is one core) are the bridge's, ``None`` when its process is not known.
    """

    bridge: str
    calls: int
    seconds: float
    mode: str
    frames: dict[str, int]
    directions: dict[str, dict[str, int]]
    latency_us: dict[str, dict[str, float | None]]
    codec_delay_ms: dict[str, float | None]
    cpu_us_per_frame: float | None
    cpu_share: float | None
    calls_per_core_80: float | None
    rss_kb: dict[str, float | None]
    generator: dict[str, float | None]
    ends: Ends
    barge_in_us: dict[str, float | None] | None = None
    stalled: dict[str, float | None] | None = None
    sustained_calls: int | None = None
    steps: list[dict[str, float | None]] | None = None
    notes: list[str] = msgspec.field(default_factory=list)

    @property
    def damaged(self) -> int:
        """Frames that were not heard once and whole."""
        return sum(self.frames[name] for name in ("lost", "duplicated", "corrupted", "crossed"))

    @property
    def failed(self) -> bool:
        unanswered = self.barge_in_us is not None and not self.barge_in_us["clears"]
        return bool(self.damaged or self.ends.not_ended or self.ends.died or unanswered)


def make_report(
    run: LoadRun,
    span: Span,
    ends: Ends,
    *,
    bridge: str,
    n_calls: int,
    mode: str,
    rss_kb: dict[str, float | None],
    skip: int = 0,
) -> LoadReport:
    """Return what *run* found in *span*. The first *skip* calls, the stalled ones, do not count as damage."""
    flows = run.totals()
    latencies = run.latencies()
    odd = run.odd_counts()
    directions = {
        name: _sums([pair[i] for pair in flows[skip:]]) for i, name in enumerate(("uplink", "downlink"))
    }
    frames = {name: sum(counts[name] for counts in directions.values()) for name in _COUNTS}
    cpu_us = share = per_core = None
    if span.bridge_cpu_ns is not None and span.seconds:
        share = round(span.bridge_cpu_ns / span.seconds / 1e9, 4)
    if span.bridge_cpu_ns is not None and span.arrived:
        cpu_us = round(span.bridge_cpu_ns / span.arrived / 1000, 2)
        per_core = round(_FULL * 1e6 / (cpu_us * _FRAMES_PER_S), 1) if cpu_us else None
    own_share = round(span.generator_cpu_ns / span.seconds / 1e9, 4) if span.seconds else 0.0
    report = LoadReport(
        bridge=bridge,
        calls=n_calls,
        seconds=round(span.seconds, 3),
        mode=mode,
        frames=frames,
        directions=directions,
        latency_us={name: latencies[name] for name in ("uplink", "downlink", "both")},
        codec_delay_ms={
            name: _middle([pair[i] for pair in flows]) for i, name in enumerate(("uplink", "downlink"))
        },
        cpu_us_per_frame=cpu_us,
        cpu_share=share,
        calls_per_core_80=per_core,
        rss_kb=rss_kb,
        generator={"cpu_share": own_share, "late_p99_us": latencies["late"]["p99"]},
        ends=ends,
    )
    if own_share > _BUSY:
        report.notes.append(f"the generator itself was {own_share:.0%} busy: these are its limits too")
    late_us = latencies["late"]["p99"] or 0
    if late_us > _LATE_US:
        report.notes.append(
            f"1 % of sends were over {late_us / 1000:.0f} ms late: this machine was busy with other things"
        )
    if odd["wrong_stream"]:
        report.notes.append(f"{odd['wrong_stream']} messages to a phone did not name its stream")
    hold = max((int(flow["hold"] or 0) for pair in flows for flow in pair), default=0)
    if hold:
        report.notes.append(
            f"the closed loop had up to {hold} more frames under way, which the bridge kept back"
        )
    return report


def _sums(flows: list[dict[str, float | None]]) -> dict[str, int]:
    names = (*_COUNTS, *_MORE_COUNTS)
    return {name: int(sum(flow[name] or 0 for flow in flows)) for name in names} | {
        "silence_ms": round(sum(flow["silence_ms"] or 0 for flow in flows))
    }


def _middle(flows: list[dict[str, float | None]]) -> float | None:
    delays = [delay for flow in flows if (delay := flow["delay_ms"]) is not None]
    return median(delays) if delays else None
