"""Playout marks: their names, and which of them are still on their way."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from vapimedia.media import PlayoutPath

__all__ = ["MAX_OUTSTANDING", "Marks"]

MAX_OUTSTANDING = 32
_NAME = re.compile(r"([0-9]{1,9}):([0-9]{1,12}(?:\.[0-9]{1,3})?)")


class Marks(msgspec.Struct):
    """The marks of one playout path. A name is ``generation:position_ms``.

    Providers return every pending mark on a clear, or none; only the generation tells a played mark from a
    cleared one. At most ``MAX_OUTSTANDING`` are on their way: a provider that never answers gets no flood.
    """

    interval_ms: int
    outstanding: dict[str, int] = {}
    """Name to generation, oldest first."""
    marked_ms: float = 0.0
    """The position of the newest mark."""
    last_sent: str = ""
    last_played: str = ""

    def due(self, position_ms: float) -> bool:
        """Return whether it is far enough from the last mark to *position_ms*."""
        return position_ms - self.marked_ms >= self.interval_ms

    def next_name(self, position_ms: float, generation: int) -> str | None:
        """Return the name for a mark at *position_ms*; ``None`` if it tells nothing new, or is too much."""
        if position_ms <= self.marked_ms:
            return None
        if len(self.outstanding) >= MAX_OUTSTANDING:
            oldest = next(iter(self.outstanding))
            if self.outstanding[oldest] == generation:
                return None
            # Cleared marks that never came back (Plivo, Asterisk) must not use up the places for good.
            del self.outstanding[oldest]
        self.marked_ms = position_ms
        name = f"{generation}:{position_ms:.3f}".rstrip("0").rstrip(".")
        self.outstanding[name] = generation
        self.last_sent = name
        return name

    def played(self, name: str, path: PlayoutPath, now_ns: int) -> Literal["played", "stale", "foreign"]:
        """Take a returned mark into the ledger of *path*; say what it was worth."""
        found = _NAME.fullmatch(name) if name in self.outstanding else None
        if found is None:
            return "foreign"
        del self.outstanding[name]
        taken = path.mark_played(int(found[1]), float(found[2]), now_ns)
        if not taken:
            return "stale"
        self.last_played = name
        return "played"
