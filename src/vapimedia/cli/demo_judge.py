"""The demo's verdict: what the fakes sent and got, compared, beside the bridge's own figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from vapimedia.cli.demo_compare import MAX_LATE_MS, Direction
from vapimedia.cli.demo_legs import Leg
from vapimedia.cli.demo_lines import LeftOpen, Result
from vapimedia.formats import AudioFormat
from vapimedia.media import HopStats, PathStats

__all__ = ["MAX_MESSAGES_AHEAD", "Delivery", "Figures", "judge"]

FRAME_MS = 20

# What counts as late. The cushion of an utterance (prebuffer_ms) comes on top of the queue's limit.
MAX_BARGE_IN_MS = 100.0
MAX_QUEUE_P99_MS = 100.0
MAX_CONVERT_P99_MS = 5.0
# Vonage holds 1024 messages and drops what is beyond.
MAX_MESSAGES_AHEAD = 1000


class Delivery(NamedTuple):
    """How audio came to the provider: sizes that it does not take, and unplayed messages at most.

    ``messages_ahead`` is ``None`` where the provider does not count messages.
    """

    wrong_sizes: int = 0
    messages_ahead: int | None = None


class Figures(msgspec.Struct):
    """The whole of a demo in one object, as ``--json`` prints it. ``reasons`` is empty when all went well."""

    ok: bool
    reasons: list[str]
    provider: str
    rate: int
    """Samples a second on the provider's side."""
    vapi_format: str
    speed: float
    call_ms: float
    end_reason: str
    frames: int
    frames_lost: int
    frames_duplicated: int
    frames_corrupted: int
    uplink: Direction
    downlink: Direction
    wrong_size_messages: int
    """Messages to the provider that were not exactly one frame, those that the bridge held back included; 0 where
    any size goes."""
    max_messages_ahead: int | None
    """How many messages waited at the provider at most; ``None`` where it does not count them."""
    barge_ins: int
    barge_in_ms: float | None
    """Vapi's ``user-interrupted`` on the wire to silence in the caller's ear; the worst of all."""
    cleared_ms: float
    """Audio that barge-ins dropped, at the provider and in the bridge's own queue."""
    gaps_heard: int
    """Times when the caller's ear ran dry within an utterance, as when Vapi is later than the cushion is long. Above
    a *speed* of 1 there is no cushion, and there are more. How long they are shows in ``downlink.late_ms``."""
    codec_delay_ms: float
    """Delay of decoding, resampling and encoding, one way; the larger of the two."""
    cpu_us_per_frame: float
    """CPU of the bridge's own process for one frame in one direction, everything included."""
    hops: dict[str, dict[str, HopStats | None]]
    loop: str
    loop_lag: HopStats | None
    counters: dict[str, int]
    left_open: LeftOpen


def judge(
    result: Result,
    uplink: Direction,
    downlink: Direction,
    *,
    leg: Leg,
    barge_ins_ms: Sequence[float | None],
    vapi_format: AudioFormat,
    delivery: Delivery = Delivery(),  # noqa: B008  it is immutable
    speed: float = 1.0,
    gaps_heard: int = 0,
    prebuffer_ms: int = 40,
    trouble: Sequence[str] = (),
) -> Figures:
    """Return the figures of the demo and every reason why it did not go well."""
    reasons = list(trouble)
    summary = result.summaries[0] if len(result.summaries) == 1 else None
    if summary is None:
        reasons.append(f"the bridge reports {len(result.summaries)} ended calls instead of 1")
    paths = {
        "uplink": summary.uplink if summary is not None else None,
        "downlink": summary.downlink if summary is not None else None,
    }
    n_frames = sum(_frames(path) for path in paths.values())
    known = [ms for ms in barge_ins_ms if ms is not None]
    figures = Figures(
        ok=True,
        reasons=reasons,
        provider=leg.provider,
        rate=leg.format.sample_rate,
        vapi_format=str(vapi_format),
        speed=speed,
        call_ms=round(summary.duration_ms, 1) if summary is not None else 0.0,
        end_reason=(summary.end_reason or "") if summary is not None else "",
        frames=n_frames,
        frames_lost=uplink.lost + downlink.lost,
        frames_duplicated=uplink.duplicated + downlink.duplicated,
        frames_corrupted=uplink.corrupted + downlink.corrupted,
        uplink=uplink,
        downlink=downlink,
        wrong_size_messages=delivery.wrong_sizes + _held_back(paths["downlink"]),
        max_messages_ahead=delivery.messages_ahead,
        barge_ins=summary.barge_ins if summary is not None else 0,
        barge_in_ms=round(max(known), 1) if known else None,
        cleared_ms=round(sum(path.cleared_ms for path in paths.values() if path is not None), 1),
        gaps_heard=gaps_heard,
        codec_delay_ms=max((path.codec_delay_ms for path in paths.values() if path is not None), default=0.0),
        cpu_us_per_frame=round(result.cpu_ms * 1000 / n_frames, 1) if n_frames else 0.0,
        hops={name: _hops(path) for name, path in paths.items()},
        loop=result.loop,
        loop_lag=result.loop_lag,
        counters=summary.counters if summary is not None else {},
        left_open=result.left_open,
    )
    reasons += _lost(figures) + _delivered(figures) + _late(figures, barge_ins_ms, prebuffer_ms)
    reasons += _left_open(result.left_open)
    figures.ok = not reasons
    return figures


