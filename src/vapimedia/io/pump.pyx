# cython: language_level=3
"""One timer for all calls of a worker."""


from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from vapimedia.io.clock cimport monotonic_ns
from vapimedia.io.lane cimport Reactor
from vapimedia.io.media_socket cimport MediaSocket
from vapimedia.media.tally cimport VM_HISTOGRAM_BUCKETS, Tally, vm_histogram_bucket, vm_histogram_middle

__all__ = ["Pump", "now_ns"]


cdef enum:
    TICK_NS = 10000000
    WATCH_TICKS = 4    # between two looks at what changes slowly
    ADAPT_TICKS = 10
    LATE_TICK_NS = 15000000
    SAMPLE_NS = 1000000000


def now_ns():
    return monotonic_ns()


cdef class Pump:
    cdef readonly Reactor reactor
    cdef object _loop
    cdef object _timer
    cdef list _driven
    cdef int64_t _due_ns
    cdef bint _has_waited
    cdef int64_t _n_ticks
    cdef int64_t _adapted_ns
    cdef readonly Tally lag
    cdef int64_t _lag_at_ns[VM_HISTOGRAM_BUCKETS]    # when each bucket was last hit
    cdef readonly dict backlogs

    def __init__(self, loop):
        self._loop = loop
        self.reactor = Reactor(loop)
        self._driven = []
        self.lag = Tally()
        self.backlogs = {(leg, where): Tally() for leg in ("provider", "vapi") for where in ("user", "kernel")}

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

    def worst_lag_ns(self, int64_t since_ns):
        cdef int bucket
        for bucket in range(<int>VM_HISTOGRAM_BUCKETS - 1, -1, -1):
            if self._lag_at_ns[bucket] >= since_ns and self._lag_at_ns[bucket] > 0:
                return vm_histogram_middle(bucket)
        return 0

    cdef void _note_lag(self, int64_t late_ns, int64_t now) noexcept:
        late_ns = max(late_ns, 0)
        self.lag.note(<uint64_t>late_ns)
        self._lag_at_ns[vm_histogram_bucket(<uint64_t>late_ns)] = now

    cdef void _sample(self, MediaSocket socket, int64_t now):
        socket.sample(now)
        if socket._is_open():
            (<Tally>self.backlogs[socket.name, "user"]).note(<uint64_t>socket.held_bytes << 10)
            (<Tally>self.backlogs[socket.name, "kernel"]).note(<uint64_t>socket.unsent_bytes << 10)

    cdef _schedule(self):
        cdef int64_t wait_ns = self._due_ns - monotonic_ns()
        self._timer = self._loop.call_later(wait_ns / 1e9 if wait_ns > 0 else 0.0, self._tick)

    def _tick(self):
        cdef int64_t now = monotonic_ns()
        cdef int64_t late_ns = now - self._due_ns
        cdef MediaSocket receiver
        cdef bint is_watch
        if late_ns > LATE_TICK_NS and not self._has_waited:
            # We were held up: what the sockets received meanwhile comes first. Not call_soon: uvloop runs that
            # before it polls.
            self._has_waited = True
            self._timer = self._loop.call_later(0.001, self._tick)
            return
        self._has_waited = False
        self.reactor.poll()    # what has come in is older than this tick
        self._n_ticks += 1
        if self._n_ticks % ADAPT_TICKS == 0:
            self.reactor.adapt(now - self._adapted_ns)
            self._adapted_ns = now
        self._note_lag(late_ns, now)
        is_watch = self._n_ticks % WATCH_TICKS == 0
        for receiver in list(self._driven):
            # One call's fault must not stop the timer of all.
            try:
                if receiver._inbound is not None and receiver._inbound.next_due() <= now:
                    receiver.forward(now)
                if is_watch or receiver._is_stalled:
                    receiver.watch(now)
                if now - receiver._sampled_ns >= SAMPLE_NS:
                    self._sample(receiver, now)
            except Exception as error:
                receiver.log.broke("media_failed", error)
                receiver.close(1011)    # as picows does when the fault shows as a message arrives
            try:
                if receiver._deadline_ns <= now and receiver._deadline is not None:
                    receiver._deadline_ns = INT64_MAX
                    receiver._deadline(now)
            except Exception as error:
                receiver.log.broke("deadline_failed", error)
        # An absolute grid: being late once does not move what follows; ticks that were missed whole are left out.
        self._due_ns += TICK_NS * max(1, (now - self._due_ns) // TICK_NS + 1)
        if self._driven:
            self._schedule()
        else:
            self._timer = None
            self.reactor.adapt(INT64_MAX)    # calm, until there are calls again
