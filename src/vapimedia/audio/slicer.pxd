from libc.stdint cimport uint8_t

cdef extern from "slicer.h":
    ctypedef struct vm_slicer:
        size_t frame_bytes
        size_t n_pending
        uint8_t *room
    ctypedef struct vm_slicer_frames:
        const uint8_t *straddling
        const uint8_t *whole
        size_t n_whole
    void vm_slicer_init(vm_slicer *slicer, uint8_t *room, size_t frame_bytes) noexcept nogil
    size_t vm_slicer_count(const vm_slicer *slicer, size_t n) noexcept nogil
    void vm_slicer_views(
        vm_slicer *slicer, vm_slicer_frames *frames, const uint8_t *chunk, size_t n
    ) noexcept nogil
    size_t vm_slicer_push(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n) noexcept nogil
    size_t vm_slicer_flush(
        vm_slicer *slicer, uint8_t *dst, const uint8_t *silence, size_t n_silence
    ) noexcept nogil


cdef class FrameSlicer:
    cdef vm_slicer slicer
    cdef bytes silence
    cdef readonly Py_ssize_t frame_bytes

    # For other Cython code, one thread at a time. `out` has room for count_frames(n_bytes) frames; push_bytes returns
    # the bytes written. view_frames copies nothing but a straddling frame and the remainder: its frames are valid
    # until the next call, and while the chunk is.
    cdef size_t count_frames(self, size_t n_bytes) noexcept nogil
    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil
    cdef void view_frames(self, vm_slicer_frames *frames, const uint8_t *chunk, size_t n_bytes) noexcept nogil
