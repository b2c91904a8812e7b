"""Plain TCP connections read in C, many in one turn of the event loop."""

import asyncio

class Lane:
    """One connection, read until it is parted. For other Cython code."""

class Reactor:
    """Reads the connections of one event loop: an epoll of its own that the loop watches as one descriptor.

    Where there is no epoll it takes none, and the loop goes on reading them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
    @property
    def n_lanes(self) -> int: ...
    def close(self) -> None: ...
