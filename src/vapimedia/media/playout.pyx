# cython: language_level=3, freethreading_compatible=True, cdivision=True
"""Vapi to caller: a queue with a ledger of what the caller has heard."""

from libc.stddef cimport size_t
from libc.stdint cimport INT64_MAX, int64_t, uint8_t
from libc.string cimport memset

from vapimedia.media._types import PlayoutPolicy

from vapimedia.media.envelope cimport Envelope
from vapimedia.media.path cimport (
    NS_PER_MS, NS_PER_S, MediaPath, to_ms, vm_queue_pop, vm_shed_before_silence, vm_shed_frame)
from vapimedia.media.tap cimport VM_TAP_BEGINS, VM_TAP_CUT, VM_TAP_GOES_ON

__all__ = ["PlayoutPath"]

cdef enum:
    ANY_SIZE_FRAMES = 5    # frames in one message at most where any size goes: 100 ms

cdef double MAX_POSITION_MS = 1e12    # as ns within 64 bits


cdef void sent_to_tap(PlayoutPath path, size_t n, int64_t now_ns) noexcept:
    """Send it, and have it recorded for when it is due to be heard."""
    cdef bint is_dry = path._playout.dry_ns < now_ns + path._playout.held_ns
    vm_playout_sent(&path._playout, path._ns(n), now_ns)
    path.tap.put(VM_TAP_BEGINS if is_dry else VM_TAP_GOES_ON, path._audio, n, path._playout.dry_ns - path._ns(n))


cdef inline bint leaves(PlayoutPath path, size_t n, int64_t now_ns) noexcept:
    # No message of a wrong size gets here. If one ever did, to lose it would be better than to lose the leg.
    if n != path._exact_bytes and path._exact_bytes != 0:
        path._counters.wrong_size += 1
        path._counters.misfit += n
        return False
    if path.tap is not None:
        sent_to_tap(path, n, now_ns)
        return True
    vm_playout_sent(&path._playout, path._ns(n), now_ns)
    return True


