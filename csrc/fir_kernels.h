/* The arithmetic of the resampler, in variants: reached through the table of dispatch.h, named by their ISA.
 *
 * All variants of `grid` add products in tap order into one accumulator for each output; all of `dot` use 16
 * lanes and the same pairwise tree. A scalar fused multiply-add is a library call without hardware for it, so
 * this portable reference rounds the product and the sum (build with -ffp-contract=off). */
#ifndef VM_FIR_KERNELS_H
#define VM_FIR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "fir_table.h"

enum {
    VM_FIR_BLOCK = 16 /* outputs of one phase computed together; reads and writes are rounded up to it */
};

/* Inputs dealt onto `n_planes` planes (sample i lies on plane i % n_planes at i / n_planes). Outputs repeat
 * their phases every `n_phases`; from one round to the next each plane moves by one sample, so that the same
 * phase of 16 rounds is 16 neighbours in memory. */
typedef struct vm_fir_grid {
    const float *planes;
    size_t plane_stride;
    size_t n_planes;
    size_t n_phases;
    size_t n_taps;
    const float *rows[VM_FIR_MAX_PHASES];
    size_t starts[VM_FIR_MAX_PHASES]; /* first input of the phase's first output */
} vm_fir_grid;

/* Write out[round * n_phases + phase] for all phases of `n_rounds` rounds, rounded up to VM_FIR_BLOCK; a
 * variant may take several blocks at a time. */
void vm_fir_grid_scalar(float *out, const vm_fir_grid *grid, size_t n_rounds);

/* Sum of row[i] * x[i]; `n` is a multiple of VM_FIR_LANES. */
float vm_fir_dot_scalar(const float *x, const float *row, size_t n);

/* Round to the nearest sample, ties to even; saturate. */
void vm_fir_round_scalar(int16_t *dst, const float *src, size_t n);

#endif
