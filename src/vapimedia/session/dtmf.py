"""Key presses for the assistant: as a sentence, or as the tones a telephone would send."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from vapimedia.formats import AudioFormat
from vapimedia.media import MediaPath
from vapimedia.protocols.vapi import add_message
from vapimedia.session.config import DtmfTone

__all__ = ["FREQUENCIES_HZ", "key_message", "key_tone"]

# ITU-T Q.23: the row and the column of each key.
FREQUENCIES_HZ: dict[str, tuple[int, int]] = {
    key: (row_hz, column_hz)
    for row_hz, keys in ((697, "123A"), (770, "456B"), (852, "789C"), (941, "*0#D"))
    for column_hz, key in zip((1209, 1336, 1477, 1633), keys, strict=True)
}


def key_message(digit: str) -> bytes:
    """Return the message that tells the assistant about a key and lets it answer."""
    return add_message("system", f"The caller pressed {digit} on the keypad.")


@lru_cache(maxsize=64)
def key_tone(digit: str, fmt: AudioFormat, tone: DtmfTone) -> bytes:
    """Return whole frames of *fmt* with the dual tone of a known key and the gap after it."""
    row_hz, column_hz = FREQUENCIES_HZ[digit]
    t = np.arange(fmt.sample_rate * tone.on_ms // 1000) / fmt.sample_rate
    sound = np.sin(2 * np.pi * row_hz * t) + np.sin(2 * np.pi * column_hz * t)
    gap = np.zeros(fmt.sample_rate * tone.gap_ms // 1000)
    pcm = np.rint(np.concatenate([sound * tone.level, gap]) * 32767).astype("<i2").tobytes()
    encoder = MediaPath(AudioFormat("pcm_s16le", fmt.sample_rate), fmt)
    return b"".join([*encoder.feed_payload(pcm, 0), *encoder.flush()])
