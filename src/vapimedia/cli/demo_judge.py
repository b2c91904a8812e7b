"""The demo's verdict: what the fakes sent and got, compared, beside the bridge's own figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from vapimedia.audio import Converter
from vapimedia.cli.demo_lines import LeftOpen, Result
from vapimedia.formats import AudioFormat
from vapimedia.media import HopStats, PathStats
from vapimedia.testing import FrameReport, compare_frames

__all__ = ["Direction", "Figures", "Payload", "Spoken", "judge", "judge_downlink", "judge_uplink"]

MULAW = AudioFormat("mulaw", 8000)
FRAME_MS = 20

# What counts as late. The cushion of an utterance (prebuffer_ms) comes on top of the queue's limit.
MAX_BARGE_IN_MS = 100.0
MAX_QUEUE_P99_MS = 100.0
MAX_CONVERT_P99_MS = 5.0


class Spoken(NamedTuple):
    """One utterance as Vapi sent it, in Vapi's format. ``is_cut``: the caller interrupted it."""

    data: bytes
    started_ns: int
    is_cut: bool


class Payload(NamedTuple):
    """One media payload as it came to the caller's side."""

    data: bytes
    received_ns: int


class Direction(msgspec.Struct):
    """Frames of 20 ms in one direction, counted by comparing what came out with what went in.

    ``silence_inserted`` and ``silence_left_out`` are whole silent frames, by which it is kept continuous.
    """

    expected: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    silence_inserted: int = 0
    silence_left_out: int = 0

    def add(self, report: FrameReport) -> None:
        self.expected += report.frames_expected
        self.lost += report.lost
        self.duplicated += report.duplicated
        self.corrupted += report.corrupted
        self.silence_inserted += report.inserted_silence
        self.silence_left_out += report.lost_silence


class Figures(msgspec.Struct):
    """The whole of a demo in one object, as ``--json`` prints it. ``reasons`` is empty when all went well."""

    ok: bool
    reasons: list[str]
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
    barge_ins: int
    barge_in_ms: float | None
    """Vapi's ``user-interrupted`` on the wire to silence in the caller's ear; the worst of all."""
    cleared_ms: float
    """Audio that barge-ins dropped, at the provider and in the bridge's own queue."""
    gaps_heard: int
    """Gaps inside the speech that the caller heard, where Vapi was later than the cushion is long. Above a
    *speed* of 1 there is no cushion, and there are more."""
    codec_delay_ms: float
    """Delay of decoding, resampling and encoding, one way; the larger of the two."""
    cpu_us_per_frame: float
    """CPU of the bridge's own process for one frame in one direction, everything included."""
    hops: dict[str, dict[str, HopStats | None]]
    loop: str
    loop_lag: HopStats | None
    counters: dict[str, int]
    left_open: LeftOpen


def judge_uplink(sent: bytes, received: bytes, vapi_format: AudioFormat, n_silence_excused: int) -> Direction:
    """Compare what the caller sent (mulaw/8000) with what Vapi got.

    *n_silence_excused* silent frames may be missing: those left out to repay inserted silence, and those sent
    when Vapi's leg had already ended. More than that are lost.
    """
    expected = Converter(MULAW, vapi_format).push(sent)
    found = Direction()
    found.add(compare_frames(expected, received, vapi_format.frame_bytes(), vapi_format.silence))
    found.lost += max(found.silence_left_out - n_silence_excused, 0)
    return found


def judge_downlink(
    spoken: Sequence[Spoken], received: Sequence[Payload], vapi_format: AudioFormat
) -> Direction:
    """Compare what Vapi spoke with what came to the caller: one stream from each interruption to the next.

    The tail of an interrupted utterance is dropped on purpose: only what did come of it is compared.
    """
    found = Direction()
    n_frame = MULAW.frame_bytes()
    left = list(received)
    streams = _streams(spoken)
    for index, stream in enumerate(streams):
        # A clear starts the conversion anew as well.
        expected = Converter(vapi_format, MULAW).push(b"".join(one.data for one in stream))
        until_ns = streams[index + 1][0].started_ns if index + 1 < len(streams) else None
        heard = b"".join(p.data for p in left if until_ns is None or p.received_ns < until_ns)
        left = [p for p in left if until_ns is not None and p.received_ns >= until_ns]
        if stream[-1].is_cut:
            expected = expected[: len(heard)]
        found.add(compare_frames(expected, heard, n_frame, MULAW.silence))
    return found


def _streams(spoken: Sequence[Spoken]) -> list[list[Spoken]]:
    """Return the utterances in runs, each ended by an interruption or by the end of the call."""
    streams: list[list[Spoken]] = []
    for index, one in enumerate(spoken):
        if index == 0 or spoken[index - 1].is_cut:
            streams.append([])
        streams[-1].append(one)
    return streams


def judge(
    result: Result,
    uplink: Direction,
    downlink: Direction,
    *,
    barge_ins_ms: Sequence[float | None],
    vapi_format: AudioFormat,
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
    reasons += _lost(figures) + _late(figures, barge_ins_ms, prebuffer_ms) + _left_open(result.left_open)
    figures.ok = not reasons
    return figures


def _frames(path: PathStats | None) -> int:
    return round(path.audio_out_ms / FRAME_MS) if path is not None else 0


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


def _late(figures: Figures, barge_ins_ms: Sequence[float | None], prebuffer_ms: int) -> list[str]:
    reasons = []
    if not barge_ins_ms or None in barge_ins_ms:
        reasons.append("the caller's interruption never silenced the assistant")
    if figures.barge_in_ms is not None and figures.barge_in_ms > MAX_BARGE_IN_MS:
        reasons.append(f"barge-in took {figures.barge_in_ms:.0f} ms, more than {MAX_BARGE_IN_MS:.0f}")
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
