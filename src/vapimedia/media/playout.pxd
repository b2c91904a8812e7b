from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

from vapimedia.media.path cimport MediaPath, c_bool
from vapimedia.media.tap cimport Tap

cdef extern from "playout.h" nogil:
    ctypedef struct vm_playout:
        int64_t frame_ns
        int64_t held_ns
        int64_t sent_ns
        int64_t dry_ns
        uint64_t generation
        uint64_t gaps
        int64_t gap_ns
        bint is_open
        bint ending
        bint beginning
        int64_t excess_ns
    void vm_playout_init(vm_playout* playout, int64_t lead_ns, int64_t prebuffer_ns, int64_t step_ns,
                         c_bool exact_frames, int64_t max_late_ns) noexcept
    void vm_playout_open(vm_playout* playout, int64_t now_ns) noexcept
    void vm_playout_arrived(vm_playout* playout, int64_t chunk_ns, int64_t queued_ns,
                            int64_t now_ns) noexcept
    int64_t vm_playout_allow(const vm_playout* playout, int64_t queued_ns, int64_t max_ns, int64_t now_ns,
                             c_bool* pad) noexcept
    void vm_playout_sent(vm_playout* playout, int64_t duration_ns, int64_t now_ns) noexcept
    int64_t vm_playout_next_ns(const vm_playout* playout, int64_t queued_ns) noexcept
    bint vm_playout_is_catching_up(const vm_playout* playout, int64_t now_ns) noexcept
    void vm_playout_left_out(vm_playout* playout, int64_t duration_ns) noexcept
    int64_t vm_playout_due_ns(const vm_playout* playout) noexcept
    int64_t vm_playout_expires_ns(const vm_playout* playout) noexcept
    void vm_playout_skipped(vm_playout* playout, int64_t duration_ns) noexcept
    int64_t vm_playout_ahead_ns(const vm_playout* playout, int64_t now_ns) noexcept
    int64_t vm_playout_heard_ns(const vm_playout* playout, int64_t now_ns) noexcept
    int64_t vm_playout_clear(vm_playout* playout, int64_t now_ns) noexcept
    bint vm_playout_mark(vm_playout* playout, uint64_t generation, int64_t position_ns,
                         int64_t now_ns) noexcept


cdef class PlayoutPath(MediaPath):
    cdef public Tap tap    # gets what goes out; None, as a rule: nobody records it
    cdef vm_playout _playout
    cdef size_t _max_queued
    cdef size_t _max_early
    cdef size_t _exact_bytes    # what the audio of every message must be; 0: any size

    cdef size_t _leave_out_silence(self, int64_t now_ns) noexcept
    cdef size_t _bytes_of(self, int64_t ms) noexcept
