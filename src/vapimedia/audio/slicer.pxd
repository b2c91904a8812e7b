from libc.stdint cimport uint8_t

cdef extern from "slicer.h":
    ctypedef struct vm_slicer:
        size_t frame_bytes
        size_t n_pending
        uint8_t *pending
    void vm_slicer_init(vm_slicer *slicer, uint8_t *room, size_t frame_bytes) noexcept nogil
    size_t vm_slicer_count(const vm_slicer *slicer, size_t n) noexcept nogil
    size_t vm_slicer_fill(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n) noexcept nogil
    void vm_slicer_keep(vm_slicer *slicer, const uint8_t *src, size_t n) noexcept nogil
    size_t vm_slicer_push(vm_slicer *slicer, uint8_t *dst, const uint8_t *src, size_t n) noexcept nogil
    size_t vm_slicer_flush(
        vm_slicer *slicer, uint8_t *dst, const uint8_t *silence, size_t n_silence
    ) noexcept nogil


cdef class FrameSlicer:
    cdef vm_slicer slicer
    cdef bytes silence
    cdef readonly Py_ssize_t frame_bytes

    # For other Cython code: `out` has room for count_frames(n_bytes) frames; returns the bytes written.
    cdef size_t count_frames(self, size_t n_bytes) noexcept nogil
    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil

    cdef bytes take_straddling(self, const uint8_t *data, size_t n_bytes, size_t *n_taken)
