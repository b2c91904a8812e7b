import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t

from vapimedia.audio.buffer cimport Chunk, check_room, close_chunk, open_mono, open_output

cdef extern from "fir.h":
    ctypedef enum vm_fir_quality:
        VM_FIR_TELEPHONE
        VM_FIR_BALANCED
        VM_FIR_HIGH

cdef extern from "convert.h":
    ctypedef enum vm_encoding:
        VM_MULAW
        VM_ALAW
        VM_PCM_S16LE
    ctypedef struct vm_converter:
        pass
    vm_converter *vm_converter_new(
        vm_encoding from_, uint32_t from_hz, vm_encoding to, uint32_t to_hz, vm_fir_quality quality
    ) noexcept nogil
    void vm_converter_free(vm_converter *converter) noexcept nogil
    size_t vm_converter_count(const vm_converter *converter, size_t n) noexcept nogil
    size_t vm_converter_max_output(const vm_converter *converter, size_t n) noexcept nogil
    size_t vm_converter_max_flush(const vm_converter *converter) noexcept nogil
    size_t vm_converter_push(
        vm_converter *converter, uint8_t *dst, const uint8_t *src, size_t n
    ) noexcept nogil
    size_t vm_converter_flush(vm_converter *converter, uint8_t *dst) noexcept nogil
    void vm_converter_reset(vm_converter *converter) noexcept nogil
    uint32_t vm_converter_latency(const vm_converter *converter) noexcept nogil
    size_t vm_converter_state_bytes(const vm_converter *converter) noexcept nogil


cdef vm_encoding encoding_code(object encoding) except *
cdef vm_fir_quality quality_code(object quality) except *


cdef enum State:
    EMPTY  # by itself a Stream has no converter
    READY
    FLUSHED
    BUSY  # another thread is inside, without Python's lock


cdef class Stream:
    cdef vm_converter *converter
    cdef State state
    cdef Py_ssize_t source_bytes, target_bytes  # of a sample
    cdef bint has_long_tail  # a flush is bulk
    cdef size_t n_bulk  # bytes of a chunk; from here on, other threads may run meanwhile
    cdef uint32_t target_hz

    cdef int open(
        self, vm_encoding source, uint32_t source_hz, vm_encoding target, uint32_t target_hz, object quality
    ) except -1
    cdef size_t bound(self, object n_items, size_t n_bytes) except? <size_t>-1
    cdef int refuse(self) except -1
    cdef vm_converter *opened(self) except NULL


# Methods of the classes themselves call these: Python calls inherited methods more slowly.

cdef inline void run(Stream stream, uint8_t *out, const Chunk *given) noexcept:
    if given.n_bytes < stream.n_bulk:
        vm_converter_push(stream.converter, out, given.data, given.n_bytes)
    else:
        stream.state = BUSY
        with nogil:
            vm_converter_push(stream.converter, out, given.data, given.n_bytes)
        stream.state = READY


cdef inline bytes push_chunk(Stream stream, object chunk):
    """Take *chunk*; return what it becomes."""
    cdef Chunk given
    with cython.critical_section(stream):
        open_mono(&given, chunk, stream.source_bytes)
        try:
            if stream.state != READY:
                stream.refuse()
            out = PyBytes_FromStringAndSize(
                NULL, <Py_ssize_t>vm_converter_count(stream.converter, given.n_bytes)
            )
            run(stream, <uint8_t *>PyBytes_AS_STRING(out), &given)
        finally:
            close_chunk(&given)
        return out


cdef inline size_t push_chunk_into(Stream stream, object chunk, object out) except? <size_t>-1:
    """Take *chunk*; return the bytes written to *out*, or take nothing when it is too small."""
    cdef Chunk given, target
    cdef size_t n_out
    with cython.critical_section(stream):
        open_mono(&given, chunk, stream.source_bytes)
        try:
            open_output(&target, out, stream.target_bytes)
            try:
                if stream.state != READY:
                    stream.refuse()
                n_out = vm_converter_count(stream.converter, given.n_bytes)
                check_room(&target, n_out)
                run(stream, target.data, &given)
            finally:
                close_chunk(&target)
        finally:
            close_chunk(&given)
        return n_out
