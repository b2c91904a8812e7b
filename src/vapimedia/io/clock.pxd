"""The clock of everything that moves media: monotonic, in ns."""

from libc.stdint cimport int64_t
from libc.time cimport timespec
from posix.time cimport CLOCK_MONOTONIC, clock_gettime


cdef inline int64_t monotonic_ns() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_MONOTONIC, &t)
    return <int64_t>t.tv_sec * 1000000000 + t.tv_nsec
