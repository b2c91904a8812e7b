"""One run of ``vapimedia bench calls`` against one candidate, and what it answers."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

__all__ = ["Answer", "Frames", "RunFailedError", "pinned", "run_generator"]


class Frames(msgspec.Struct, frozen=True):
    """What became of the frames of both directions."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    crossed: int = 0

    @property
    def damage(self) -> dict[str, int]:
        """Return what is not as it should be, by its name."""
        counts = {name: getattr(self, name) for name in ("lost", "duplicated", "corrupted", "crossed")}
        return {name: count for name, count in counts.items() if count}


class Answer(msgspec.Struct, frozen=True):
    """The generator's JSON, as far as it is used here."""

    frames: Frames = Frames()
    latency_us: dict[str, dict[str, float]] = {}
    codec_delay_ms: dict[str, float | None] = {}
    cpu_us_per_frame: float | None = None
    cpu_share: float | None = None
    calls_per_core_80: float | None = None
    rss_kb: dict[str, float | None] = {}
    barge_in_us: dict[str, float] | None = None
    stalled: dict[str, float] | None = None
    found_calls: float | None = None


class RunFailedError(Exception):
    """The generator or the bridge ended before there was an answer. The text is the last it said."""


@dataclass(frozen=True)
class Pins:
    """Which processors the two sides keep to; None where there is only one, or no ``taskset``."""

    bridge: int | None = None
    generator: int | None = None
    words: str = field(default="Bridge and generator shared the processors.")

    def of(self, cpu: int | None, command: Sequence[str]) -> list[str]:
        return list(command) if cpu is None else ["taskset", "--cpu-list", str(cpu), *command]


def pinned() -> Pins:
    """Choose one processor for the bridge and another for the generator."""
    if not hasattr(os, "sched_getaffinity") or shutil.which("taskset") is None:
        return Pins()
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        return Pins()
    return Pins(cpus[-1], cpus[0], "Bridge and generator had a processor each.")


def run_generator(command: Sequence[str], flags: Sequence[str], pins: Pins, *, timeout_s: float) -> Answer:
    """Start the bridge by *command* and the calls by *flags*; both have ended when this returns.

    Raises ``RunFailedError`` when there is no answer.
    """
    bridge = shlex.join(pins.of(pins.bridge, command))
    generator = [sys.executable, "-m", "vapimedia", "bench", "calls", "--json", "--bridge", bridge, *flags]
    try:
        done = subprocess.run(
            pins.of(pins.generator, generator),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            # vapimedia serve wants a key; the API is the generator's own.
            env=os.environ | {"VAPI_API_KEY": "key-of-the-benchmark", "NO_COLOR": "1", "COLUMNS": "200"},
        )
    except subprocess.TimeoutExpired:
        raise RunFailedError(f"no answer within {timeout_s:.0f} s") from None
    try:
        return msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.DecodeError:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
        raise RunFailedError(f"exit code {done.returncode}: {said[-1]}") from None
