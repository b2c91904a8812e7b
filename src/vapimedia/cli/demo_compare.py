"""What came out of the demo's bridge, compared with what went in: one direction at a time, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from vapimedia.audio import Converter
from vapimedia.cli.demo_align import Payload, settle, unpad
from vapimedia.formats import AudioFormat
from vapimedia.testing import FrameReport, compare_frames

__all__ = ["Direction", "Spoken", "judge_downlink", "judge_uplink"]


class Spoken(NamedTuple):
    """One utterance as Vapi sent it, in Vapi's format. ``is_cut``: the caller interrupted it."""

    data: bytes
    started_ns: int
    is_cut: bool


class Direction(msgspec.Struct):
    """Frames of 20 ms in one direction, counted by comparing what came out with what went in.

    ``silence_inserted`` and ``silence_left_out`` are whole silent frames, by which it is kept continuous.
    ``padded`` frames end in silence, as a provider of exact frames needs it: the last of each utterance, and
    those before a gap in what Vapi sent (``padded_inside``).
    """

    expected: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    silence_inserted: int = 0
    silence_left_out: int = 0
    padded: int = 0
    padded_inside: int = 0

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
    n_silence_excused: int = 0,
) -> Direction:
    """Compare what the caller sent with what Vapi got.

    *n_silence_excused* silent frames may be missing: those left out to repay inserted silence, and those sent
    when Vapi's leg had already ended. More than that are lost.
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
    found.lost += max(found.silence_left_out - n_silence_excused, 0)
    return found


def judge_downlink(
    spoken: Sequence[Spoken],
    received: Sequence[Payload],
    *,
    vapi_format: AudioFormat,
    leg_format: AudioFormat,
    exact_frames: bool = False,
    speed: float = 1.0,
    held_up_ms: float = 0.0,
) -> Direction:
    """Compare what Vapi spoke with what came to the caller: one stream from each interruption to the next.

    The tail of an interrupted utterance is dropped on purpose: only what did come of it is compared. With
    *exact_frames* each message is one frame and the last of an utterance is padded: utterances are compared one
    by one, while the conversion runs on from each to the next. *held_up_ms* is how late the caller's side itself
    was at worst.
    """
    found = Direction()
    streams = _streams(spoken)
    for index, stream in enumerate(streams):
        until_ns = streams[index + 1][0].started_ns if index + 1 < len(streams) else None
        heard = _between(received, stream[0].started_ns if index else None, until_ns)
        # A clear starts the conversion anew as well.
        converter = Converter(vapi_format, leg_format)
        if exact_frames:
            timing = {"speed": speed, "held_up_ms": held_up_ms}
            _judge_framed(found, stream, heard, converter, timing)
        else:
            _judge_any_size(found, stream, heard, converter)
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


def _judge_any_size(
    found: Direction, stream: Sequence[Spoken], received: Sequence[Payload], converter: Converter
) -> None:
    fmt = converter.target
    expected = converter.push(b"".join(one.data for one in stream))
    heard = b"".join(one.data for one in received)
    if stream[-1].is_cut:
        expected = expected[: len(heard)]
    found.add(compare_frames(expected, heard, fmt.frame_bytes(), fmt.silence))


def _judge_framed(
    found: Direction,
    stream: Sequence[Spoken],
    received: Sequence[Payload],
    converter: Converter,
    timing: dict[str, float],
) -> None:
    fmt = converter.target
    for index, one in enumerate(stream):
        expected = converter.push(one.data)
        from_ns = one.started_ns if index else None
        until_ns = stream[index + 1].started_ns if index + 1 < len(stream) else None
        mine = _between(received, from_ns, until_ns)
        unpadded = unpad(expected, mine, fmt, **timing)
        found.padded += unpadded.n_padded
        found.padded_inside += unpadded.n_inside
        # Silence that breaks into speech while more than enough is queued changes what the caller hears.
        found.corrupted += unpadded.n_early
        if one.is_cut:
            expected = expected[: len(unpadded.audio)]
        report = compare_frames(
            _whole_frames(expected, fmt), _whole_frames(unpadded.audio, fmt), fmt.frame_bytes(), fmt.silence
        )
        found.add(report)
        # Nothing leaves out silence on this way: what is missing was lost, an utterance's quiet end too.
        found.lost += report.lost_silence


def _whole_frames(audio: bytes, fmt: AudioFormat) -> bytes:
    missing = -len(audio) % fmt.frame_bytes()
    return audio + fmt.silence * (missing // fmt.bytes_per_sample)
