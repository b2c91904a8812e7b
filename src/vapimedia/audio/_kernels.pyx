# cython: freethreading_compatible=True
"""Private, for tests and benchmarks: kernels that no public name stands for. Nothing here is promised to anybody."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stddef cimport ptrdiff_t
from libc.stdint cimport uint8_t, uint64_t

cdef extern from "base64.h":
    size_t vm_base64_encode(char *dst, const uint8_t *src, size_t n) noexcept nogil
    ptrdiff_t vm_base64_decode(uint8_t *dst, const char *src, size_t n) noexcept nogil

cdef extern from "histogram.h":
    ctypedef struct vm_histogram:
        uint64_t count
        uint64_t sum
        uint64_t max
    void vm_histogram_reset(vm_histogram *histogram) noexcept nogil
    void vm_histogram_add(vm_histogram *histogram, uint64_t value) noexcept nogil
    uint64_t vm_histogram_quantile(const vm_histogram *histogram, double q) noexcept nogil

__all__ = ["Histogram", "base64_decode", "base64_encode"]


def base64_encode(bytes data not None):
    """Return *data* in base64, with padding."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(data)
    out = PyBytes_FromStringAndSize(NULL, (n + 2) // 3 * 4)
    n = <Py_ssize_t>vm_base64_encode(PyBytes_AS_STRING(out), <const uint8_t *>PyBytes_AS_STRING(data), <size_t>n)
    return out if n == PyBytes_GET_SIZE(out) else out[:n]


def base64_decode(bytes text not None):
    """Return what *text* stands for, or ``None`` if it is not base64."""
    cdef Py_ssize_t n = PyBytes_GET_SIZE(text)
    out = PyBytes_FromStringAndSize(NULL, 3 * n // 4)
    n = vm_base64_decode(<uint8_t *>PyBytes_AS_STRING(out), PyBytes_AS_STRING(text), <size_t>n)
    if n < 0:
        return None
    return out if n == PyBytes_GET_SIZE(out) else out[:n]


cdef class Histogram:
    """Count values of 0..2**64 - 1 in log buckets."""

    cdef vm_histogram histogram

    def __cinit__(self):
        vm_histogram_reset(&self.histogram)

    def add(self, uint64_t value):
        """Count *value*."""
        vm_histogram_add(&self.histogram, value)

    def quantile(self, double q):
        """Return the smallest value that a share *q* of all does not exceed, within 1/16; 0 when empty."""
        return vm_histogram_quantile(&self.histogram, q)

    def reset(self):
        """Forget all values."""
        vm_histogram_reset(&self.histogram)

    @property
    def count(self):
        return self.histogram.count

    @property
    def sum(self):
        return self.histogram.sum

    @property
    def max(self):
        return self.histogram.max
