# cython: language_level=3, freethreading_compatible=True
"""Both directions of a call, taken off their paths to be recorded in another thread."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport uintptr_t

from vapimedia.audio.dispatch import adopt

from vapimedia.audio.dispatch cimport vm_dispatch
from vapimedia.audio.stream cimport encoding_code

__all__ = ["Tap", "read_stereo"]

adopt(<uintptr_t>&vm_dispatch, __name__)

cdef enum:
    PARTS = 4    # of a second: what is read at once at most


cdef class Tap:
    def __cinit__(self, fmt, *, bint is_live, int max_ms=10_000):
        cdef size_t bytes_per_s = fmt.sample_rate * fmt.bytes_per_sample
        cdef size_t max_bytes = max(max_ms * bytes_per_s // 1000, 2 * <size_t>VM_TAP_PAGE)
        self.fmt = fmt
        self._byte_ms = 1e3 / bytes_per_s
        if not vm_tap_init(&self._tap, max_bytes):
            raise MemoryError
        vm_track_init(&self._track, encoding_code(fmt.encoding), fmt.sample_rate, is_live, max_bytes)

    def __dealloc__(self):
        vm_tap_free(&self._tap)
        vm_track_free(&self._track)

    def push(self, bytes audio not None, int64_t at_ns, *, bint begins=False):
        self.put(VM_TAP_BEGINS if begins else VM_TAP_GOES_ON, <const uint8_t*><const char*>audio, <size_t>len(audio),
                 at_ns)

    def cut(self, int64_t at_ns):
        self.put(VM_TAP_CUT, NULL, 0, at_ns)

    def begin(self, int64_t origin_ns):
        self._track.origin_ns = origin_ns

    @property
    def dropped_ms(self):
        return vm_tap_lost(&self._tap) * self._byte_ms


def read_stereo(Tap left not None, Tap right not None, int64_t until_ns):
    cdef int64_t n
    cdef bytes stereo
    cdef int16_t* samples
    if left.fmt.sample_rate != right.fmt.sample_rate:
        raise ValueError("both legs of a recording must have one sample rate")
    # Python's lock stays held: to give it up for 2 us, and to wait for it again, costs both threads more.
    vm_track_fill(&left._track, &left._tap, until_ns)
    vm_track_fill(&right._track, &right._tap, until_ns)
    n = vm_track_at(&left._track, until_ns) - left._track.done
    n = min(n, <int64_t>left.fmt.sample_rate // PARTS)
    stereo = PyBytes_FromStringAndSize(NULL, n * 2 * <Py_ssize_t>sizeof(int16_t))
    samples = <int16_t*>PyBytes_AS_STRING(stereo)
    vm_track_read_stereo(&left._track, &right._track, samples, <size_t>n)
    return stereo
