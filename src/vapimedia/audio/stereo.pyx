# cython: freethreading_compatible=True
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""Two interleaved channels apart."""

import cython

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.stdint cimport int16_t, uint8_t

from vapimedia.audio.buffer cimport Chunk, close_chunk, open_chunk

cdef extern from "stereo.h":
    ctypedef struct vm_stereo:
        size_t n_held
    void vm_stereo_init(vm_stereo *stereo) noexcept nogil
    size_t vm_stereo_count(const vm_stereo *stereo, size_t n) noexcept nogil
    size_t vm_stereo_push(
        vm_stereo *stereo, int16_t *left, int16_t *right, const uint8_t *src, size_t n) noexcept nogil

__all__ = ["StereoSplitter"]

cdef enum:
    PCM = 2  # bytes of a sample


cdef class StereoSplitter:
    """StereoSplitter()
--

    Take one stream of interleaved stereo pcm_s16le apart.

    Any chunking gives the same samples: what a chunk ends with of a pair is carried. One stream is for one
    thread at a time.
    """

    cdef vm_stereo stereo

    def __cinit__(self):
        vm_stereo_init(&self.stereo)

    def push(self, chunk):
        """Take the next bytes; return the samples of both channels, ``(left, right)``, always equally many."""
        cdef Chunk given
        cdef Py_ssize_t n_bytes
        with cython.critical_section(self):
            open_chunk(&given, chunk, PCM)
            try:
                n_bytes = PCM * <Py_ssize_t>vm_stereo_count(&self.stereo, given.n_bytes)
                left = PyBytes_FromStringAndSize(NULL, n_bytes)
                right = PyBytes_FromStringAndSize(NULL, n_bytes)
                vm_stereo_push(
                    &self.stereo, <int16_t *>PyBytes_AS_STRING(left), <int16_t *>PyBytes_AS_STRING(right),
                    given.data, given.n_bytes)
            finally:
                close_chunk(&given)
        return left, right

    def reset(self):
        """Start a new stream: what was carried is forgotten."""
        with cython.critical_section(self):
            vm_stereo_init(&self.stereo)

    @property
    def pending_bytes(self):
        """Bytes that wait for the rest of their pair, 0..3."""
        return self.stereo.n_held
