"""What the tests of the paths share: formats, known audio, and the law that nothing is lost silently."""

from __future__ import annotations

import base64

import numpy as np

from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope, PathStats

MS = 1_000_000
MULAW = AudioFormat("mulaw", 8000)
ALAW = AudioFormat("alaw", 8000)
PCM_8K = AudioFormat("pcm_s16le", 8000)
PCM_16K = AudioFormat("pcm_s16le", 16_000)
PCM_24K = AudioFormat("pcm_s16le", 24_000)

TEXT_IN = Envelope(
    text=True, payload=("media", "payload"), match={("event",): "media"}, expect={("streamSid",): "MZ1"}
)
PREFIX, SUFFIX = b'{"event":"media","streamSid":"MZ1","media":{"payload":"', b'"}}'
TEXT_OUT = Envelope(text=True, prefix=PREFIX, suffix=SUFFIX)


def loud(fmt: AudioFormat, ms: float, *, seed: int = 0) -> bytes:
    """Return noise of *fmt* in which no sample is near silence, and no two places are alike."""
    n = round(fmt.sample_rate * ms / 1000)
    noise = np.random.default_rng(seed)
    if fmt.encoding == "pcm_s16le":
        return (noise.integers(1000, 20_000, n) * noise.choice([-1, 1], n)).astype("<i2").tobytes()
    codes = noise.integers(0x20, 0x60, n).astype(np.uint8)  # magnitudes after the inversion is undone
    return bytes(codes ^ (0xFF if fmt.encoding == "mulaw" else 0x55))


def silent(fmt: AudioFormat, ms: float) -> bytes:
    return fmt.silence * round(fmt.sample_rate * ms / 1000)


def twilio(audio: bytes, *, stream: str = "MZ1") -> bytes:
    payload = base64.b64encode(audio).decode()
    return f'{{"event":"media","media":{{"payload":"{payload}"}},"streamSid":"{stream}"}}'.encode()


def unwrap(message: bytes) -> bytes:
    """Return the audio in a message of ``TEXT_OUT``, checking every other byte."""
    assert message.startswith(PREFIX)
    assert message.endswith(SUFFIX)
    return base64.b64decode(message[len(PREFIX) : -len(SUFFIX)], validate=True)


def missing_ms(stats: PathStats) -> float:
    """Return the audio that came in and is nowhere: 0, for a path without a ledger."""
    return _came_ms(stats) - (stats.audio_out_ms + stats.queued_ms + _left_out_ms(stats))


def missing_from_ledger_ms(stats: PathStats) -> float:
    """Return the same for a playout path: what was sent is heard, queued by the far side, or cleared."""
    return _came_ms(stats) - (stats.heard_ms + stats.queued_ms + _left_out_ms(stats))


def _came_ms(stats: PathStats) -> float:
    return stats.audio_in_ms + stats.inserted_silence_ms


def _left_out_ms(stats: PathStats) -> float:
    dropped_ms = stats.dropped_flood_ms + stats.dropped_overflow_ms + stats.dropped_closed_ms
    dropped_ms += stats.dropped_late_ms + stats.dropped_wrong_size_ms + stats.dropped_disorder_ms
    return stats.cleared_ms + stats.repaid_silence_ms + stats.caught_up_ms + dropped_ms
