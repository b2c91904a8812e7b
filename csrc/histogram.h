/* Log-bucket histograms of durations in ns: exact count, sum and maximum; quantiles within 1/16 of the value,
 * or within 512 ns where that is more.
 *
 *   bucket 0      1 .. 8          9 .. 16    ...  201 .. 208
 *   below 1 us    1 .. 2 us       2 .. 4 us  ...  34 .. 68 s and more        8 equal buckets an octave
 */
#ifndef VM_HISTOGRAM_H
#define VM_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum {
    VM_HISTOGRAM_SUB_BITS = 3,  /* 8 buckets an octave: a quantile is off by 1/16 at most */
    VM_HISTOGRAM_LOW_BITS = 10, /* less than 2^10 ns is one bucket */
    VM_HISTOGRAM_TOP_BITS = 36, /* 68 s and more land in the last one */
    VM_HISTOGRAM_BUCKETS = 1 + ((VM_HISTOGRAM_TOP_BITS - VM_HISTOGRAM_LOW_BITS) << VM_HISTOGRAM_SUB_BITS)
};

/* One stream's. A bucket counts to 2^24 - 1, 93 hours of 50 frames a second, in three bytes. */
typedef struct vm_histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint16_t low[VM_HISTOGRAM_BUCKETS];
    uint8_t high[VM_HISTOGRAM_BUCKETS];
} vm_histogram;

void vm_histogram_reset(vm_histogram *histogram);
void vm_histogram_add(vm_histogram *histogram, uint64_t value);

/* Smallest value that a share `q` (0..1) of all does not exceed, as a bucket's middle; 0 when empty. */
uint64_t vm_histogram_quantile(const vm_histogram *histogram, double q);

/* What many streams had in common, for as long as a process lives. */
typedef struct vm_histogram_total {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[VM_HISTOGRAM_BUCKETS];
} vm_histogram_total;

void vm_histogram_total_add(vm_histogram_total *total, uint64_t value);
void vm_histogram_total_merge(vm_histogram_total *total, const vm_histogram *histogram);

size_t vm_histogram_bucket(uint64_t value);
uint64_t vm_histogram_middle(size_t bucket);

#endif
