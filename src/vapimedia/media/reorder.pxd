from libc.stdint cimport int64_t, uint64_t

from vapimedia.media.live cimport LivePath
from vapimedia.media.path cimport vm_queue, vm_queue_pool

cdef extern from "reorder.h" nogil:
    ctypedef enum vm_reorder_verdict:
        VM_REORDER_NEXT
        VM_REORDER_WAIT
        VM_REORDER_DUPLICATE
        VM_REORDER_LATE
        VM_REORDER_FULL
        VM_REORDER_ANEW
    ctypedef struct vm_reorder:
        unsigned int n_waiting
    void vm_reorder_init(vm_reorder* reorder, vm_queue_pool* pool) noexcept
    void vm_reorder_free(vm_reorder* reorder) noexcept
    vm_reorder_verdict vm_reorder_judge(vm_reorder* reorder, int64_t number, vm_queue** audio) noexcept
    vm_queue* vm_reorder_pop(vm_reorder* reorder) noexcept
    void vm_reorder_skip(vm_reorder* reorder) noexcept
    void vm_reorder_restart(vm_reorder* reorder) noexcept


cdef class ReorderPath(LivePath):
    cdef vm_reorder _order
    cdef int64_t _newest    # number that has come
    cdef uint64_t _duplicates
    cdef uint64_t _reordered
    cdef uint64_t _disordered_source_bytes    # came too late

    cdef bint _push_numbered(self, int64_t number, const char* text, size_t n, int64_t now_ns) noexcept
    cdef void _hold(self, vm_queue* audio, const char* text, size_t n, int64_t now_ns) noexcept
    cdef void _release(self, int64_t now_ns) noexcept
    cdef void _release_all(self, int64_t now_ns) noexcept
