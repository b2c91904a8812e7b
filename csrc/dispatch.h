/* One table of kernel variants, filled once at import. Each extension module has its own:
 * vapimedia.audio.dispatch alone links all variants, and fills the others' tables with the addresses of its
 * own. A program that links the static library has one table and calls vm_dispatch_init. */
#ifndef VM_DISPATCH_H
#define VM_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "fir.h"
#include "fir_kernels.h"

struct vm_fir_table;

typedef struct vm_dispatch_table {
    const char *name; /* "avx512", "avx2", "sse2", "neon", "scalar" */
    void (*mulaw_decode)(int16_t *pcm, const uint8_t *mulaw, size_t n);
    void (*alaw_decode)(int16_t *pcm, const uint8_t *alaw, size_t n);
    void (*mulaw_encode)(uint8_t *mulaw, const int16_t *pcm, size_t n);
    void (*alaw_encode)(uint8_t *alaw, const int16_t *pcm, size_t n);
    vm_fir_line_kernel *fir_line;
    vm_fir_lanes_kernel *fir_lanes;
    vm_fir_widen_kernel *fir_widen;
    vm_fir_deal2_kernel *fir_deal2;
    vm_fir_deal3_kernel *fir_deal3;
    vm_fir_round_kernel *fir_round;
    vm_fir_round2_kernel *fir_round2;
    struct vm_fir_table *(*fir_table_acquire)(uint32_t up, uint32_t down, vm_fir_quality quality);
    void (*fir_table_release)(struct vm_fir_table *table);
} vm_dispatch_table;

/* Holds the portable variants until vm_dispatch_init chooses. */
extern vm_dispatch_table vm_dispatch;

/* Choose the variants: the best for this machine (`name` NULL or empty) or those of one ISA. Return 0, or -1
 * and leave the table alone when there is no such ISA here. */
int vm_dispatch_init(const char *name);
const char *vm_dispatch_name(void);

#endif
