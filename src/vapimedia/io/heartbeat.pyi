"""Whether a peer is there, and whether it reads."""

import enum

class Beat(enum.IntEnum):
    BEAT_NONE = 0
    BEAT_PING = 1
    """Send a ping with ``pinged_ns``, 8 bytes in native order, as its payload."""
    BEAT_LATE = 2
    """The echo is overdue from now on."""
    BEAT_GONE = 3

class Heartbeat:
    """Decides when to ping one peer, and what silence means. No clock of its own; times are ns.

    A peer that is not heard of for two thirds of *interval_s* is pinged, and gone when nothing at all has come by the
    end of it. Every 2 s it is pinged anyway: one that has answered before, and has not for 1 s, does not read what it
    is sent (``is_late``), whatever the kernels on the way have taken.
    """

    is_late: bool
    pinged_ns: int
    """The ping that waits for its echo; 0: none does."""
    def __init__(self, interval_s: float) -> None: ...
    def start(self, now_ns: int) -> None: ...
    def heard(self, now_ns: int) -> None: ...
    def beat(self, now_ns: int) -> Beat: ...
    def echo(self, pinged_ns: int) -> bool:
        """Take a pong. Return whether the peer reads again that did not."""
