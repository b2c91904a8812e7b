# cython: language_level=3, freethreading_compatible=True, cdivision=True
"""Whether a peer is there, and whether it reads."""

from libc.stdint cimport INT64_MAX, int64_t

__all__ = ["Beat", "Heartbeat"]

cdef int64_t ECHO_EVERY_NS = 2000000000
cdef int64_t ECHO_LATE_NS = 1000000000
cdef int64_t LOOK_NS = 100000000


cdef class Heartbeat:
    def __cinit__(self, double interval_s):
        self._interval_ns = <int64_t>(interval_s * 1e9)
        self._look_ns = INT64_MAX

    cpdef void start(self, int64_t now_ns) noexcept:
        self._heard_ns = now_ns
        self._look_ns = now_ns if self._interval_ns > 0 else INT64_MAX

    cdef void stop(self) noexcept:
        self._look_ns = INT64_MAX

    cpdef void heard(self, int64_t now_ns) noexcept:
        """Note that something came from the peer."""
        self._heard_ns = now_ns

    cpdef Beat beat(self, int64_t now_ns) noexcept:
        """Return what is to be done now. Cheap to ask."""
        return BEAT_NONE if now_ns < self._look_ns else self._look(now_ns)

    cdef Beat _look(self, int64_t now_ns) noexcept:
        cdef int64_t silent_ns = now_ns - self._heard_ns
        cdef int64_t look_ns = min(LOOK_NS, self._interval_ns // 32)
        self._look_ns = now_ns + look_ns
        if self.pinged_ns == 0:
            if silent_ns < self._interval_ns * 2 // 3 and now_ns < self._echo_due_ns:
                return BEAT_NONE
            self.pinged_ns = now_ns
            self._echo_due_ns = now_ns + ECHO_EVERY_NS
            return BEAT_PING
        if silent_ns >= self._interval_ns - 2 * look_ns:    # the next look may come after the interval
            self._look_ns = INT64_MAX
            return BEAT_GONE
        if self._does_echo and not self.is_late and now_ns - self.pinged_ns >= ECHO_LATE_NS:
            self.is_late = True
            return BEAT_LATE
        return BEAT_NONE

    cpdef bint echo(self, int64_t pinged_ns) noexcept:
        """Take a pong. Return whether the peer reads again that did not."""
        cdef bint was_late = self.is_late
        if pinged_ns == 0 or pinged_ns != self.pinged_ns:
            return False    # RFC 6455 s. 5.5.3: nobody asked
        self.pinged_ns = 0
        self._does_echo = True
        self.is_late = False
        return was_late
