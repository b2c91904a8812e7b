/* Coefficients of a resampler, shared by all streams of the same ratio and quality. */
#ifndef VM_FIR_TABLE_H
#define VM_FIR_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "fir.h"

enum {
    VM_FIR_LANES = 16,      /* taps of a row are padded with zeros to a multiple of this */
    VM_FIR_MAX_PHASES = 16, /* ratios up / down with both parts at most this are computed across outputs */
    VM_FIR_MAX_GRID_TAPS = 2560
};

/* Rows run from the oldest input to the newest, so that output = sum(row[i] * x[start + i]):
 *
 *   rows[phase * row_stride + i],  i < n_taps;  zeros up to row_stride
 *
 * An output falls between two inputs at phase / up. With `n_rows == up` that phase has its own row. Where
 * such a table would be too large, `n_rows - 1` rows are spread over 0..1 and two neighbours are interpolated
 * linearly (`spread`). Every row sums to 1: constant stays constant whatever the phase. */
typedef struct vm_fir_table {
    struct vm_fir_table *next;
    uint32_t n_users;
    uint32_t up, down; /* to / from in lowest terms */
    vm_fir_quality quality;
    uint32_t latency; /* output samples */
    uint32_t n_taps, row_stride, n_rows;
    int spread;
    float rows[];
} vm_fir_table;

/* Take a share; NULL when memory runs out. Safe from several threads. */
vm_fir_table *vm_fir_table_acquire(uint32_t up, uint32_t down, vm_fir_quality quality);
void vm_fir_table_release(vm_fir_table *table);

#endif
