from libc.stdint cimport int16_t

from vapimedia.audio.stream cimport Stream


cdef class Resampler(Stream):
    cdef readonly int from_hz
    cdef readonly int to_hz
    cdef readonly str quality

    # For other Cython code, one thread at a time: `out` has room for count_output(n_samples). Half a sample that a
    # push from Python left is completed by the first byte.
    cdef size_t count_output(self, size_t n_samples) noexcept nogil
    cdef size_t push_samples(self, int16_t *out, const int16_t *pcm, size_t n_samples) noexcept nogil
