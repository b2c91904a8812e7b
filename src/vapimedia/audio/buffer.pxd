"""Reading and writing other objects' memory at the cost of a frame, not of a typed memoryview."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

cdef enum:
    BULK_SAMPLES = 16384  # from about 10 us of work on, other threads may run meanwhile


cdef struct Chunk:
    uint8_t *data
    size_t n_bytes
    bint held  # `view` must be released
    Py_buffer view


cdef inline int open_chunk(Chunk *chunk, object source, Py_ssize_t max_itemsize) except -1:
    """Borrow *source* for reading until ``close_chunk``; refuse arrays of wider items than *max_itemsize*."""
    if PyBytes_CheckExact(source):
        chunk.data = <uint8_t *>PyBytes_AS_STRING(source)
        chunk.n_bytes = <size_t>PyBytes_GET_SIZE(source)
        chunk.held = False
        return 0
    PyObject_GetBuffer(source, &chunk.view, PyBUF_SIMPLE)
    if chunk.view.itemsize > max_itemsize:
        itemsize = chunk.view.itemsize
        PyBuffer_Release(&chunk.view)
        raise TypeError(
            f"got an array of {itemsize}-byte items, need at most {max_itemsize}; convert it with astype"
        )
    chunk.data = <uint8_t *>chunk.view.buf
    chunk.n_bytes = <size_t>chunk.view.len
    chunk.held = True
    return 0


cdef inline void close_chunk(Chunk *chunk) noexcept:
    if chunk.held:
        PyBuffer_Release(&chunk.view)


cdef inline size_t open_samples(Chunk *chunk, object source, size_t n_bytes) except? <size_t>-1:
    """Do as ``open_chunk`` does for samples of *n_bytes* each; return how many."""
    open_chunk(chunk, source, <Py_ssize_t>n_bytes)
    if chunk.n_bytes % n_bytes:
        n_given = chunk.n_bytes
        close_chunk(chunk)
        raise ValueError(f"{n_given} bytes are not whole 16-bit samples; Converter carries a split sample")
    return chunk.n_bytes // n_bytes


cdef inline int open_output(Chunk *chunk, object target) except -1:
    """Borrow *target* for writing until ``close_chunk``."""
    try:
        PyObject_GetBuffer(target, &chunk.view, PyBUF_WRITABLE)
    except (BufferError, ValueError) as error:
        raise TypeError(
            f"cannot write into {type(target).__name__}: {error}; pass a bytearray or a writable array"
        ) from None
    chunk.data = <uint8_t *>chunk.view.buf
    chunk.n_bytes = <size_t>chunk.view.len
    chunk.held = True
    return 0
