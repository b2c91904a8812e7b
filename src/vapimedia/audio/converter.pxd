from libc.stdint cimport uint8_t, uint32_t

from vapimedia.audio.resampler cimport vm_fir_quality
from vapimedia.audio.stream cimport Stream

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
    size_t vm_converter_max_flush(const vm_converter *converter) noexcept nogil
    size_t vm_converter_push(
        vm_converter *converter, uint8_t *dst, const uint8_t *src, size_t n
    ) noexcept nogil
    size_t vm_converter_flush(vm_converter *converter, uint8_t *dst) noexcept nogil
    void vm_converter_reset(vm_converter *converter) noexcept nogil
    uint32_t vm_converter_latency(const vm_converter *converter) noexcept nogil


cdef vm_encoding encoding_code(object encoding) except *


cdef class Converter(Stream):
    cdef vm_converter *converter
    cdef readonly object source
    cdef readonly object target
    cdef readonly str quality

    # For other Cython code, one thread at a time: `out` has room for count_output(n_bytes).
    cdef size_t push_bytes(self, uint8_t *out, const uint8_t *chunk, size_t n_bytes) noexcept nogil
