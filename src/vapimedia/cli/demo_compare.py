"""What came out of the demo's bridge, compared with what went in: one direction at a time, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from vapimedia.audio import Converter
from vapimedia.cli.demo_align import Payload, settle, unpad
from vapimedia.cli.demo_clock import Piece, due_ms, most_late_ms, stalls
from vapimedia.formats import AudioFormat
from vapimedia.testing import FrameReport, compare_frames

__all__ = ["MAX_LATE_MS", "Direction", "Excuses", "Spoken", "excuses_for", "judge_downlink", "judge_uplink"]

FRAME_MS = 20.0
MAX_LATE_MS = 200.0
"""How late speech may be played: later than at best, the cushion not counted. So much may also be missing at the
end of what a caller heard before an interruption."""

ABSENT_MS = 60.0  # a caller who is not heard for longer is silent
UNDER_WAY_NS = 200_000_000  # what may be on its way to Vapi when its leg ends
MAX_UNEXPLAINED = 25  # silent frames in a call, where a busy machine holds up the bridge


class Spoken(NamedTuple):
    """One utterance as Vapi sent it, in Vapi's format.

    ``messages`` are ``(time_ns, n_bytes)``. ``is_cut``: the caller interrupted it, at ``ended_ns``.
    """

    data: bytes
    messages: Sequence[tuple[int, int]]
    started_ns: int
    ended_ns: int
    is_cut: bool


class Excuses(NamedTuple):
    """Silent frames that explain themselves on the way to Vapi.

    ``repaid``: left out for those inserted, by the bridge's own account. ``unheard``: sent when Vapi had hung up.
    ``inserted``: for a caller who was not there or late.
    """

    repaid: int = 0
    unheard: int = 0
    inserted: int = 0


def excuses_for(ticks_ns: Sequence[int], connected_ns: int, ended_ns: int, *, repaid_ms: float) -> Excuses:
    """Return what explains silence that is inserted, or left out, on the way to Vapi.

    *ticks_ns* is when the caller sent a frame each; Vapi's leg was there from *connected_ns* to *ended_ns*.
    """
    if not ticks_ns:
        return Excuses()
    absent_ns = max(ticks_ns[0] - connected_ns, 0) + max(ended_ns - ticks_ns[-1], 0)
    absent_ms = absent_ns / 1e6 + sum(stall.ms for stall in stalls(ticks_ns, ABSENT_MS))
    return Excuses(
        repaid=round(repaid_ms / FRAME_MS),
        unheard=sum(tick_ns > ended_ns - UNDER_WAY_NS for tick_ns in ticks_ns),
        inserted=math.ceil(absent_ms / FRAME_MS) + MAX_UNEXPLAINED,
    )


class Direction(msgspec.Struct):
    """Frames of 20 ms in one direction, counted by comparing what came out with what went in.

    ``silence_inserted`` and ``silence_left_out`` are whole silent frames, by which the way to Vapi is kept
    continuous; what nothing explains is ``corrupted`` and ``lost`` as well, and so is all of it on the way back.
    ``padded`` frames end in silence, as a provider of exact frames needs it: the last of each utterance, and
    those before a gap in what Vapi sent (``padded_inside``). ``late_ms`` is how much later than at best speech
    was played to the caller, the worst of all: padding, gaps and the cushion add to it.
    """

    expected: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    silence_inserted: int = 0
    silence_left_out: int = 0
    padded: int = 0
    padded_inside: int = 0
    late_ms: float = 0.0

    def add(self, report: FrameReport) -> None:
        self.expected += report.frames_expected
        self.lost += report.lost
        self.duplicated += report.duplicated
        self.corrupted += report.corrupted
        self.silence_inserted += report.inserted_silence
        self.silence_left_out += report.lost_silence


def judge_uplink(
    sent: bytes,
    received: bytes,
    *,
    leg_format: AudioFormat,
    vapi_format: AudioFormat,
    excuses: Excuses = Excuses(),  # noqa: B008  it is immutable
) -> Direction:
    """Compare what the caller sent with what Vapi got.

    Silent frames that were inserted or left out without excuse are corrupted and lost. Both directions are
    converted for comparison by the bridge's own ``Converter``: a fault of its arithmetic cannot show here.
    """
    expected = Converter(leg_format, vapi_format).push(sent)
    found = Direction()
    report = compare_frames(expected, received, vapi_format.frame_bytes(), vapi_format.silence)
    if not report.intact:
        # Chunks of another length than a frame: silence for a caller who was late breaks into one.
        settled = settle(expected, received, vapi_format)
        again = compare_frames(expected, settled.audio, vapi_format.frame_bytes(), vapi_format.silence)
        if again.intact:
            report = again
            found.silence_inserted += settled.n_inserted
            found.silence_left_out += settled.n_left_out
    found.add(report)
    # Nothing is repaid that was not inserted.
    n_repaid = min(excuses.repaid, found.silence_inserted)
    found.lost += max(found.silence_left_out - n_repaid - excuses.unheard, 0)
    found.corrupted += max(found.silence_inserted - excuses.inserted, 0)
    return found


def judge_downlink(
    spoken: Sequence[Spoken],
    received: Sequence[Payload],
    *,
    vapi_format: AudioFormat,
    leg_format: AudioFormat,
    exact_frames: bool = False,
    speed: float = 1.0,
    cushion_ms: float = 40.0,
) -> Direction:
    """Compare what Vapi spoke with what came to the caller: one stream from each interruption to the next.

    The tail of an interrupted utterance is dropped on purpose: what did come of it is compared, and what the
    caller must have heard of it, after the cushion and ``MAX_LATE_MS``, must have come. With *exact_frames* each
    message is one frame and the last of an utterance is padded: utterances are compared one by one, while the
    conversion runs on from each to the next. As to faults of the conversion, see ``judge_uplink``.
    """
    found = Direction()
    streams = _streams(spoken)
    for index, stream in enumerate(streams):
        until_ns = streams[index + 1][0].started_ns if index + 1 < len(streams) else None
        heard = _between(received, stream[0].started_ns if index else None, until_ns)
        # A clear starts the conversion anew as well.
        way = _Way(Converter(vapi_format, leg_format), speed, cushion_ms + MAX_LATE_MS)
        if exact_frames:
            way.judge_framed(found, stream, heard)
        else:
            way.judge_any_size(found, stream, heard)
    return found


def _streams(spoken: Sequence[Spoken]) -> list[list[Spoken]]:
    """Return the utterances in runs, each ended by an interruption or by the end of the call."""
    streams: list[list[Spoken]] = []
    for index, one in enumerate(spoken):
        if index == 0 or spoken[index - 1].is_cut:
            streams.append([])
        streams[-1].append(one)
    return streams


def _between(received: Sequence[Payload], from_ns: int | None, until_ns: int | None) -> list[Payload]:
    return [
        one
        for one in received
        if (from_ns is None or one.received_ns >= from_ns)
        and (until_ns is None or one.received_ns < until_ns)
    ]


class _Way(NamedTuple):
    """What one stream goes through on its way to the caller. Nothing leaves out silence there: that is lost too."""

    converter: Converter
    speed: float
    allowed_ms: float

    def judge_any_size(self, found: Direction, stream: Sequence[Spoken], received: Sequence[Payload]) -> None:
        fmt = self.converter.target
        parts = [self.converter.push(one.data) for one in stream]
        expected, heard = b"".join(parts), b"".join(one.data for one in received)
        if stream[-1].is_cut:
            n_before = len(expected) - len(parts[-1])
            expected = expected[: max(len(heard), n_before + self._heard_at_least(stream[-1]))]
        report = compare_frames(expected, heard, fmt.frame_bytes(), fmt.silence)
        found.add(report)
        found.lost += report.lost_silence
        # Whatever came from Vapi leaves as it is: there is nothing to fill up.
        found.corrupted += report.inserted_silence
        ends = accumulate(len(one.data) for one in received)
        self._time(
            found, stream, received, [end - len(one.data) for end, one in zip(ends, received, strict=True)]
        )

    def judge_framed(self, found: Direction, stream: Sequence[Spoken], received: Sequence[Payload]) -> None:
        fmt = self.converter.target
        starts: list[int] = []
        n_before = 0
        for index, one in enumerate(stream):
            expected = self.converter.push(one.data)
            from_ns = one.started_ns if index else None
            until_ns = stream[index + 1].started_ns if index + 1 < len(stream) else None
            unpadded = unpad(expected, _between(received, from_ns, until_ns), fmt, speed=self.speed)
            starts += [n_before + start for start in unpadded.starts]
            n_before += len(expected)
            found.padded += unpadded.n_padded
            found.padded_inside += unpadded.n_inside
            # Silence that breaks into speech while more than enough is queued changes what the caller hears.
            found.corrupted += unpadded.n_early
            if one.is_cut:
                expected = expected[: max(len(unpadded.audio), self._heard_at_least(one))]
            report = compare_frames(
                _whole_frames(expected, fmt),
                _whole_frames(unpadded.audio, fmt),
                fmt.frame_bytes(),
                fmt.silence,
            )
            found.add(report)
            found.lost += report.lost_silence
        self._time(found, stream, received, starts)

    def _heard_at_least(self, one: Spoken) -> int:
        """Return how many bytes, in whole frames, the caller must have heard of an utterance when it was cut."""
        until_ns = one.ended_ns - self.allowed_ms * 1e6
        heard_ms = due_ms(_pieces([one], self.converter.source), until_ns, self.speed)
        return int(heard_ms / FRAME_MS) * self.converter.target.frame_bytes()

    def _time(
        self, found: Direction, stream: Sequence[Spoken], received: Sequence[Payload], starts: Sequence[int]
    ) -> None:
        """Note how late the stream was played, of which *starts* bytes come before each payload."""
        fmt = self.converter.target
        came = [
            Piece(one.waiting_ns, _ms(start, fmt), _ms(len(one.data), fmt))
            for one, start in zip(received, starts, strict=True)
        ]
        late_ms = most_late_ms(_pieces(stream, self.converter.source), came, self.speed)
        found.late_ms = max(found.late_ms, round(late_ms, 1))


def _pieces(stream: Sequence[Spoken], fmt: AudioFormat) -> list[Piece]:
    """Return Vapi's messages, in *fmt*, as audio that may be played."""
    found, n_before = [], 0
    for sent_ns, n_bytes in (message for one in stream for message in one.messages):
        found.append(Piece(sent_ns, _ms(n_before, fmt), _ms(n_bytes, fmt)))
        n_before += n_bytes
    return found


def _ms(n_bytes: int, fmt: AudioFormat) -> float:
    return n_bytes / fmt.frame_bytes() * FRAME_MS


def _whole_frames(audio: bytes, fmt: AudioFormat) -> bytes:
    missing = -len(audio) % fmt.frame_bytes()
    return audio + fmt.silence * (missing // fmt.bytes_per_sample)
