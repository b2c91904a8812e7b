/* Whole signals: one line of samples in, one out, the resampler's delay taken out. */
#ifndef VM_LINE_H
#define VM_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "fir.h"

/* Samples that lie `step` bytes apart, at any alignment: a whole signal, or one channel of it. */
typedef struct vm_line {
    void *at;
    ptrdiff_t step;
} vm_line;

/* Resample `n` samples of `src`; write vm_fir_count(fir, n) samples to `dst`. `fir` is new or reset, and is
 * so again afterwards. Return 0, or -1 when memory runs out; nothing was written then. */
int vm_line_resample(vm_fir *fir, vm_line dst, vm_line src, size_t n);
int vm_line_resample_f32(vm_fir *fir, vm_line dst, vm_line src, size_t n);

#endif
