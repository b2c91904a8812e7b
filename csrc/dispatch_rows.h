/* How a row of the table is written. Private to dispatch.c and dispatch_init.c. */
#ifndef VM_DISPATCH_ROWS_H
#define VM_DISPATCH_ROWS_H

#include "dispatch.h"
#include "fir_table.h"
#include "g711.h"

/* One row: every kernel in its variant for one ISA. */
#define VM_DISPATCH_ROW(isa)                                                                                 \
    {                                                                                                        \
        #isa,                                                                                                \
        vm_g711_mulaw_decode_##isa,                                                                          \
        vm_g711_alaw_decode_##isa,                                                                           \
        vm_g711_mulaw_encode_##isa,                                                                          \
        vm_g711_alaw_encode_##isa,                                                                           \
        vm_fir_line_##isa,                                                                                   \
        vm_fir_lanes_##isa,                                                                                  \
        vm_fir_widen_##isa,                                                                                  \
        vm_fir_deal2_##isa,                                                                                  \
        vm_fir_deal3_##isa,                                                                                  \
        vm_fir_round_##isa,                                                                                  \
        vm_fir_round2_##isa,                                                                                 \
        vm_fir_table_acquire,                                                                                \
        vm_fir_table_release,                                                                                \
    }

#endif
