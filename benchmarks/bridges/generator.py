"""One run of ``vapimedia bench calls`` against one candidate, and what it answers."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence

import msgspec

__all__ = ["Answer", "Frames", "RunFailedError", "pinning", "run_generator"]


class Frames(msgspec.Struct, frozen=True):
    """What became of the frames of both directions."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    crossed: int = 0


class Answer(msgspec.Struct, frozen=True):
    """The generator's JSON, as far as it is used here. *died* and *not_ended* of *ends* are about calls."""

    seconds: float = 0.0
    frames: Frames = Frames()
    latency_us: dict[str, dict[str, float | None]] = {}
    codec_delay_ms: dict[str, float | None] = {}
    cpu_us_per_frame: float | None = None
    cpu_share: float | None = None
    calls_per_core_80: float | None = None
    rss_kb: dict[str, float | None] = {}
    ends: dict[str, int] = {}
    barge_in_us: dict[str, float | None] | None = None
    stalled: dict[str, float | None] | None = None
    sustained_calls: int | None = None

    @property
    def damage(self) -> dict[str, int]:
        """Return what is not as it should be, by its name."""
        counts = {name: getattr(self.frames, name) for name in ("lost", "duplicated", "corrupted", "crossed")}
        counts |= {name.replace("_", " "): self.ends.get(name, 0) for name in ("not_ended", "died")}
        return {name: count for name, count in counts.items() if count}


class RunFailedError(Exception):
    """The generator or the bridge ended before there was an answer. The text is the last it said."""


def pinning() -> tuple[list[str], str]:
    """Return the flags that give the two sides a processor each, where that can be done, and what to say about it."""
    if hasattr(os, "sched_getaffinity") and {0, 1} <= os.sched_getaffinity(0):
        return ["--pin"], "Bridge and generator had a processor each."
    return [], "Bridge and generator shared the processors."


def run_generator(command: Sequence[str], flags: Sequence[str], *, timeout_s: float) -> Answer:
    """Start the bridge by *command*, ours if it is empty, and the calls by *flags*; both have ended afterwards.

    Raises ``RunFailedError`` when there is no answer.
    """
    bridge = ["--bridge", shlex.join(command)] if command else []
    generator = [sys.executable, "-m", "vapimedia", "bench", "calls", "--json", *bridge, *flags]
    try:
        done = subprocess.run(
            generator,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=os.environ | {"NO_COLOR": "1", "COLUMNS": "200"},
        )
    except subprocess.TimeoutExpired:
        raise RunFailedError(f"no answer within {timeout_s:.0f} s") from None
    try:
        return msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.DecodeError:
        said = (done.stderr or done.stdout).strip().splitlines() or ["nothing was said"]
        raise RunFailedError(said[-1].removeprefix("error: ")) from None
