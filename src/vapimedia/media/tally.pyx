# cython: language_level=3, freethreading_compatible=True
"""Histograms of many streams together, counted and added up in C."""

from libc.string cimport memset

from vapimedia.media._types import Distribution, HopStats

__all__ = ["BUCKET_MIDDLES", "Tally"]

BUCKET_MIDDLES = tuple(vm_histogram_middle(bucket) for bucket in range(<int>VM_HISTOGRAM_BUCKETS))


cdef object hop_stats(const vm_histogram* hop):
    if hop.count == 0:
        return None
    return HopStats(count=hop.count, p50_us=vm_histogram_quantile(hop, 0.5) / 1e3,
                    p99_us=vm_histogram_quantile(hop, 0.99) / 1e3, max_us=hop.max / 1e3)


cdef class Tally:
    def __cinit__(self):
        memset(&self._total, 0, sizeof(self._total))

    cdef void note(self, uint64_t value) noexcept:
        vm_histogram_total_add(&self._total, value)

    cdef void merge(self, const vm_histogram* histogram) noexcept:
        vm_histogram_total_merge(&self._total, histogram)

    def add(self, uint64_t value):
        self.note(value)

    def read(self):
        cdef dict buckets = {}
        cdef int bucket
        for bucket in range(<int>VM_HISTOGRAM_BUCKETS):
            if self._total.buckets[bucket] != 0:
                buckets[bucket] = self._total.buckets[bucket]
        return Distribution(self._total.count, self._total.sum, self._total.max, buckets)

    def copy(self):
        cdef Tally copied = Tally()
        copied._total = self._total
        return copied
