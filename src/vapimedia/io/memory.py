"""What this process holds, as far as the system tells."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["allocated_bytes", "python_blocks", "resident_bytes"]

_STATM = Path("/proc/self/statm")


class _MallInfo(ctypes.Structure):
    """``struct mallinfo2`` (glibc 2.33, malloc.h)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def resident_bytes() -> int | None:
    """Return the resident memory; ``None`` elsewhere than on Linux."""
    try:
        pages = int(_STATM.read_bytes().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def allocated_bytes() -> int | None:
    """Return what the C library's allocator has given out and not got back; ``None`` without a glibc of 2.33 or newer.

    Python's small objects are not in it: CPython maps their memory itself (``python_blocks``).
    """
    told = _mallinfo2()
    if told is None:
        return None
    info = told()
    return int(info.uordblks + info.hblkhd)


def python_blocks() -> int:
    """Return how many blocks of memory Python's own allocator has given out: objects up to 512 bytes, about."""
    return sys.getallocatedblocks()


@functools.cache
def _mallinfo2() -> Callable[[], _MallInfo] | None:
    try:
        function = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):  # an older glibc, another C library, another system
        return None
    function.restype, function.argtypes = _MallInfo, ()
    return function
