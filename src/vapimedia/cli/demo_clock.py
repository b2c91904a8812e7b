"""When the demo's speech was due at the caller's ear, when it came, and when the demo itself was held up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

__all__ = ["Piece", "Stall", "due_ms", "most_late_ms", "stalls", "waiting_since"]

_READING_NS = 20_000_000  # what came during a stall is read within this time of its end


class Piece(NamedTuple):
    """Audio to be played: there from ``at_ns`` on, for ``ms``, and ``from_ms`` of the speech go before it."""

    at_ns: int
    from_ms: float
    ms: float


class Stall(NamedTuple):
    """Time in which the demo's own process did nothing: neither sent nor read."""

    begin_ns: int
    end_ns: int

    @property
    def ms(self) -> float:
        return (self.end_ns - self.begin_ns) / 1e6


def stalls(tick_ns: Sequence[int], over_ms: float) -> list[Stall]:
    """Return where the caller's ticks were further apart than *over_ms*."""
    found = (Stall(early, late) for early, late in pairwise(tick_ns))
    return [one for one in found if one.ms > over_ms]


def waiting_since(received_ns: int, held_up: Sequence[Stall]) -> int:
    """Return since when what was read at *received_ns* may have lain there: a stall's begin, or that moment."""
    index = bisect_right(held_up, received_ns, key=lambda stall: stall.begin_ns) - 1
    if index >= 0 and received_ns <= held_up[index].end_ns + _READING_NS:
        return held_up[index].begin_ns
    return received_ns


def most_late_ms(sent: Sequence[Piece], came: Sequence[Piece], speed: float) -> float:
    """Return how much later than at best, from no cushion and at once, anything of *sent* was played."""
    due = list(_starts(sent, speed))
    most = 0.0
    for one, start_ns in zip(came, _starts(came, speed), strict=True):
        # Judged by its end: a piece cannot come before the last of it, of which a message may hold half a sample.
        at_ms = one.from_ms + one.ms - 1.0
        index = bisect_right(sent, at_ms, key=lambda piece: piece.from_ms) - 1
        if index >= 0:
            ahead_ms = (at_ms - sent[index].from_ms) - (one.ms - 1.0)
            most = max(most, (start_ns - due[index]) / 1e6 - ahead_ms / speed)
    return most


def due_ms(sent: Sequence[Piece], until_ns: float, speed: float) -> float:
    """Return how much of *sent* would have been played by *until_ns* at best."""
    starts = zip(sent, _starts(sent, speed), strict=True)
    return sum(min(max((until_ns - start_ns) * speed / 1e6, 0.0), one.ms) for one, start_ns in starts)


def _starts(pieces: Sequence[Piece], speed: float) -> Iterator[float]:
    """Yield when each piece begins to play: when it is there and those before it have been played."""
    dry_ns = 0.0
    for one in pieces:
        start_ns = max(dry_ns, one.at_ns)
        dry_ns = start_ns + one.ms * 1e6 / speed
        yield start_ns
