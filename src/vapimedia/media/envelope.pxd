from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t

cdef extern from "envelope.h" nogil:
    enum:
        VM_ENVELOPE_DEPTH
        VM_ENVELOPE_RULES
        VM_ENVELOPE_KEY
        VM_ENVELOPE_VALUE
        VM_ENVELOPE_AFFIX
    ctypedef enum vm_envelope_kind:
        VM_ENVELOPE_MEDIA
        VM_ENVELOPE_FOREIGN
        VM_ENVELOPE_OTHER
    ctypedef struct vm_envelope_path:
        uint8_t depth
        uint8_t* n
        char (*key)[31]
    ctypedef struct vm_envelope_rule:
        vm_envelope_path path
        bint required
        bint is_number
        uint8_t n
        char* value
    ctypedef struct vm_envelope:
        bint is_text
        uint8_t n_rules
        uint8_t n_prefix
        uint8_t n_suffix
        vm_envelope_path payload
        vm_envelope_rule* rules
        char* prefix
        char* suffix
    vm_envelope_kind vm_envelope_scan(const vm_envelope* envelope, const char* message, size_t n,
                                      const char** payload, size_t* n_payload) noexcept
    vm_envelope_kind vm_envelope_scan_numbered(const vm_envelope* envelope, const char* message, size_t n,
                                               const char** payload, size_t* n_payload,
                                               int64_t* number) noexcept
    size_t vm_envelope_size(const vm_envelope* envelope, size_t n) noexcept
    size_t vm_envelope_write(const vm_envelope* envelope, char* dst, const uint8_t* audio, size_t n) noexcept


cdef class Envelope:
    cdef vm_envelope c
