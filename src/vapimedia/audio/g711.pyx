# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""G.711 mu-law and A-law, exactly as ITU-T G.191 computes them."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, uint8_t, uintptr_t

from vapimedia.audio.buffer cimport Chunk, check_room, close_chunk, open_output, open_samples
from vapimedia.audio.dispatch cimport vm_dispatch

from vapimedia.audio.dispatch import adopt

cdef extern from "g711.h":
    void vm_g711_mulaw_decode(int16_t *pcm, const uint8_t *mulaw, size_t n) noexcept nogil
    void vm_g711_alaw_decode(int16_t *pcm, const uint8_t *alaw, size_t n) noexcept nogil
    void vm_g711_mulaw_encode(uint8_t *mulaw, const int16_t *pcm, size_t n) noexcept nogil
    void vm_g711_alaw_encode(uint8_t *alaw, const int16_t *pcm, size_t n) noexcept nogil

__all__ = [
    "alaw_decode",
    "alaw_decode_into",
    "alaw_encode",
    "alaw_encode_into",
    "mulaw_decode",
    "mulaw_decode_into",
    "mulaw_encode",
    "mulaw_encode_into",
]

adopt(<uintptr_t>&vm_dispatch, __name__)

ctypedef void (*Kernel)(void *dst, const void *src, size_t n) noexcept nogil

cdef enum:
    CODE = 1  # bytes of a sample
    PCM = 2
    BULK = 65536  # samples; from about 20 us of work on, other threads may run meanwhile


cdef void decode_mulaw(int16_t *pcm, const uint8_t *mulaw, size_t n_samples) noexcept nogil:
    vm_g711_mulaw_decode(pcm, mulaw, n_samples)


cdef void decode_alaw(int16_t *pcm, const uint8_t *alaw, size_t n_samples) noexcept nogil:
    vm_g711_alaw_decode(pcm, alaw, n_samples)


cdef void encode_mulaw(uint8_t *mulaw, const int16_t *pcm, size_t n_samples) noexcept nogil:
    vm_g711_mulaw_encode(mulaw, pcm, n_samples)


cdef void encode_alaw(uint8_t *alaw, const int16_t *pcm, size_t n_samples) noexcept nogil:
    vm_g711_alaw_encode(alaw, pcm, n_samples)


# One signature for all four: calling through another type than the function's own is undefined in C.
cdef void mulaw_decoder(void *pcm, const void *codes, size_t n_samples) noexcept nogil:
    vm_g711_mulaw_decode(<int16_t *>pcm, <const uint8_t *>codes, n_samples)


cdef void mulaw_encoder(void *codes, const void *pcm, size_t n_samples) noexcept nogil:
    vm_g711_mulaw_encode(<uint8_t *>codes, <const int16_t *>pcm, n_samples)


cdef void alaw_decoder(void *pcm, const void *codes, size_t n_samples) noexcept nogil:
    vm_g711_alaw_decode(<int16_t *>pcm, <const uint8_t *>codes, n_samples)


cdef void alaw_encoder(void *codes, const void *pcm, size_t n_samples) noexcept nogil:
    vm_g711_alaw_encode(<uint8_t *>codes, <const int16_t *>pcm, n_samples)


cdef inline void run(Kernel kernel, void *dst, const void *src, size_t n_samples) noexcept:
    if n_samples < BULK:
        kernel(dst, src, n_samples)
    else:
        with nogil:
            kernel(dst, src, n_samples)


cdef inline bytes convert(Kernel kernel, object source, size_t n_in_bytes, size_t n_out_bytes):
    cdef Chunk chunk
    cdef size_t n_samples = open_samples(&chunk, source, n_in_bytes)
    try:
        out = PyBytes_FromStringAndSize(NULL, <Py_ssize_t>(n_samples * n_out_bytes))
        run(kernel, PyBytes_AS_STRING(out), chunk.data, n_samples)
    finally:
        close_chunk(&chunk)
    return out


cdef inline size_t convert_into(
    Kernel kernel, object source, object target, size_t n_in_bytes, size_t n_out_bytes
) except? <size_t>-1:
    cdef Chunk chunk, out
    cdef size_t n_samples = open_samples(&chunk, source, n_in_bytes)
    try:
        open_output(&out, target, <Py_ssize_t>n_out_bytes)
        try:
            check_room(&out, n_samples * n_out_bytes)
            run(kernel, out.data, chunk.data, n_samples)
        finally:
            close_chunk(&out)
    finally:
        close_chunk(&chunk)
    return n_samples


def mulaw_decode(mulaw):
    """Expand mu-law codes to pcm_s16le, two bytes a code (ITU-T G.711, G.191)."""
    return convert(mulaw_decoder, mulaw, CODE, PCM)


def mulaw_encode(pcm):
    """Compress pcm_s16le to mu-law, one byte a sample (ITU-T G.711, G.191).

    Raises ``ValueError`` for an odd number of bytes.
    """
    return convert(mulaw_encoder, pcm, PCM, CODE)


def alaw_decode(alaw):
    """Expand A-law codes to pcm_s16le, two bytes a code (ITU-T G.711, G.191)."""
    return convert(alaw_decoder, alaw, CODE, PCM)


def alaw_encode(pcm):
    """Compress pcm_s16le to A-law, one byte a sample (ITU-T G.711, G.191).

    Raises ``ValueError`` for an odd number of bytes.
    """
    return convert(alaw_encoder, pcm, PCM, CODE)


def mulaw_decode_into(mulaw, pcm):
    """Expand mu-law codes into the writable buffer *pcm*; return the samples written.

    The buffers must not overlap. Raises ``ValueError`` when *pcm* has less than two bytes a code.
    """
    return convert_into(mulaw_decoder, mulaw, pcm, CODE, PCM)


def mulaw_encode_into(pcm, mulaw):
    """Compress pcm_s16le into the writable buffer *mulaw*; return the samples written.

    The buffers must not overlap. Raises ``ValueError`` for an odd number of bytes, or when *mulaw* has less
    than one byte a sample.
    """
    return convert_into(mulaw_encoder, pcm, mulaw, PCM, CODE)


def alaw_decode_into(alaw, pcm):
    """Expand A-law codes into the writable buffer *pcm*; return the samples written.

    The buffers must not overlap. Raises ``ValueError`` when *pcm* has less than two bytes a code.
    """
    return convert_into(alaw_decoder, alaw, pcm, CODE, PCM)


def alaw_encode_into(pcm, alaw):
    """Compress pcm_s16le into the writable buffer *alaw*; return the samples written.

    The buffers must not overlap. Raises ``ValueError`` for an odd number of bytes, or when *alaw* has less
    than one byte a sample.
    """
    return convert_into(alaw_encoder, pcm, alaw, PCM, CODE)
