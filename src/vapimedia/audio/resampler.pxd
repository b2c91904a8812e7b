from libc.stdint cimport int16_t, uint32_t

from vapimedia.audio.stream cimport Stream

cdef extern from "fir.h":
    ctypedef enum vm_fir_quality:
        VM_FIR_TELEPHONE
        VM_FIR_BALANCED
        VM_FIR_HIGH
    ctypedef struct vm_fir:
        pass
    vm_fir *vm_fir_new(uint32_t from_hz, uint32_t to_hz, vm_fir_quality quality) noexcept nogil
    void vm_fir_free(vm_fir *fir) noexcept nogil
    size_t vm_fir_count(const vm_fir *fir, size_t n) noexcept nogil
    size_t vm_fir_max_output(const vm_fir *fir, size_t n) noexcept nogil
    size_t vm_fir_push(vm_fir *fir, int16_t *dst, const int16_t *src, size_t n) noexcept nogil
    size_t vm_fir_push_f32(vm_fir *fir, float *dst, const float *src, size_t n) noexcept nogil
    size_t vm_fir_flush(vm_fir *fir, int16_t *dst) noexcept nogil
    size_t vm_fir_flush_f32(vm_fir *fir, float *dst) noexcept nogil
    void vm_fir_reset(vm_fir *fir) noexcept nogil
    uint32_t vm_fir_latency(const vm_fir *fir) noexcept nogil


cdef vm_fir_quality quality_code(object quality) except *
cdef int check_rate(object name, object rate_hz) except -1


cdef class Resampler(Stream):
    cdef vm_fir *fir
    cdef readonly int from_hz
    cdef readonly int to_hz
    cdef readonly str quality

    # For other Cython code, one thread at a time: `out` has room for count_output(n_samples).
    cdef size_t push_samples(self, int16_t *out, const int16_t *pcm, size_t n_samples) noexcept nogil
