"""The caller's side of a scripted call: what is said, and when, one 20 ms tick at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from vapimedia.formats import AudioFormat
from vapimedia.testing.clips import load_clip

__all__ = [
    "CallerStep",
    "Dtmf",
    "HangUp",
    "Hearing",
    "Interrupt",
    "Say",
    "Silence",
    "Tick",
    "WaitForAssistant",
    "default_caller",
    "play_caller",
]

TICK_MS = 20


@dataclass(frozen=True)
class Say:
    """Speak a clip by name, or raw bytes in the leg's format."""

    clip: str | bytes


@dataclass(frozen=True)
class Silence:
    """Say nothing for a while."""

    ms: float


@dataclass(frozen=True)
class Dtmf:
    """Press keys, one every 200 ms."""

    digits: str


@dataclass(frozen=True)
class WaitForAssistant:
    """Wait until the assistant has spoken and then been quiet for *quiet_ms*."""

    quiet_ms: float = 600.0
    timeout_s: float = 20.0


@dataclass(frozen=True)
class Interrupt:
    """Speak a clip over the assistant, once *after_ms* of its speech have been heard."""

    clip: str | bytes
    after_ms: float
    timeout_s: float = 20.0


@dataclass(frozen=True)
class HangUp:
    """Put the phone down."""


CallerStep = Say | Silence | Dtmf | WaitForAssistant | Interrupt | HangUp


class Hearing(Protocol):
    """What the caller has heard since the last ``listen()``, in milliseconds of audio."""

    speech_ms: float
    quiet_ms: float

    def listen(self) -> None:
        """Count from here."""


class Tick(NamedTuple):
    """What leaves the caller in one tick. ``step`` is what is being said; ``None`` for silence."""

    audio: bytes
    step: Say | Interrupt | None = None
    digit: str | None = None
    hang_up: bool = False
    timed_out: bool = False


def play_caller(steps: Sequence[CallerStep], hearing: Hearing, fmt: AudioFormat) -> Iterator[Tick]:
    """Yield a tick for every 20 ms of the call; silence for ever once the steps are done."""
    quiet = Tick(fmt.silence * (fmt.frame_bytes() // fmt.bytes_per_sample))
    for step in steps:
        match step:
            case Say():
                yield from _speak(step, fmt)
            case Silence():
                for _ in range(_ticks(step.ms)):
                    yield quiet
            case Dtmf():
                for digit in step.digits:
                    yield quiet._replace(digit=digit)
                    for _ in range(_ticks(180)):
                        yield quiet
            case WaitForAssistant() | Interrupt():
                yield from _wait(step, hearing, quiet)
                if isinstance(step, Interrupt):
                    yield from _speak(step, fmt)
            case HangUp():
                yield quiet._replace(hang_up=True)
    while True:
        yield quiet


def _ticks(ms: float) -> int:
    return max(1, round(ms / TICK_MS))


def _speak(step: Say | Interrupt, fmt: AudioFormat) -> Iterator[Tick]:
    data = step.clip if isinstance(step.clip, bytes) else load_clip(step.clip, fmt)
    n_bytes = fmt.frame_bytes()
    silent = fmt.silence * (n_bytes // fmt.bytes_per_sample)
    for at in range(0, len(data), n_bytes):
        frame = data[at : at + n_bytes]
        # Filled up byte by byte: raw bytes may end inside a sample, a frame never does.
        yield Tick(frame + silent[len(frame) :], step)


def _wait(step: WaitForAssistant | Interrupt, hearing: Hearing, quiet: Tick) -> Iterator[Tick]:
    hearing.listen()
    for _ in range(_ticks(step.timeout_s * 1000)):
        if isinstance(step, Interrupt):
            if hearing.speech_ms >= step.after_ms:
                return
        elif hearing.speech_ms > 0 and hearing.quiet_ms >= step.quiet_ms:
            return
        yield quiet
    yield quiet._replace(timed_out=True)


def default_caller() -> tuple[CallerStep, ...]:
    """Return the caller's half of the demo dialogue; ``default_script()`` is the assistant's."""
    return (
        WaitForAssistant(),
        Say("ask_monday"),
        Interrupt("ask_sunday", after_ms=4500),
        WaitForAssistant(),
        Dtmf("1"),
    )
