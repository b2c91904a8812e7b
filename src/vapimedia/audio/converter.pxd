from libc.stdint cimport uint8_t

from vapimedia.audio.stream cimport Stream


cdef class Converter(Stream):
    cdef readonly object source
    cdef readonly object target
    cdef readonly str quality

    # For other Cython code, one thread at a time: `out` has room for count_output(n_bytes).
    cdef size_t count_output(self, size_t n_bytes) noexcept nogil
    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil
