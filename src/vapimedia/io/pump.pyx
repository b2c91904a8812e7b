# cython: language_level=3
"""One timer for all calls of a worker."""

import logging

from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from vapimedia.io.clock cimport monotonic_ns
from vapimedia.io.lane cimport Reactor
from vapimedia.io.media_socket cimport MediaSocket
from vapimedia.media.tally cimport Tally

__all__ = ["Pump", "now_ns"]

_log = logging.getLogger("vapimedia.io")

cdef enum:
    TICK_NS = 10000000
    LATE_TICK_NS = 15000000


def now_ns():
    return monotonic_ns()


cdef class Pump:
    cdef readonly Reactor reactor
    cdef object _loop
    cdef object _timer
    cdef list _driven
    cdef int64_t _due_ns
    cdef bint _has_waited
    cdef readonly Tally lag

    def __init__(self, loop):
        self._loop = loop
        self.reactor = Reactor(loop)
        self._driven = []
        self.lag = Tally()

    @property
    def n_driven(self):
        return len(self._driven)

    def add(self, MediaSocket receiver not None, deadline):
        receiver._deadline = deadline
        self._driven.append(receiver)
        if self._timer is None:
            self._due_ns = monotonic_ns() + TICK_NS
            self._schedule()

    def set_deadline(self, MediaSocket receiver not None, at_ns):
        receiver._deadline_ns = INT64_MAX if at_ns is None else at_ns

    def remove(self, MediaSocket receiver not None):
        receiver._deadline = None
        receiver._deadline_ns = INT64_MAX
        if receiver in self._driven:
            self._driven.remove(receiver)

    def close(self):
        self._driven.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.reactor.close()

    cdef _schedule(self):
        cdef int64_t wait_ns = self._due_ns - monotonic_ns()
        self._timer = self._loop.call_later(wait_ns / 1e9 if wait_ns > 0 else 0.0, self._tick)

    def _tick(self):
        cdef int64_t now = monotonic_ns()
        cdef int64_t late_ns = now - self._due_ns
        cdef MediaSocket receiver
        if late_ns > LATE_TICK_NS and not self._has_waited:
            # We were held up: what the sockets received meanwhile comes first. Not call_soon: uvloop runs that
            # before it polls.
            self._has_waited = True
            self._timer = self._loop.call_later(0.001, self._tick)
            return
        self._has_waited = False
        self.reactor.poll()    # what has come in is older than this tick
        self.lag.note(<uint64_t>late_ns if late_ns > 0 else 0)
        for receiver in list(self._driven):
            # One call's fault must not stop the timer of all.
            try:
                if receiver._inbound is not None and receiver._inbound.next_due() <= now:
                    receiver.forward(now)
                receiver.watch(now)
            except Exception:
                _log.exception("media of the %s leg failed", receiver.name)
                receiver.close(1011)    # as picows does when the fault shows as a message arrives
            try:
                if receiver._deadline_ns <= now and receiver._deadline is not None:
                    receiver._deadline_ns = INT64_MAX
                    receiver._deadline(now)
            except Exception:
                _log.exception("a deadline of the %s leg failed", receiver.name)
        # An absolute grid: being late once does not move what follows; ticks that were missed whole are left out.
        self._due_ns += TICK_NS * max(1, (now - self._due_ns) // TICK_NS + 1)
        if self._driven:
            self._schedule()
        else:
            self._timer = None
