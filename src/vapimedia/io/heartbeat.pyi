"""Whether a peer is there, and whether it reads."""

class Heartbeat:
    """Decides when to ping one peer, and what silence means. No clock of its own; for other Cython code.

    A peer that is not heard of for two thirds of *interval_s* is pinged, and gone when nothing at all has come by the
    end of it. Every 2 s it is pinged anyway: one that has answered before, and has not for 1 s, does not read what it
    is sent (``is_late``), whatever the kernels on the way have taken.
    """

    is_late: bool
    def __init__(self, interval_s: float) -> None: ...
