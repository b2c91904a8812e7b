from libc.stdint cimport int16_t, uint8_t

# For other Cython code: n_samples are read and written, any alignment, no overlap; see g711.h.
cdef void decode_mulaw(int16_t *pcm, const uint8_t *mulaw, size_t n_samples) noexcept nogil
cdef void decode_alaw(int16_t *pcm, const uint8_t *alaw, size_t n_samples) noexcept nogil
cdef void encode_mulaw(uint8_t *mulaw, const int16_t *pcm, size_t n_samples) noexcept nogil
cdef void encode_alaw(uint8_t *alaw, const int16_t *pcm, size_t n_samples) noexcept nogil
