#include "histogram.h"

#include <string.h>

enum { SUB = 1 << VM_HISTOGRAM_SUB_BITS };

static unsigned log2_floor(uint64_t value) {
#if defined(__GNUC__)
    return 63u - (unsigned)__builtin_clzll(value);
#else
    unsigned bits = 0;
    while (value >>= 1)
        bits++;
    return bits;
#endif
}

size_t vm_histogram_bucket(uint64_t value) {
    if (value >> VM_HISTOGRAM_LOW_BITS == 0) return 0;
    if (value >> VM_HISTOGRAM_TOP_BITS != 0) return VM_HISTOGRAM_BUCKETS - 1;
    const unsigned octave = log2_floor(value);
    const size_t part = (size_t)(value >> (octave - VM_HISTOGRAM_SUB_BITS)) & (SUB - 1);
    return 1 + ((size_t)(octave - VM_HISTOGRAM_LOW_BITS) << VM_HISTOGRAM_SUB_BITS) + part;
}

uint64_t vm_histogram_middle(size_t bucket) {
    if (bucket == 0) return UINT64_C(1) << (VM_HISTOGRAM_LOW_BITS - 1);
    const unsigned octave = (unsigned)((bucket - 1) >> VM_HISTOGRAM_SUB_BITS) + VM_HISTOGRAM_LOW_BITS;
    const uint64_t part = SUB + ((bucket - 1) & (SUB - 1));
    return (2 * part + 1) << (octave - VM_HISTOGRAM_SUB_BITS - 1);
}

void vm_histogram_reset(vm_histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
}

void vm_histogram_add(vm_histogram *histogram, uint64_t value) {
    const size_t bucket = vm_histogram_bucket(value);
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max) histogram->max = value;
    if (histogram->low[bucket] != UINT16_MAX) {
        histogram->low[bucket]++;
    } else if (histogram->high[bucket] != UINT8_MAX) {
        histogram->high[bucket]++;
        histogram->low[bucket] = 0;
    }
}

static uint64_t counted(const vm_histogram *histogram, size_t bucket) {
    return (uint64_t)histogram->high[bucket] << 16 | histogram->low[bucket];
}

uint64_t vm_histogram_quantile(const vm_histogram *histogram, double q) {
    if (histogram->count == 0) return 0;
    const double wanted = q * (double)histogram->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < VM_HISTOGRAM_BUCKETS; i++) {
        seen += counted(histogram, i);
        if (seen > 0 && (double)seen >= wanted) {
            const uint64_t middle = vm_histogram_middle(i);
            return middle < histogram->max ? middle : histogram->max;
        }
    }
    return histogram->max;
}

void vm_histogram_total_add(vm_histogram_total *total, uint64_t value) {
    total->count++;
    total->sum += value;
    if (value > total->max) total->max = value;
    total->buckets[vm_histogram_bucket(value)]++;
}

void vm_histogram_total_merge(vm_histogram_total *total, const vm_histogram *histogram) {
    total->count += histogram->count;
    total->sum += histogram->sum;
    if (histogram->max > total->max) total->max = histogram->max;
    for (size_t i = 0; i < VM_HISTOGRAM_BUCKETS; i++)
        total->buckets[i] += counted(histogram, i);
}
