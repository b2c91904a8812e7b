cimport cython
from libc.stdint cimport int64_t

cpdef enum Beat:
    BEAT_NONE = 0
    BEAT_PING = 1    # send a ping with `pinged_ns` as its payload
    BEAT_LATE = 2    # the echo is overdue from now on
    BEAT_GONE = 3    # the peer is gone


@cython.final
cdef class Heartbeat:
    cdef readonly int64_t pinged_ns    # the ping that waits for its echo; 0: none
    cdef readonly bint is_late
    cdef int64_t _interval_ns    # 0: no pings
    cdef int64_t _heard_ns
    cdef int64_t _look_ns
    cdef int64_t _echo_due_ns
    cdef bint _does_echo

    cpdef void start(self, int64_t now_ns) noexcept
    cdef void stop(self) noexcept
    cdef Beat _look(self, int64_t now_ns) noexcept
    cpdef bint echo(self, int64_t pinged_ns) noexcept

    cpdef void heard(self, int64_t now_ns) noexcept
    cpdef Beat beat(self, int64_t now_ns) noexcept
