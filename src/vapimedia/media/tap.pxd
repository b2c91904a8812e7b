from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t, uint64_t

from vapimedia.audio.stream cimport vm_encoding

cdef extern from "<stdbool.h>" nogil:
    ctypedef unsigned char c_bool "bool"

cdef extern from "tap.h" nogil:
    enum:
        VM_TAP_PAGE
    ctypedef enum vm_tap_kind:
        VM_TAP_GOES_ON
        VM_TAP_BEGINS
        VM_TAP_CUT
    ctypedef struct vm_tap:
        pass
    bint vm_tap_init(vm_tap* tap, size_t max_bytes) noexcept
    void vm_tap_free(vm_tap* tap) noexcept
    void vm_tap_push(vm_tap* tap, vm_tap_kind kind, const uint8_t* audio, size_t n, int64_t at_ns) noexcept
    uint64_t vm_tap_lost(const vm_tap* tap) noexcept

cdef extern from "track.h" nogil:
    ctypedef struct vm_track:
        int64_t origin_ns
        int64_t done
    void vm_track_init(vm_track* track, vm_encoding encoding, uint32_t sample_rate, c_bool is_live,
                       size_t max_bytes) noexcept
    void vm_track_free(vm_track* track) noexcept
    int64_t vm_track_at(const vm_track* track, int64_t at_ns) noexcept
    void vm_track_fill(vm_track* track, vm_tap* tap, int64_t until_ns) noexcept
    void vm_track_read_stereo(vm_track* left, vm_track* right, int16_t* stereo, size_t n) noexcept


cdef class Tap:
    cdef readonly object fmt
    cdef vm_tap _tap    # both sides'
    cdef vm_track _track    # the reader's
    cdef double _byte_ms

    # For the path, whose thread it is on: no Python object is made, nothing is raised.
    cdef inline void put(self, vm_tap_kind kind, const uint8_t* audio, size_t n, int64_t at_ns) noexcept:
        vm_tap_push(&self._tap, kind, audio, n, at_ns)