cdef class PlayoutPath(MediaPath):
    """Vapi to caller: a queue with a ledger of what the caller has heard. Holds audio until ``open``."""

    def __init__(self, source, target, *, policy=PlayoutPolicy(), Envelope unwrap=None, Envelope wrap=None,
                 int ptime_ms=20, str quality="balanced"):
        self._max_queued = self._bytes_of(policy.max_playout_ms)
        self._max_early = self._bytes_of(policy.early_ms)
        vm_playout_init(
            &self._playout, policy.lead_ms * <int64_t>NS_PER_MS if policy.paced else INT64_MAX,
            policy.prebuffer_ms * <int64_t>NS_PER_MS if policy.paced else 0,
            self._ns(self._frame_bytes), policy.exact_frames,
            policy.max_late_ms * <int64_t>NS_PER_MS if policy.paced else INT64_MAX)
        if policy.exact_frames:
            self._exact_bytes = self._frame_bytes
        else:
            self._size_messages(ANY_SIZE_FRAMES)

    cdef size_t _bytes_of(self, int64_t ms) noexcept:
        return <size_t>(ms * self._target_bytes_per_s // 1000) // self._sample_bytes * self._sample_bytes

    def open(self, int64_t now_ns):
        """The provider takes audio from now on (``wrap`` is set): return what is due."""
        if not self._playout.is_open:
            vm_playout_open(&self._playout, now_ns)
        return self._collect(now_ns)

    def speech_started(self):
        """The assistant begins a turn: half a sample that is left of the last one is given up."""
        self._playout.beginning = True
        self._realign()

    def speech_ended(self, int64_t now_ns):
        """The assistant has finished: return the remainder, padded where frames must be exact."""
        self._playout.ending = True
        return self._collect(now_ns)

    cdef size_t _admit(self, size_t n_converted) noexcept:
        cdef size_t most = self._max_queued if self._playout.is_open else self._max_early
        cdef size_t room = most - self._queue.n_bytes if most > self._queue.n_bytes else 0
        return min(n_converted, room)

    cdef void _arrived(self, size_t n_source, int64_t now_ns) noexcept:
        vm_playout_arrived(&self._playout, <int64_t>n_source * NS_PER_S // self._source_bytes_per_s,
                           self._ns(self._queue.n_bytes), now_ns)

    cdef void _bound(self, int64_t now_ns) noexcept:
        """Drop what is due for too long while the far side takes nothing: silence first, then the oldest."""
        cdef size_t n
        cdef int64_t late_ns
        if not self._is_stalled:
            return
        while self._queue.n_bytes > 0 and now_ns > vm_playout_expires_ns(&self._playout):
            late_ns = now_ns - vm_playout_due_ns(&self._playout)
            n = vm_shed_frame(&self._queue, self._encoding, self._frame_bytes, 0,
                              <size_t>(late_ns * self._target_bytes_per_s // NS_PER_S)).n
            self._counters.late += n
            vm_playout_skipped(&self._playout, self._ns(n))

    cdef size_t _leave_out_silence(self, int64_t now_ns) noexcept:
        """Leave silent frames at the head out. Return how much stands before the next, or fills a message."""
        cdef int64_t ignored = 0
        cdef size_t n
        while vm_playout_is_catching_up(&self._playout, now_ns):
            n = vm_shed_before_silence(&self._queue, self._encoding, self._frame_bytes, self._n_message)
            if n > 0:
                return n
            vm_queue_pop(&self._queue, NULL, self._frame_bytes, &ignored)
            vm_playout_left_out(&self._playout, self._ns(self._frame_bytes))
            self._counters.caught_up += self._frame_bytes
        return self._n_message

    cdef size_t _take(self, uint8_t* dst, int64_t now_ns) noexcept:
        cdef c_bool pad = False
        cdef size_t most = self._n_message
        if self._playout.excess_ns > 0 and self._queue.n_bytes > 0:
            most = self._leave_out_silence(now_ns)
        cdef int64_t queued_ns = self._ns(self._queue.n_bytes)
        cdef int64_t allowed_ns = vm_playout_allow(
            &self._playout, queued_ns, self._ns(most), now_ns, &pad)
        cdef size_t n = self._queue.n_bytes
        if allowed_ns == 0:
            return 0
        if allowed_ns < queued_ns:
            n = <size_t>(allowed_ns * self._target_bytes_per_s // NS_PER_S)
            n -= n % self._sample_bytes
        n = vm_queue_pop(&self._queue, dst, min(n, most), &self._oldest_ns)
        if pad:
            memset(dst + n, self._silence_byte, self._frame_bytes - n)
            self._counters.inserted += self._frame_bytes - n
            n = self._frame_bytes
        return n if leaves(self, n, now_ns) else 0

    cdef bint _leaves(self, size_t n, int64_t now_ns) noexcept:
        return leaves(self, n, now_ns)

    cdef int64_t next_due(self) noexcept:
        cdef int64_t expires_ns
        if self._is_closed:
            return INT64_MAX
        if self._is_stalled:
            expires_ns = INT64_MAX if self._queue.n_bytes == 0 else vm_playout_expires_ns(&self._playout)
            return expires_ns if expires_ns == INT64_MAX else expires_ns + 1
        return vm_playout_next_ns(&self._playout, self._ns(self._queue.n_bytes))

    cpdef set_backlog(self, size_t n_bytes):
        MediaPath.set_backlog(self, n_bytes)
        self._playout.held_ns = self._held_ns

    def clear(self, int64_t now_ns=0):
        cdef int64_t dropped_ns = vm_playout_clear(&self._playout, now_ns)
        self._counters.cleared_unplayed_ns += dropped_ns
        if self.tap is not None:
            self.tap.put(VM_TAP_CUT, NULL, 0, self._playout.dry_ns)    # the clear's own time
        return to_ms(dropped_ns) + MediaPath.clear(self, now_ns)

    @property
    def sent_ms(self):
        """Audio sent since the start; a mark sent now stands for this position."""
        return to_ms(self._playout.sent_ns)

    @property
    def generation(self):
        """Counts clears. Marks carry it, so that a mark returned by a clear is not taken for playout."""
        return self._playout.generation

    @property
    def unsent_ms(self):
        """The part of ``queued_ms`` that is still ours: paced, or the provider does not read."""
        return to_ms(self._ns(self._queue.n_bytes))

    def queued_ms(self, int64_t now_ns):
        return to_ms(vm_playout_ahead_ns(&self._playout, now_ns) + self._ns(self._queue.n_bytes))

    def heard_ms(self, int64_t now_ns):
        return to_ms(vm_playout_heard_ns(&self._playout, now_ns))

    def message_ms(self, bytes message not None):
        """Return how much audio *message*, one that the path gave out, holds."""
        cdef size_t n = <size_t>len(message)
        cdef size_t n_around = self._wrap.c.n_prefix + self._wrap.c.n_suffix
        cdef const char* text = <const char*>message + self._wrap.c.n_prefix
        if self._wrap.c.is_text:
            n = n - n_around if n > n_around else 0
            if n >= 4:
                n = n // 4 * 3 - (text[n - 1] == b"=") - (text[n - 2] == b"=")    # padding, RFC 4648 s. 4
        return to_ms(self._ns(n))

    def mark_played(self, generation, double position_ms, int64_t now_ns):
        """The provider has played up to *position_ms*. Return whether the mark was of the live generation."""
        # Both come from the wire: they may be any number.
        if generation != self._playout.generation or not 0 <= position_ms <= MAX_POSITION_MS:
            return False
        return bool(vm_playout_mark(
            &self._playout, self._playout.generation, <int64_t>(position_ms * NS_PER_MS), now_ns))

    def stats(self, int64_t now_ns=0):
        self._counters.gaps = self._playout.gaps
        self._counters.gap_ns = self._playout.gap_ns
        return self._stats(vm_playout_ahead_ns(&self._playout, now_ns) + self._ns(self._queue.n_bytes),
                           vm_playout_heard_ns(&self._playout, now_ns))
