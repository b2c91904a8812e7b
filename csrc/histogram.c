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

/* Values below 8 have a bucket each; above, an octave [2^e, 2^(e+1)) is cut into 8 equal ones. */
static size_t bucket_of(uint64_t value) {
    if (value < SUB) return (size_t)value;
    unsigned octave = log2_floor(value) - VM_HISTOGRAM_SUB_BITS;
    size_t index = ((size_t)(octave + 1) << VM_HISTOGRAM_SUB_BITS) + (size_t)((value >> octave) & (SUB - 1));
    return index < VM_HISTOGRAM_BUCKETS ? index : VM_HISTOGRAM_BUCKETS - 1;
}

static uint64_t bucket_middle(size_t index) {
    if (index < SUB) return index;
    unsigned octave = (unsigned)(index >> VM_HISTOGRAM_SUB_BITS) - 1;
    uint64_t low = (uint64_t)(SUB + (index & (SUB - 1))) << octave;
    return low + (((uint64_t)1 << octave) >> 1);
}

void vm_histogram_reset(vm_histogram *histogram) {
    memset(histogram, 0, sizeof *histogram);
}

void vm_histogram_add(vm_histogram *histogram, uint64_t value) {
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max) histogram->max = value;
    histogram->buckets[bucket_of(value)]++;
}

uint64_t vm_histogram_quantile(const vm_histogram *histogram, double q) {
    if (histogram->count == 0) return 0;
    double wanted = q * (double)histogram->count;
    uint64_t seen = 0;
    for (size_t i = 0; i < VM_HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && (double)seen >= wanted) {
            uint64_t middle = bucket_middle(i);
            return middle < histogram->max ? middle : histogram->max;
        }
    }
    return histogram->max;
}
