/* Log-bucket histogram of durations: exact count, sum and maximum, quantiles within 1/16 of the value. */
#ifndef VM_HISTOGRAM_H
#define VM_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    VM_HISTOGRAM_SUB_BITS = 3,    /* 8 buckets an octave: a quantile is off by 1/16 at most */
    VM_HISTOGRAM_BUCKETS = 8 * 34 /* up to 2^36 ns, 68 s; longer ones land in the last */
};

typedef struct vm_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint32_t buckets[VM_HISTOGRAM_BUCKETS];
} vm_histogram;

void vm_histogram_reset(vm_histogram *histogram);
void vm_histogram_add(vm_histogram *histogram, uint64_t value);

/* Smallest value that a share `q` (0..1) of all does not exceed, as a bucket's middle; 0 when empty. */
uint64_t vm_histogram_quantile(const vm_histogram *histogram, double q);

#endif
