# cython: language_level=3, freethreading_compatible=True
"""Caller to Vapi: continuous and live."""

from libc.stddef cimport size_t
from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.string cimport memset

from vapimedia.media._types import LivePolicy

from vapimedia.media.envelope cimport Envelope
from vapimedia.media.path cimport NS_PER_MS, NS_PER_S, MediaPath, vm_queue_pop

__all__ = ["LivePath"]


cdef class LivePath(MediaPath):
    def __init__(self, source, target, *, policy=LivePolicy(), Envelope unwrap=None, Envelope wrap=None,
                 int ptime_ms=20, str quality="balanced"):
        self._max_held = self._bytes_of(policy.max_backlog_ms)
        self._max_stalled = self._bytes_of(policy.max_age_ms)
        # Without pacing no pause is ever long enough to be filled: an hour stands for never.
        vm_live_init(
            &self._live, self._ns(self._frame_bytes),
            (policy.gap_ms if policy.paced else 3600_000) * <int64_t>NS_PER_MS,
            policy.max_backlog_ms * <int64_t>NS_PER_MS if policy.paced else INT64_MAX)

    def _bytes_of(self, int64_t ms):
        return max(self._frame_bytes, <size_t>(ms * self._target_bytes_per_s // 1000))

    def open(self, int64_t now_ns):
        if not self._live.is_open:
            vm_live_open(&self._live, now_ns)
        return self._collect(now_ns)

    cdef void _arrived(self, size_t n_source, int64_t now_ns) noexcept:
        vm_live_arrived(&self._live, <int64_t>n_source * NS_PER_S // self._source_bytes_per_s, now_ns)

    cdef bint _admit(self, size_t n_converted) noexcept:
        cdef size_t most
        cdef int64_t ignored = 0
        if self._live.is_open and not self._is_stalled:
            return True
        most = self._max_stalled if self._live.is_open else self._max_held
        while self._queue.n_bytes + n_converted > most and self._queue.n_bytes >= self._frame_bytes:
            self._counters.unsent += vm_queue_pop(&self._queue, NULL, self._frame_bytes, &ignored)
        return True

    cdef size_t _take(self, uint8_t* dst, int64_t now_ns) noexcept:
        cdef vm_live_verdict verdict
        if not self._live.is_open:
            return 0
        while self._queue.n_bytes >= self._frame_bytes:
            vm_queue_pop(&self._queue, dst, self._frame_bytes, &self._oldest_ns)
            verdict = vm_live_judge(&self._live, vm_live_is_silent(self._encoding, dst, self._frame_bytes), now_ns)
            if verdict == VM_LIVE_SEND:
                return self._frame_bytes
            if verdict == VM_LIVE_REPAY:
                self._counters.repaid += self._frame_bytes
            else:
                self._counters.flooded += self._frame_bytes
        if vm_live_silence_due(&self._live, now_ns):
            memset(dst, self._silence_byte, self._frame_bytes)
            self._counters.inserted += self._frame_bytes
            return self._frame_bytes
        return 0

    cdef int64_t next_due(self) noexcept:
        return vm_live_next_ns(&self._live)
