"""What ``vapimedia listen`` shows: how loud each side is, and in the end what became of the call."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vapimedia.cli.level_bar import age, level_bar

if TYPE_CHECKING:
    from vapimedia.io.listen import Listening
    from vapimedia.io.listen_items import AudioChunk

__all__ = ["Levels", "ListenRecord", "doubt", "heading", "meter", "plain_line"]

_WINDOW_MS: Final = 300.0
_BAR_CELLS: Final = 30
_FULL_SCALE: Final = 32768.0
_SIDES: Final = {1: ("call",), 2: ("customer", "assistant")}
_TWICE: Final = (1.6, 2.4)
_HALF: Final = (0.4, 0.6)


class ListenRecord(msgspec.Struct):
    """One call that was listened to, as ``--json`` prints it. Levels are dBFS, one a channel; silence has none."""

    files: list[str] = []
    duration_ms: int = 0
    """From the first audio to the last, holes included."""
    sample_rate: int = 0
    channels: int = 0
    peak_dbfs: list[float | None] = []
    rms_dbfs: list[float | None] = []
    events: int = 0
    reconnects: int = 0
    failed_connects: int = 0
    gap_ms: int = 0
    dropped_ms: int = 0
    lost_ms: int = 0
    """What could not be written."""
    ended: str = ""
    """``ended``, ``gone``, ``lost``, or ``closed`` by us; empty if there never was a connection."""
    error: str | None = None
    """Why the command fails; ``None`` if it does not."""


class Levels:
    """How loud each channel is: over the last third of a second, and over all."""

    def __init__(self) -> None:
        self.end_ms = 0.0
        self.channels = 0
        self._recent: deque[tuple[float, int, np.ndarray, np.ndarray]] = deque()
        self._peak = np.zeros(2)
        self._power = np.zeros(2)
        self._n_samples = 0

    def add(self, chunk: AudioChunk) -> None:
        """Take some audio."""
        samples = chunk.samples().astype(np.float64)
        if chunk.channels != self.channels:
            self.channels, self._n_samples = chunk.channels, 0
            self._recent.clear()
            self._peak, self._power = np.zeros(chunk.channels), np.zeros(chunk.channels)
        peak, power = np.abs(samples).max(axis=0), np.square(samples).sum(axis=0)
        self.end_ms = chunk.at_ms + chunk.duration_ms
        self._recent.append((self.end_ms, chunk.n_samples, peak, power))
        while self._recent[0][0] < self.end_ms - _WINDOW_MS:
            self._recent.popleft()
        self._peak = np.maximum(self._peak, peak)
        self._power += power
        self._n_samples += chunk.n_samples

    def now(self) -> list[tuple[float | None, float | None]]:
        """Return peak and RMS of each channel of late, in dBFS."""
        if not self._recent:
            return [(None, None)] * self.channels
        n_samples = sum(n for _, n, _, _ in self._recent)
        peak = np.max([peak for _, _, peak, _ in self._recent], axis=0)
        power = np.sum([power for *_, power in self._recent], axis=0) / n_samples
        return [(_dbfs(p), _dbfs(math.sqrt(w))) for p, w in zip(peak, power, strict=True)]

    def overall(self) -> tuple[list[float | None], list[float | None]]:
        """Return peaks and RMS of all that was heard, in dBFS."""
        powers = self._power / max(1, self._n_samples)
        return (
            [_dbfs(p) for p in self._peak[: self.channels]],
            [_dbfs(math.sqrt(w)) for w in powers[: self.channels]],
        )


def _dbfs(amplitude: float) -> float | None:
    return round(20 * math.log10(amplitude / _FULL_SCALE), 1) if amplitude > 0 else None


def meter(listening: Listening, levels: Levels, *, is_ascii: bool) -> RenderableType:
    """Return what a terminal shows now."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for justify in ("left", "left", "right", "right"):
        table.add_column(
            justify=justify, no_wrap=True, min_width=_BAR_CELLS if len(table.columns) == 1 else 0
        )
    for name, (peak, rms) in zip(_SIDES.get(levels.channels, ()), levels.now(), strict=True):
        bar = level_bar(rms, _BAR_CELLS, is_ascii=is_ascii)
        table.add_row(name, bar, _told(rms), f"peak {_told(peak)}")
    return Group(Text(heading(listening, levels), style="bold", no_wrap=True, overflow="ellipsis"), table)


def heading(listening: Listening, levels: Levels) -> str:
    """Return how far it has come, in one line."""
    words = [age(levels.end_ms)]
    if levels.channels:
        words.append(f"{listening.sample_rate} Hz, {levels.channels} channel{'s' * (levels.channels > 1)}")
    stats = listening.stats
    words += [f"{stats.reconnects} reconnects"] if stats.reconnects else []
    words += [f"{stats.gap_ms / 1000:.1f} s missed"] if stats.gap_ms >= 50 else []
    words += [f"{stats.dropped_ms / 1000:.1f} s dropped"] if stats.dropped_ms else []
    if not (listening.is_connected or listening.has_ended):
        words.append(f"connecting; {listening.trouble}" if listening.trouble else "connecting")
    return "  ".join(words)


def plain_line(listening: Listening, levels: Levels) -> str:
    """Return what a file or a pipe gets from time to time."""
    sides = zip(_SIDES.get(levels.channels, ()), levels.now(), strict=True)
    loud = [f"{name} {_told(rms)}, peak {_told(peak)}" for name, (peak, rms) in sides]
    return "  ".join([heading(listening, levels), *loud])


def doubt(listening: Listening) -> str:
    """Return what is probably wrong with the format; empty if nothing is, as far as can be told by now."""
    pace = listening.pace
    if pace is None:
        return ""
    said = f"audio comes {pace:.1f} times as fast as it plays at {listening.sample_rate} Hz"
    if _TWICE[0] <= pace <= _TWICE[1] and listening.channels == 1:
        return f"{said} with 1 channel; probably it has 2: pass --channels 2"
    if _HALF[0] <= pace <= _HALF[1] and listening.channels == 2:
        return f"{said} with 2 channels; probably it has 1: pass --channels 1"
    if pace >= _TWICE[0] or pace <= _HALF[1]:
        return f"{said}; its rate is probably another one: see --sample-rate"
    return ""


def _told(level_dbfs: float | None) -> str:
    return "silent" if level_dbfs is None else f"{level_dbfs:.1f} dBFS"
