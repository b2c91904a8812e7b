from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint64_t

from vapimedia.media.path cimport MediaPath, c_bool, vm_encoding

cdef extern from "live.h" nogil:
    ctypedef enum vm_live_verdict:
        VM_LIVE_SEND
        VM_LIVE_REPAY
        VM_LIVE_FLOOD
    ctypedef struct vm_live:
        bint is_open
    void vm_live_init(vm_live* live, int64_t frame_ns, int64_t min_gap_ns, int64_t max_ahead_ns,
                      c_bool is_paced) noexcept
    void vm_live_open(vm_live* live, int64_t held_ns, int64_t now_ns) noexcept
    void vm_live_resume(vm_live* live, int64_t held_ns, int64_t now_ns) noexcept
    void vm_live_arrived(vm_live* live, int64_t chunk_ns, int64_t now_ns) noexcept
    void vm_live_inserted(vm_live* live, int64_t duration_ns) noexcept
    vm_live_verdict vm_live_judge(vm_live* live, vm_encoding encoding, const uint8_t* frame, size_t n,
                                  c_bool is_own, int64_t now_ns) noexcept
    bint vm_live_silence_due(vm_live* live, int64_t held_ns, int64_t now_ns) noexcept
    int64_t vm_live_expires_ns(const vm_live* live, int64_t waiting_ns, int64_t max_age_ns) noexcept
    int64_t vm_live_next_ns(const vm_live* live) noexcept


cdef class LivePath(MediaPath):
    cdef vm_live _live
    cdef int64_t _max_early_ns
    cdef int64_t _max_age_ns
    cdef bint _was_stalled
    cdef uint64_t _own_end    # position in the queue's stream where audio of our own ends

    cdef int64_t _expires_ns(self) noexcept
