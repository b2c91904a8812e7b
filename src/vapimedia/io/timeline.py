"""Where received audio belongs in time: frames are counted while it flows, the clock tells what a pause left out."""

from __future__ import annotations

__all__ = ["Timeline"]

# How much slower than ours the sender's clock may be; crystals differ by 1e-4 or so.
_DRIFT = 5e-4


class Timeline:
    """Place audio on a line that starts with its first frame. Times are seconds of any steady clock.

    The best arrival lately is the measure of lateness: audio that is held up on its way, and comes all at once then,
    is late for a moment and not missing. Neither is what a slower clock at the other end makes late over hours.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.next_frame = 0
        self._zero_s: float | None = None  # when frame 0 began, as far as is known

    def missing_frames(self, n_frames: int, now_s: float) -> int:
        """Return how many frames the clock has counted that never came, were the next *n_frames* complete now."""
        if self._zero_s is None:
            return 0
        due = int((now_s - self._zero_s) * self.sample_rate)
        return max(0, due - self.next_frame - n_frames)

    def skip(self, n_frames: int) -> None:
        """Leave *n_frames* out."""
        self.next_frame += n_frames

    def place(self, n_frames: int, now_s: float) -> int:
        """Return the frame at which *n_frames* that have come by *now_s* begin."""
        frame = self.next_frame
        self.next_frame += n_frames
        began_s = now_s - self.next_frame / self.sample_rate
        if self._zero_s is None:
            self._zero_s = began_s
        else:
            self._zero_s = min(self._zero_s + _DRIFT * n_frames / self.sample_rate, began_s)
        return frame

    def change_rate(self, sample_rate: int) -> None:
        """Count in another rate from here on."""
        self.next_frame = round(self.next_frame * sample_rate / self.sample_rate)
        self.sample_rate = sample_rate
