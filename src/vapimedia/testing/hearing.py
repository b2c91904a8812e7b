"""The fake assistant's hearing: energy, with the hang-over a real endpointer has."""

from __future__ import annotations

from enum import Enum

from vapimedia.formats import AudioFormat
from vapimedia.testing import sound

__all__ = ["Heard", "Hearing"]

_FRAME_MS = 20.0
_START_MS = 100.0  # of voice: the caller is speaking
_INTERRUPT_MS = 200.0  # Vapi's default stopSpeakingPlan.voiceSeconds
_END_MS = 500.0  # of silence: the caller has finished
_PARTIAL_MS = 500.0  # between partial transcripts


class Heard(Enum):
    """What happened in the caller's audio."""

    STARTED = "started"
    INTERRUPTING = "interrupting"
    PARTIAL = "partial"
    STOPPED = "stopped"


class Hearing:
    """Tell from a stream of audio when the caller speaks. All times are audio time: speed does not matter."""

    def __init__(self, fmt: AudioFormat) -> None:
        self._fmt = fmt
        self._frame_bytes = fmt.frame_bytes()
        self._rest = bytearray()
        self._voice_ms = 0.0
        self._silence_ms = 0.0
        self._interrupting = False
        self.speaking = False
        self.speech_ms = 0.0

    def push(self, chunk: bytes) -> list[Heard]:
        """Return what *chunk* completes, in order."""
        self._rest += chunk
        found: list[Heard] = []
        while len(self._rest) >= self._frame_bytes:
            frame = bytes(self._rest[: self._frame_bytes])
            del self._rest[: self._frame_bytes]
            self._frame(sound.is_speech(frame, self._fmt), found)
        return found

    def _frame(self, voiced: bool, found: list[Heard]) -> None:
        # Leaky: a click is forgotten, a pause between syllables is not held against the speaker.
        self._voice_ms = max(0.0, self._voice_ms + (_FRAME_MS if voiced else -_FRAME_MS))
        self._silence_ms = 0.0 if voiced else self._silence_ms + _FRAME_MS
        if self.speaking:
            self.speech_ms += _FRAME_MS
            if self.speech_ms % _PARTIAL_MS < _FRAME_MS:
                found.append(Heard.PARTIAL)
        elif self._voice_ms >= _START_MS:
            self.speaking = True
            self.speech_ms = self._voice_ms
            found.append(Heard.STARTED)
        if self.speaking and not self._interrupting and self._voice_ms >= _INTERRUPT_MS:
            self._interrupting = True
            found.append(Heard.INTERRUPTING)
        if self.speaking and self._silence_ms >= _END_MS:
            self.speech_ms -= self._silence_ms
            self.speaking = self._interrupting = False
            self._voice_ms = 0.0
            found.append(Heard.STOPPED)
