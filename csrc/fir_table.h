/* Coefficients of a resampler, shared by all streams of the same ratio and quality: reached through the table
 * of dispatch.h, so that modules that each link the kernels share them too. */
#ifndef VM_FIR_TABLE_H
#define VM_FIR_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "fir.h"
#include "fir_kernels.h"

enum {
    VM_FIR_MAX_PHASES = 16,      /* of a grid, and planes */
    VM_FIR_MAX_GRID_TAPS = 1280, /* both bound the scratch of a grid */
    VM_FIR_MIN_LANE_PHASES = 8,  /* fewer would leave most lanes empty */
    VM_FIR_DOT_LANES = 16        /* rows of a dot product are padded with zeros to a multiple of this */
};

/* How outputs are computed, by what the ratio up / down in lowest terms allows:
 *
 *   GRID    up, down <= 16. Inputs are dealt onto `down` planes; outputs repeat their phases every `up`. From
 *           one round of phases to the next each plane moves by one sample, so the same phase of neighbouring
 *           rounds is neighbours in memory.
 *   LANES   more phases. 16 neighbouring outputs are one block, each lane with the coefficients of its own
 *           phase, zero where an input is outside its window.
 *   DOT     the rest: a dot product for each output, at whatever speed. */
typedef enum vm_fir_kind { VM_FIR_GRID, VM_FIR_LANES, VM_FIR_DOT } vm_fir_kind;

/* One phase of a grid. Tap i, oldest first, lies on plane i % down of the window. A plane that holds nothing
 * but zeros, as every filter with its cutoff at half the lower rate has, is left out; a plane with only one
 * tap is the lone tap, added first. */
typedef struct vm_fir_phase {
    const float *coefs; /* coefs[(r * n_dense + d) * n_groups + q]: tap 16 * q + r of plane dense[d] */
    uint32_t n_dense;
    uint32_t lone_tap;
    float lone; /* 0 if there is none */
    uint8_t dense[VM_FIR_MAX_PHASES];
} vm_fir_phase;

typedef struct vm_fir_table {
    struct vm_fir_table *next;
    uint32_t n_users;
    uint32_t up, down; /* to / from in lowest terms */
    vm_fir_quality quality;
    vm_fir_kind kind;
    uint32_t latency; /* output samples */
    uint32_t n_taps;  /* window of an output, in inputs; it ends with the newest */

    /* GRID: taps of a plane, and their groups of 16. */
    uint32_t n_plane_taps, n_groups;
    vm_fir_phase phases[VM_FIR_MAX_PHASES];

    /* LANES: block b holds outputs 16 * b .. of a period of `up`; its window starts with its first output's.
     * coefs[(b * n_block_taps + i) * 16 + lane]. */
    uint32_t n_blocks, n_block_taps;

    /* DOT: rows[row * row_stride + i]. An output falls between two inputs at phase / up. With n_rows == up
     * that phase has its own row. Where such a table would be too large, n_rows - 1 rows are spread over 0..1
     * and two neighbours are interpolated linearly (`spread`). */
    uint32_t n_rows, row_stride;
    int spread;

    float *coefs; /* aligned for the widest register */
} vm_fir_table;

/* Take a share; NULL when memory runs out. Safe from several threads. */
vm_fir_table *vm_fir_table_acquire(uint32_t up, uint32_t down, vm_fir_quality quality);
void vm_fir_table_release(vm_fir_table *table);

/* Tables designed so far. */
size_t vm_fir_table_designed(void);

/* Fill a new table, or return NULL when memory runs out; free() releases it. */
vm_fir_table *vm_fir_design(uint32_t up, uint32_t down, vm_fir_quality quality);

#endif
