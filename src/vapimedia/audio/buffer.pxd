"""Reading and writing other objects' memory at the cost of a frame, not of a typed memoryview."""

from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBUF_WRITABLE, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_Clear, PyErr_ExceptionMatches
from libc.stdint cimport uint8_t

cdef extern from "Python.h":
    # Its errors are looked at by hand: a `try` would cost every call something.
    int borrow "PyObject_GetBuffer"(object given, Py_buffer *view, int flags) noexcept


cdef struct Chunk:
    uint8_t *data
    size_t n_bytes
    bint held  # `view` must be released
    Py_buffer view


cdef inline char item_code(const Py_buffer *view) noexcept:
    """Return the letter that ``struct`` has for the items, ``B`` if none is given; 0 for what is not one native number.

    pcm_s16le is native: machines of the other byte order are not supported.
    """
    cdef const char *code = view.format
    if code is NULL:
        return b"B"
    if code[0] == b"<" or code[0] == b"=" or code[0] == b"@":
        code += 1
    return code[0] if code[0] != 0 and code[1] == 0 else 0


cdef inline bint holds_samples(const Py_buffer *view, Py_ssize_t max_itemsize) noexcept:
    cdef char code = item_code(view)
    if view.itemsize > max_itemsize:
        return False
    return code == b"B" or code == b"h" or code == b"b" or code == b"c" or code == b"H"


cdef inline int open_view(Chunk *chunk, object given, int writable, Py_ssize_t max_itemsize) except -1:
    chunk.held = False
    if borrow(given, &chunk.view, PyBUF_ND | PyBUF_FORMAT | writable) < 0:
        if not PyErr_ExceptionMatches(BufferError) and not PyErr_ExceptionMatches(ValueError):
            return -1
        PyErr_Clear()
        from vapimedia.audio.refusal import refusal
        raise refusal(given, bool(writable))
    if not holds_samples(&chunk.view, max_itemsize):
        itemsize = chunk.view.itemsize
        code = b"" if chunk.view.format is NULL else <bytes>chunk.view.format
        PyBuffer_Release(&chunk.view)
        from vapimedia.audio.refusal import misfit
        raise misfit(code.decode(), itemsize, max_itemsize)
    chunk.data = <uint8_t *>chunk.view.buf
    chunk.n_bytes = <size_t>chunk.view.len
    chunk.held = True
    return 0


cdef inline int open_chunk(Chunk *chunk, object source, Py_ssize_t max_itemsize) except -1:
    """Borrow *source* for reading until ``close_chunk``; bytes, or 16-bit integers if *max_itemsize* allows.

    Raises ``TypeError`` for items of other formats, ``BufferError`` for memory that is not contiguous.
    """
    if PyBytes_CheckExact(source):
        chunk.data = <uint8_t *>PyBytes_AS_STRING(source)
        chunk.n_bytes = <size_t>PyBytes_GET_SIZE(source)
        chunk.held = False
        return 0
    return open_view(chunk, source, 0, max_itemsize)


cdef inline int open_output(Chunk *chunk, object target, Py_ssize_t max_itemsize) except -1:
    """Do as ``open_chunk`` does for writing; ``BufferError`` for read-only memory too."""
    return open_view(chunk, target, PyBUF_WRITABLE, max_itemsize)


cdef inline void close_chunk(Chunk *chunk) noexcept:
    if chunk.held:
        PyBuffer_Release(&chunk.view)


cdef inline bint is_mono(const Chunk *chunk) noexcept:
    """Return whether all axes of an array but one have the length 1."""
    cdef int axis
    if not chunk.held or chunk.view.ndim <= 1:
        return True
    for axis in range(chunk.view.ndim):
        if chunk.view.shape[axis] * chunk.view.itemsize == chunk.view.len:
            return True
    return False


cdef inline int open_mono(Chunk *chunk, object source, Py_ssize_t max_itemsize) except -1:
    """Do as ``open_chunk`` does for what is one line of samples; ``ValueError`` for several channels."""
    open_chunk(chunk, source, max_itemsize)
    if not is_mono(chunk):
        close_chunk(chunk)
        from vapimedia.audio.refusal import not_mono
        raise not_mono(source)
    return 0


cdef inline size_t open_samples(Chunk *chunk, object source, size_t n_bytes) except? <size_t>-1:
    """Do as ``open_chunk`` does for samples of *n_bytes* each; return how many."""
    open_mono(chunk, source, <Py_ssize_t>n_bytes)
    if chunk.n_bytes % n_bytes:
        n_given = chunk.n_bytes
        close_chunk(chunk)
        raise ValueError(f"{n_given} bytes are not whole 16-bit samples; a Converter carries a split sample")
    return chunk.n_bytes // n_bytes


cdef inline int check_room(const Chunk *out, size_t n_needed) except -1:
    if out.n_bytes < n_needed:
        raise ValueError(f"the output holds {out.n_bytes} bytes, {n_needed} are needed")
    return 0
