/* The arithmetic of the resampler, in variants: reached through the table of dispatch.h, named by their ISA.
 *
 * The order of operations is fixed, and products are added by fused multiply-adds: AVX2, AVX-512, NEON and
 * the portable reference (fmaf) give identical bits. SSE2 has no fused multiply-add and rounds product and
 * sum (build with -ffp-contract=off). Floats are aligned as floats; 16-bit samples may have any alignment.
 * Nothing overlaps but what is added to. */
#ifndef VM_FIR_KERNELS_H
#define VM_FIR_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum {
    VM_FIR_BLOCK = 16,   /* outputs computed together; reads and writes are rounded up to it */
    VM_FIR_CHUNK = 4,    /* groups of VM_FIR_BLOCK taps that one call of `line` takes at most */
    VM_FIR_PARTIALS = 4, /* sums of `lanes` for each output */
};

/* Write, or add to, y[0 .. 16 * n_blocks), 16 neighbouring outputs of one phase a block:
 *
 *   y[k] = adds ? y[k] : lone != NULL ? lone[k] * lone_coef : 0
 *   for r in 0..15, plane in 0..n_planes-1, q in 0..(n_taps - r - 1) / 16:
 *       y[k] = fma(x[plane][k + 16 * q + r], coefs[(r * n_planes + plane) * stride + q], y[k])
 *
 * In this order one load serves several taps of several blocks. `n_taps` taps a plane, 1..64. */
typedef struct vm_fir_line {
    const float *const *x; /* n_planes pointers to 16 * n_blocks + n_taps - 1 inputs */
    const float *coefs;
    size_t n_planes, n_taps, stride, n_blocks;
    const float *lone; /* a tap by itself */
    float lone_coef;
    int adds;
} vm_fir_line;
typedef void vm_fir_line_kernel(float *y, const vm_fir_line *line);

/* Compute out[0..15] of `n_columns` columns that share coefficients, column c at out + c * out_step with its
 * inputs at x + c * x_step. `n_taps` is a multiple of VM_FIR_PARTIALS; coefs[16 * i + lane]:
 *
 *   sum[s] of lane = fused sum over i = s, s + 4, ... of x[i] * coefs[16 * i + lane]
 *   out[lane] = (sum[0] + sum[1]) + (sum[2] + sum[3]) */
typedef struct vm_fir_lanes {
    const float *x, *coefs;
    size_t n_taps, n_columns, x_step, out_step;
} vm_fir_lanes;
typedef void vm_fir_lanes_kernel(float *out, const vm_fir_lanes *lanes);

/* 16-bit samples to floats. */
typedef void vm_fir_widen_kernel(float *dst, const int16_t *src, size_t n);

/* Deal `n_rounds` rounds of inputs onto 2 or 3 planes: planes[i % 2 * stride + i / 2] = src[i]. */
typedef void vm_fir_deal2_kernel(float *planes, size_t stride, const float *src, size_t n_rounds);
typedef void vm_fir_deal3_kernel(float *planes, size_t stride, const float *src, size_t n_rounds);

/* Round to the nearest sample, ties to even; saturate. `round2` does so with two lines and takes them in
 * turn: dst[2 * i] of a[i], dst[2 * i + 1] of b[i], `n` samples written from each. Magnitudes are below 2^31.
 */
typedef void vm_fir_round_kernel(int16_t *dst, const float *src, size_t n);
typedef void vm_fir_round2_kernel(int16_t *dst, const float *a, const float *b, size_t n);

#define VM_FIR_VARIANT(isa)                                                                                  \
    vm_fir_line_kernel vm_fir_line_##isa;                                                                    \
    vm_fir_lanes_kernel vm_fir_lanes_##isa;                                                                  \
    vm_fir_widen_kernel vm_fir_widen_##isa;                                                                  \
    vm_fir_deal2_kernel vm_fir_deal2_##isa;                                                                  \
    vm_fir_deal3_kernel vm_fir_deal3_##isa;                                                                  \
    vm_fir_round_kernel vm_fir_round_##isa;                                                                  \
    vm_fir_round2_kernel vm_fir_round2_##isa;

VM_FIR_VARIANT(scalar)
VM_FIR_VARIANT(sse2)
VM_FIR_VARIANT(avx2)
VM_FIR_VARIANT(avx512)
VM_FIR_VARIANT(neon)

#endif
