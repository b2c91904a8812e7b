# cython: language_level=3, freethreading_compatible=True, cdivision=True
"""Caller to Vapi: continuous and live."""

from libc.stddef cimport size_t
from libc.stdint cimport INT64_MAX, INT64_MIN, int64_t, uint8_t
from libc.string cimport memset

from vapimedia.media._types import LivePolicy

from vapimedia.media.envelope cimport Envelope
from vapimedia.media.path cimport (
    NS_PER_MS, NS_PER_S, MediaPath, c_bool, vm_queue_oldest_ns, vm_queue_pop, vm_shed, vm_shed_frame)
from vapimedia.media.tap cimport Tap

__all__ = ["LivePath"]


cdef class LivePath(MediaPath):
    """Caller to Vapi: continuous and live. Holds frames until ``open``; then whole frames in real time."""

    def __init__(self, source, target, *, policy=LivePolicy(), Envelope unwrap=None, Envelope wrap=None,
                 int ptime_ms=20, str quality="balanced"):
        self._max_early_ns = max(self._ns(self._frame_bytes), policy.max_backlog_ms * <int64_t>NS_PER_MS)
        self._max_age_ns = max(self._ns(self._frame_bytes), policy.max_age_ms * <int64_t>NS_PER_MS)
        vm_live_init(&self._live, self._ns(self._frame_bytes), policy.gap_ms * <int64_t>NS_PER_MS,
                     policy.max_backlog_ms * <int64_t>NS_PER_MS, policy.paced)

    def open(self, int64_t now_ns):
        """The far side takes audio from now on: return what was held; silence runs from here."""
        if not self._live.is_open:
            vm_live_open(&self._live, self._ns(self._queue.n_bytes), now_ns)
        return self._collect(now_ns)

    def insert(self, bytes audio not None, int64_t now_ns):
        """Put whole samples of our own, in the source format, between the provider's; return what is due.

        The provider's silent frames are left out afterwards, until the stream is as live as before.
        """
        cdef size_t n_audio = <size_t>len(audio)
        cdef bint was_split = self._is_split
        cdef uint8_t half = 0
        cdef Tap tap = self._source_tap
        self._counters.source_bytes += n_audio
        if self._is_closed:
            self._counters.late_source_bytes += n_audio
            return []
        self._source_tap = None    # the caller did not say it
        vm_live_inserted(&self._live, <int64_t>n_audio * NS_PER_S // self._source_bytes_per_s)
        if was_split:
            # Each half of the provider's sample gets one of ours: whole samples before, between and after.
            self._counters.source_bytes += 2
            self._convert(&half, 1, now_ns)
        self._convert(<const uint8_t*><const char*>audio, n_audio, now_ns)
        self._own_end = self._queue.popped + self._queue.n_bytes
        if was_split:
            self._convert(&half, 1, now_ns)
        self._source_tap = tap
        return self._collect(now_ns)

    @property
    def tap(self):
        return self._source_tap

    @tap.setter
    def tap(self, Tap tap):
        self._source_tap = tap

    cpdef set_stalled(self, bint stalled):
        self._was_stalled = self._was_stalled or self._is_stalled
        self._is_stalled = stalled

    cdef void _arrived(self, size_t n_source, int64_t now_ns) noexcept:
        vm_live_arrived(&self._live, <int64_t>n_source * NS_PER_S // self._source_bytes_per_s, now_ns)

    cdef int64_t _expires_ns(self) noexcept:
        """Return until when all that waits may wait, while the far side takes nothing."""
        cdef int64_t queued_ns = self._ns(self._queue.n_bytes)
        cdef int64_t said_ns
        if self._queue.n_bytes == 0:
            return INT64_MAX
        if not self._live.is_open:
            return INT64_MAX if queued_ns <= self._max_early_ns else INT64_MIN
        if queued_ns > max(self._max_early_ns, self._max_age_ns):
            return INT64_MIN    # a flood
        if queued_ns + self._held_ns > self._max_age_ns:
            # It may have come in a burst and not be old: then the far side has only been given much at once.
            said_ns = vm_queue_oldest_ns(&self._queue) - self._ns(self._frame_bytes)
            return said_ns + self._max_age_ns - self._held_ns
        return vm_live_expires_ns(&self._live, queued_ns + self._held_ns, self._max_age_ns)

    cdef void _bound(self, int64_t now_ns) noexcept:
        """Drop what is too old while the far side takes nothing: silence, but none of our own, then the oldest."""
        cdef vm_shed shed
        cdef size_t n_own
        if self._live.is_open and not self._is_stalled:
            return
        while now_ns > self._expires_ns():
            n_own = self._own_end - self._queue.popped if self._own_end > self._queue.popped else 0
            shed = vm_shed_frame(&self._queue, self._encoding, self._frame_bytes, n_own, self._queue.n_bytes)
            if shed.at > 0:
                self._own_end += shed.n    # what stood before it moved up
            self._counters.unsent += shed.n

    cdef size_t _take(self, uint8_t* dst, int64_t now_ns) noexcept:
        cdef vm_live_verdict verdict
        cdef size_t n
        cdef c_bool is_own
        if not self._live.is_open:
            return 0
        if self._was_stalled:
            self._was_stalled = False
            vm_live_resume(&self._live, self._ns(self._queue.n_bytes), now_ns)
        while self._queue.n_bytes >= self._frame_bytes:
            is_own = self._queue.popped < self._own_end
            vm_queue_pop(&self._queue, dst, self._frame_bytes, &self._oldest_ns)
            verdict = vm_live_judge(&self._live, self._encoding, dst, self._frame_bytes, is_own, now_ns)
            if verdict == VM_LIVE_SEND:
                return self._frame_bytes
            if verdict == VM_LIVE_REPAY:
                self._counters.repaid += self._frame_bytes
            else:
                self._counters.flooded += self._frame_bytes
        if vm_live_silence_due(&self._live, self._ns(self._queue.n_bytes), now_ns):
            self._oldest_ns = INT64_MIN
            # What waits for the rest of its frame came before the pause.
            n = vm_queue_pop(&self._queue, dst, self._frame_bytes, &self._oldest_ns)
            memset(dst + n, self._silence_byte, self._frame_bytes - n)
            self._counters.inserted += self._frame_bytes - n
            return self._frame_bytes
        return 0

    cdef int64_t next_due(self) noexcept:
        cdef int64_t expires_ns
        cdef bint is_late
        if self._is_closed:
            return INT64_MAX
        if not self._is_stalled:
            # Whole frames are left only by a stall that has ended: they have waited for long enough.
            is_late = self._live.is_open and self._queue.n_bytes >= self._frame_bytes
            return 0 if is_late else vm_live_next_ns(&self._live)
        expires_ns = self._expires_ns()
        return expires_ns if expires_ns == INT64_MAX else expires_ns + 1
