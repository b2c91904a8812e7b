"""The timer that drives paced audio, inserted silence and deadlines; the sockets are in ``media_socket``."""

import asyncio
from collections.abc import Callable

from vapimedia.io.lane import Reactor
from vapimedia.io.media_socket import MediaSocket
from vapimedia.media.tally import Tally

class Pump:
    """One timer for all calls of a worker: paced audio, inserted silence, deadlines, loop lag.

    Ticks every 10 ms on an absolute clock while there is anything to drive. A late tick lets the sockets
    speak first, so that our own stall is not taken for the provider's.
    """

    reactor: Reactor
    """Reads the plain TCP connections of this loop."""
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    def add(self, receiver: MediaSocket, deadline: Callable[[int], None]) -> None:
        """Drive the media that arrives at *receiver*, and call *deadline* when its time has come."""
    def set_deadline(self, receiver: MediaSocket, at_ns: int | None) -> None: ...
    def remove(self, receiver: MediaSocket) -> None: ...
    def close(self) -> None: ...
    @property
    def n_driven(self) -> int: ...
    lag: Tally
    """How late ticks were, in ns."""
    backlogs: dict[tuple[str, str], Tally]
    """What waited to be sent, each socket looked at once a second, in 1/1024 bytes: by leg (``provider``, ``vapi``)
    and where, ``user`` (the kernel had not taken it) or ``kernel`` (taken and not sent; 0 where it does not tell)."""
    def worst_lag_ns(self, since_ns: int) -> int:
        """Return the latest tick since a time of ``now_ns``, within 1/16."""

def now_ns() -> int:
    """Return the pump's clock: monotonic, in nanoseconds."""
