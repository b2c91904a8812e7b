"""Histograms of many streams together, counted and added up in C."""

from vapimedia.media._types import Distribution

BUCKET_MIDDLES: tuple[int, ...]
"""What a value in each of a histogram's buckets is told as."""

class Tally:
    """A histogram for as long as a process lives: of its own values, or of what its calls had together."""

    def add(self, value: int) -> None:
        """Count *value*, a duration in ns unless the owner says otherwise."""
    def read(self) -> Distribution: ...
    def copy(self) -> Tally: ...
