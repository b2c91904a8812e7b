"""Media of all calls together, those that ended and those that live, by direction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Self

import msgspec

from vapimedia.media import Distribution, MediaPath, PathStats, distribution
from vapimedia.media.tally import Tally
from vapimedia.session import CallSession, CallSummary

__all__ = ["AUDIO_FATES", "PathTotals", "Totals", "merge_paths"]

# Not what became of audio: where it is just now, and what was missing.
_STATES = {"queued_ms", "heard_ms", "codec_delay_ms", "gap_ms"}
_NAMES = {"audio_in_ms": "received", "audio_out_ms": "sent"}

AUDIO_FATES: Mapping[str, str] = {
    _NAMES.get(field, field.removesuffix("_ms")): field
    for field in PathStats.__struct_fields__
    if field.endswith("_ms") and field not in _STATES
}
"""What becomes of audio (``received``, ``sent``, ``cleared``, ``dropped_...``), and the field of ``PathStats`` that
tells how much; they only grow."""

_COUNTS = ("messages_in", "messages_out", "gaps")
_HOPS = ("convert", "queue", "send")


class PathTotals(msgspec.Struct):
    """One direction, over all calls. Every figure only grows."""

    messages_in: int = 0
    messages_out: int = 0
    audio_ms: dict[str, float] = {}
    """By what became of it (``AUDIO_FATES``)."""
    gaps: int = 0
    gap_ms: float = 0.0
    hops: dict[str, Distribution] = {}
    """Durations in ns: ``convert``, ``queue`` and ``send`` of ``PathStats``."""


class Totals:
    """Adds calls up; a call is added once, when it is over, or to a copy."""

    def __init__(self) -> None:
        self._paths = {"uplink": _PathSum(), "downlink": _PathSum()}

    def add(self, session: CallSession, summary: CallSummary) -> None:
        """Add a call by its *summary*, and the histograms of its paths."""
        self._paths["uplink"].add(session.uplink, summary.uplink)
        self._paths["downlink"].add(session.downlink, summary.downlink)

    def copy(self) -> Totals:
        """Return the same, to which more can be added without changing this one."""
        copied = Totals()
        copied._paths = {name: path.copy() for name, path in self._paths.items()}
        return copied

    def read(self) -> dict[str, PathTotals]:
        """Return the figures by direction."""
        return {name: path.read() for name, path in self._paths.items()}


class _PathSum:
    def __init__(self) -> None:
        self._hops = [Tally() for _ in _HOPS]
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._gap_ms = 0.0
        self._audio_ms = dict.fromkeys(AUDIO_FATES, 0.0)

    def add(self, path: MediaPath, stats: PathStats | None) -> None:
        path.add_hops(*self._hops)
        if stats is None:
            return
        for field in _COUNTS:
            self._counts[field] += getattr(stats, field)
        self._gap_ms += stats.gap_ms
        for fate, field in AUDIO_FATES.items():
            self._audio_ms[fate] += getattr(stats, field)

    def copy(self) -> Self:
        copied = type(self)()
        copied._hops = [hop.copy() for hop in self._hops]
        copied._counts, copied._audio_ms = dict(self._counts), dict(self._audio_ms)
        copied._gap_ms = self._gap_ms
        return copied

    def read(self) -> PathTotals:
        hops = {name: hop.read() for name, hop in zip(_HOPS, self._hops, strict=True)}
        return PathTotals(**self._counts, gap_ms=self._gap_ms, audio_ms=dict(self._audio_ms), hops=hops)


def merge_paths(parts: Iterable[Mapping[str, PathTotals]]) -> dict[str, PathTotals]:
    """Return the sum of each direction."""
    found: dict[str, list[PathTotals]] = {}
    for part in parts:
        for name, path in part.items():
            found.setdefault(name, []).append(path)
    return {name: _merge(paths) for name, paths in found.items()}


def _merge(parts: list[PathTotals]) -> PathTotals:
    audio_ms: defaultdict[str, float] = defaultdict(float)
    hops: dict[str, list[Distribution]] = {}
    for part in parts:
        for fate, duration_ms in part.audio_ms.items():
            audio_ms[fate] += duration_ms
        for hop, durations in part.hops.items():
            hops.setdefault(hop, []).append(durations)
    return PathTotals(
        **{field: sum(getattr(part, field) for part in parts) for field in _COUNTS},
        gap_ms=sum(part.gap_ms for part in parts),
        audio_ms=dict(audio_ms),
        hops={hop: distribution.merge(several) for hop, several in hops.items()},
    )
