"""What can be done with histograms that were read out: add them up, ask for quantiles, count up to bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from vapimedia.media._types import Distribution, HopStats
from vapimedia.media.tally import BUCKET_MIDDLES

__all__ = ["counts_up_to", "hop_of", "merge", "quantile"]


def merge(parts: Iterable[Distribution]) -> Distribution:
    """Return the histogram of all values of all *parts*: what one that had counted them would be."""
    buckets: Counter[int] = Counter()
    count = total = largest = 0
    for part in parts:
        count += part.count
        total += part.sum
        largest = max(largest, part.max)
        buckets.update(part.buckets)
    return Distribution(count, total, largest, dict(buckets))


def quantile(distribution: Distribution, q: float) -> int:
    """Return the smallest value that a share *q* of all does not exceed, within 1/16; 0 when empty."""
    if not distribution.count:
        return 0
    seen = 0
    for bucket in sorted(distribution.buckets):
        seen += distribution.buckets[bucket]
        if seen >= q * distribution.count:
            return min(BUCKET_MIDDLES[bucket], distribution.max)
    return distribution.max


def counts_up_to(distribution: Distribution, bounds: Sequence[float]) -> list[int]:
    """Return how many values do not exceed each of *bounds*, which grow. A bound is off by 1/16 at most.

    Of a histogram that goes on counting no such number ever shrinks.
    """
    counts, seen, waiting = [], 0, sorted(distribution.buckets, reverse=True)
    for bound in bounds:
        while waiting and BUCKET_MIDDLES[waiting[-1]] <= bound:
            seen += distribution.buckets[waiting.pop()]
        counts.append(seen)
    return counts


def hop_of(distribution: Distribution) -> HopStats | None:
    """Return the quantiles of durations in ns; ``None`` when there are none."""
    if not distribution.count:
        return None
    p50_us, p99_us = (quantile(distribution, q) / 1e3 for q in (0.5, 0.99))
    return HopStats(distribution.count, p50_us, p99_us, distribution.max / 1e3)
