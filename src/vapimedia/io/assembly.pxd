cimport cython
from libc.stddef cimport size_t


@cython.final
cdef class Assembly:
    cdef readonly bint is_text
    cdef bytearray _bytes    # None: no message is under way
    cdef int _n_fragments

    cdef inline bint is_open(self) noexcept:
        return self._bytes is not None

    cdef void begin(self, bint is_text)
    cdef bint add(self, const char* fragment, size_t n, Py_ssize_t max_bytes)
    cdef bytearray end(self)