def _frames(path: PathStats | None) -> int:
    return round(path.audio_out_ms / FRAME_MS) if path is not None else 0


def _held_back(path: PathStats | None) -> int:
    return path.wrong_size if path is not None else 0


def _hops(path: PathStats | None) -> dict[str, HopStats | None]:
    if path is None:
        return {}
    return {"convert": path.convert, "queue": path.queue, "send": path.send}


def _lost(figures: Figures) -> list[str]:
    reasons = []
    for name, leg in (("caller to Vapi", figures.uplink), ("Vapi to caller", figures.downlink)):
        if not leg.expected:
            reasons.append(f"{name}: no audio came through")
        for what in ("lost", "duplicated", "corrupted"):
            if count := getattr(leg, what):
                reasons.append(f"{name}: {count} of {leg.expected} frames {what}")
    return reasons


def _delivered(figures: Figures) -> list[str]:
    reasons = []
    if figures.wrong_size_messages:
        reasons.append(f"{figures.wrong_size_messages} messages to the provider were not exactly one frame")
    # At another speed the bridge paces nothing: there is no window to keep.
    if figures.speed == 1.0 and (figures.max_messages_ahead or 0) > MAX_MESSAGES_AHEAD:
        reasons.append(
            f"{figures.max_messages_ahead} messages waited at the provider, more than {MAX_MESSAGES_AHEAD}"
        )
    return reasons


def _late(figures: Figures, barge_ins_ms: Sequence[float | None], prebuffer_ms: int) -> list[str]:
    reasons = []
    if not barge_ins_ms or None in barge_ins_ms:
        reasons.append("the caller's interruption never silenced the assistant")
    if figures.barge_in_ms is not None and figures.barge_in_ms > MAX_BARGE_IN_MS:
        reasons.append(f"barge-in took {figures.barge_in_ms:.0f} ms, more than {MAX_BARGE_IN_MS:.0f}")
    if figures.downlink.late_ms > MAX_LATE_MS + prebuffer_ms:
        reasons.append(
            f"Vapi to caller: speech was played {figures.downlink.late_ms:.0f} ms late, "
            f"more than {MAX_LATE_MS + prebuffer_ms:.0f}"
        )
    for direction, hops in figures.hops.items():
        cushion = prebuffer_ms if direction == "downlink" else FRAME_MS
        limits = {"convert": MAX_CONVERT_P99_MS, "queue": MAX_QUEUE_P99_MS + cushion}
        for hop, limit_ms in limits.items():
            found = hops.get(hop)
            if found is not None and found.p99_us > limit_ms * 1000:
                p99_ms = found.p99_us / 1000
                reasons.append(f"{direction} {hop}: p99 is {p99_ms:.1f} ms, more than {limit_ms:.0f}")
    return reasons


def _left_open(left: LeftOpen) -> list[str]:
    counts = {name: getattr(left, name) for name in left.__struct_fields__}
    found = ", ".join(
        f"{count} {name if count > 1 else name.removesuffix('s')}" for name, count in counts.items() if count
    )
    return [f"left open in the bridge: {found}"] if found else []
