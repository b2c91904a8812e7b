"""Speech as a demo's fakes would record it, on its way through a bridge that a test makes up."""

from __future__ import annotations

import random
from typing import Any

from vapimedia.cli.demo_align import Payload
from vapimedia.cli.demo_compare import (
    MAX_LATE_MS,
    Direction,
    Excuses,
    Spoken,
    judge_downlink,
    judge_uplink,
)
from vapimedia.formats import AudioFormat

MULAW = AudioFormat("mulaw", 8000)
PCM = AudioFormat("pcm_s16le", 16_000)
PCM8, PCM24, PCM44, PCM48 = (AudioFormat("pcm_s16le", rate) for rate in (8000, 24_000, 44_100, 48_000))
SILENT = b"\xff" * 160
MS = 1_000_000
FRAME = PCM.frame_bytes()


def voice(n_frames: float, seed: int = 1, fmt: AudioFormat = MULAW) -> bytes:
    """Return frames of noise: every one differs from every other."""
    n_samples = int(n_frames * fmt.frame_bytes()) // fmt.bytes_per_sample
    return random.Random(seed).randbytes(n_samples * fmt.bytes_per_sample)


def up(sent: bytes, received: bytes, leg: AudioFormat, vapi: AudioFormat, repaid: int = 0) -> Direction:
    excuses = Excuses(repaid=repaid, inserted=10)
    return judge_uplink(sent, received, leg_format=leg, vapi_format=vapi, excuses=excuses)


def says(audio: bytes, start_ns: int, fmt: AudioFormat = MULAW, *, is_cut: bool = False) -> Spoken:
    """Return an utterance as Vapi sends it: 50 ms every 50 ms."""
    n_bytes, n_ns = fmt.frame_bytes(50), 50 * MS
    sizes = [len(audio[at : at + n_bytes]) for at in range(0, len(audio), n_bytes)]
    messages = [(start_ns + index * n_ns, size) for index, size in enumerate(sizes)]
    return Spoken(audio, messages, start_ns, start_ns + len(audio) * n_ns // n_bytes, is_cut)


def came(audio: bytes, at_ns: int) -> Payload:
    return Payload(audio, at_ns, at_ns)


def is_good(found: Direction) -> bool:
    return damage(found) == (0, 0, 0) and found.late_ms <= MAX_LATE_MS + 40


def down(
    spoken: list[Spoken], payloads: list[Payload], vapi: AudioFormat = MULAW, leg: AudioFormat = MULAW
) -> Direction:
    return judge_downlink(spoken, payloads, vapi_format=vapi, leg_format=leg)


def damage(found: Direction) -> tuple[int, int, int]:
    return found.lost, found.duplicated, found.corrupted


def cut(audio: bytes, fmt: AudioFormat, *, pads: tuple[int, ...] = ()) -> list[bytes]:
    """Return *audio* as a provider of exact frames gets it: the last frame padded, and those at *pads* bytes."""
    n_frame = fmt.frame_bytes()
    frames: list[bytes] = []
    at = 0
    for until in [*pads, len(audio)]:
        while at < until:
            piece = audio[at : min(at + n_frame, until)]
            frames.append(piece + fmt.silence * ((n_frame - len(piece)) // fmt.bytes_per_sample))
            at += len(piece)
    return frames


def arrive(frames: list[bytes], start_ns: int, every_ns: int = 20 * MS) -> list[Payload]:
    return [came(frame, start_ns + (i + 1) * every_ns) for i, frame in enumerate(frames)]


def framed(spoken: list[Spoken], payloads: list[Payload], **formats: Any) -> Direction:
    formats = {"vapi_format": PCM, "leg_format": PCM} | formats
    return judge_downlink(spoken, payloads, exact_frames=True, **formats)
