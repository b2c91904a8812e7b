"""Frames read in C, and plain TCP connections many in one turn of the event loop."""

import asyncio

class Lane:
    """One connection, read until it is parted. For other Cython code."""

class Intake:
    """Takes the bytes of a connection that the event loop reads, as its protocol. For other Cython code."""

class Reactor:
    """Reads the connections of one event loop: an epoll of its own that the loop watches as one descriptor.

    Where there is no epoll it takes none, and the loop goes on reading them.

    From 8000 reads a second on (some 80 calls) it lets ``coalesce_us`` pass between a wake-up and a look, so that one
    wake-up serves several.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    coalesce_us: int
    """0 unless set: every read as soon as it can be."""
    @property
    def n_lanes(self) -> int: ...
    def close(self) -> None: ...
