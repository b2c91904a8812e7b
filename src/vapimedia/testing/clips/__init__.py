"""Speech clips of the demo dialogue: a caller asks a store's assistant for its hours.

The WAV files beside this module are mulaw/8000, made by ``make_clips.py`` with espeak-ng.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.testing import sound
from vapimedia.testing.wav import read_wav

__all__ = ["CLIPS", "Clip", "clip_ms", "load_clip"]

_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Clip:
    """One line of the dialogue: the WAV file's stem, who says it, and its words."""

    name: str
    speaker: Literal["assistant", "caller"]
    text: str


CLIPS: dict[str, Clip] = {
    clip.name: clip
    for clip in (
        Clip("greeting", "assistant", "Hello, this is the corner store. How can I help you?"),
        Clip("ask_monday", "caller", "Hi, is the store open on Monday?"),
        Clip("let_me_check", "assistant", "Let me check."),
        Clip(
            "monday_hours",
            "assistant",
            "On Monday we are open from nine in the morning until six in the evening, "
            "on Tuesday we start one hour later, and on Wednesday we close at noon.",
        ),
        Clip("ask_sunday", "caller", "Sorry, what about Sunday?"),
        Clip("sunday_hours", "assistant", "We are closed on Sunday. Press one to get our address."),
        Clip("goodbye", "assistant", "Thank you for calling. Goodbye!"),
    )
}


@cache
def load_clip(name: str, fmt: AudioFormat) -> bytes:
    """Return a clip's audio in *fmt*. Raises ``ConfigError`` for a name that is not in ``CLIPS``."""
    if name not in CLIPS:
        raise ConfigError(f"there is no clip {name!r}; known are {', '.join(CLIPS)}")
    stored, data = read_wav(_HERE / f"{name}.wav")
    if stored == fmt:
        return data
    return sound.encode(sound.resample(sound.decode(data, stored), stored.sample_rate, fmt.sample_rate), fmt)


def clip_ms(name: str) -> float:
    """Return how long a clip lasts."""
    return len(load_clip(name, AudioFormat("mulaw", 8000))) / 8
