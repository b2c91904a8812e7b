"""The arithmetic of a soak: what grows, how fast, and whether that is too much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean, median

import msgspec

__all__ = ["Bounds", "Growth", "Sample", "baseline_s", "growth_of", "slope_per_h"]

_BASELINE_S = 180.0
_BASELINE_SHARE = 0.3
_WINDOW_SHARE = 0.05
_LONGEST_WINDOW_S = 30.0
_CYCLE_S = 120.0
"""More than lies between two collections of everything, at some calls a second."""
_CYCLES = 4


class Sample(msgspec.Struct):
    """The bridge at one moment; times of frames are of those that came since the sample before it.

    ``None``: the bridge does not tell, or nothing came.
    """

    at_s: float
    calls: int
    """Those whose legs were both open."""
    ended: int = 0
    """Calls that ended since the sample before."""
    rss_kb: float | None = None
    allocated_kb: float | None = None
    python_blocks: float | None = None
    descriptors: float | None = None
    cpu_share: float | None = None
    p50_us: float | None = None
    p99_us: float | None = None


class Growth(msgspec.Struct):
    """One figure over a soak: at the baseline, at the end, and how it rose between."""

    baseline: float
    end: float
    per_h: float
    """Slope of the straight line through all points from the baseline on, by least squares."""

    @property
    def growth(self) -> float:
        return self.end - self.baseline


class Bounds(msgspec.Struct, frozen=True):
    """How much more than at the baseline there may be at the end."""

    rss_kb: float = 1024.0
    allocated_kb: float = 256.0
    python_blocks: float = 2000.0
    descriptors: float = 4.0

    @classmethod
    def of(cls, rss_mib: float) -> Bounds:
        """Return the bounds whose memory is in proportion to so much."""
        usual = cls()
        return cls(1024 * rss_mib, usual.allocated_kb * rss_mib, usual.python_blocks * rss_mib)


def baseline_s(seconds: float) -> float:
    """Return when a soak of so long has settled: at minute 3, or after three tenths of a shorter one."""
    return min(_BASELINE_S, _BASELINE_SHARE * seconds)


def growth_of(
    samples: Sequence[Sample], figure: Callable[[Sample], float | None], *, from_s: float
) -> Growth | None:
    """Return how *figure* grew from then to the last sample; ``None`` with fewer than two samples that have it.

    *baseline* and *end* are medians over a short while, to be free of single samples.
    """
    points = [
        (one.at_s, value) for one in samples if one.at_s >= from_s and (value := figure(one)) is not None
    ]
    if len(points) < 2:
        return None
    first_s, last_s = points[0][0], points[-1][0]
    window_s = min(_LONGEST_WINDOW_S, _WINDOW_SHARE * last_s)
    return Growth(
        baseline=median(value for at_s, value in points if at_s <= first_s + window_s),
        end=median(value for at_s, value in points if at_s >= last_s - window_s),
        per_h=slope_per_h(points),
    )


def live_growth_of(
    samples: Sequence[Sample], figure: Callable[[Sample], float | None], *, from_s: float
) -> Growth | None:
    """Return what ``growth_of`` does of what lives, garbage left out: of the least in each two minutes, or quarter.

    What an allocator has given out rises until Python's collector has looked at everything, and falls.
    """
    points = [
        (one.at_s, value) for one in samples if one.at_s >= from_s and (value := figure(one)) is not None
    ]
    if len(points) < _CYCLES:
        return None
    first_s, length_s = points[0][0], points[-1][0] - points[0][0]
    n_cycles = max(_CYCLES, int(length_s / _CYCLE_S))
    cycles: list[list[tuple[float, float]]] = [[] for _ in range(n_cycles)]
    for at_s, value in points:
        cycles[min(int((at_s - first_s) / (length_s or 1) * n_cycles), n_cycles - 1)].append((at_s, value))
    lows = [min(cycle, key=lambda point: point[1]) for cycle in cycles if cycle]
    return Growth(baseline=lows[0][1], end=lows[-1][1], per_h=slope_per_h(lows))


def slope_per_h(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line through ``(seconds, value)`` by least squares, per hour; 0 at a single moment."""
    middle_s, middle = fmean(at for at, _ in points), fmean(value for _, value in points)
    spread = sum((at - middle_s) ** 2 for at, _ in points)
    if not spread:
        return 0.0
    return 3600 * sum((at - middle_s) * (value - middle) for at, value in points) / spread
