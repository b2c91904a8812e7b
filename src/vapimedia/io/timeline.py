"""Where received audio belongs in time: samples are counted while it flows, the clock tells what a pause left out."""

from __future__ import annotations

__all__ = ["Timeline"]

# How much slower than ours the sender's clock may be; crystals differ by 1e-4 or so.
_DRIFT = 5e-4


class Timeline:
    """Place audio on a line that starts with its first sample. Times are seconds of any steady clock, samples
    are counted per channel.

    The best arrival lately is the measure of lateness: audio that is held up on its way, and comes all at once then,
    is late for a moment and not missing. Neither is what a slower clock at the other end makes late over hours.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.next_sample = 0
        self._zero_s: float | None = None  # when sample 0 began, as far as is known

    def missing_samples(self, n_samples: int, now_s: float) -> int:
        """Return how many samples the clock has counted that never came, were the next *n_samples* complete now."""
        if self._zero_s is None:
            return 0
        due = int((now_s - self._zero_s) * self.sample_rate)
        return max(0, due - self.next_sample - n_samples)

    def skip(self, n_samples: int) -> None:
        """Leave *n_samples* out."""
        self.next_sample += n_samples

    def place(self, n_samples: int, now_s: float) -> int:
        """Return the sample at which *n_samples* that have come by *now_s* begin."""
        at_sample = self.next_sample
        self.next_sample += n_samples
        began_s = now_s - self.next_sample / self.sample_rate
        if self._zero_s is None:
            self._zero_s = began_s
        else:
            self._zero_s = min(self._zero_s + _DRIFT * n_samples / self.sample_rate, began_s)
        return at_sample

    def change_rate(self, sample_rate: int) -> None:
        """Count in another rate from here on."""
        self.next_sample = round(self.next_sample * sample_rate / self.sample_rate)
        self.sample_rate = sample_rate
