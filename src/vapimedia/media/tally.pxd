from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

cdef extern from "histogram.h" nogil:
    enum:
        VM_HISTOGRAM_BUCKETS
    ctypedef struct vm_histogram:
        uint64_t count
        uint64_t max
    ctypedef struct vm_histogram_total:
        uint64_t count
        uint64_t sum
        uint64_t max
        uint64_t buckets[VM_HISTOGRAM_BUCKETS]
    void vm_histogram_reset(vm_histogram* histogram) noexcept
    void vm_histogram_add(vm_histogram* histogram, uint64_t value) noexcept
    uint64_t vm_histogram_quantile(const vm_histogram* histogram, double q) noexcept
    void vm_histogram_total_add(vm_histogram_total* total, uint64_t value) noexcept
    void vm_histogram_total_merge(vm_histogram_total* total, const vm_histogram* histogram) noexcept
    size_t vm_histogram_bucket(uint64_t value) noexcept
    uint64_t vm_histogram_middle(size_t bucket) noexcept


cdef object hop_stats(const vm_histogram* hop)


cdef class Tally:
    cdef vm_histogram_total _total

    cdef void note(self, uint64_t value) noexcept
    cdef void merge(self, const vm_histogram* histogram) noexcept
