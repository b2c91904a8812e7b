#include "dispatch.h"

#include <string.h>

#include "cpu.h"
#include "g711.h"
#include "isa.h"

/* One row: every kernel in its variant for one ISA. */
#define VARIANT(isa)                                                                                         \
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
    }

vm_dispatch_table vm_dispatch = VARIANT(scalar);

static int always(void) {
    return 1;
}

/* Best first. */
static const struct {
    int (*is_here)(void);
    vm_dispatch_table table;
} VARIANTS[] = {
#if defined(VM_X86)
    {vm_cpu_has_avx512, VARIANT(avx512)},
    {vm_cpu_has_avx2, VARIANT(avx2)},
    {always, VARIANT(sse2)},
#elif defined(VM_NEON)
    {always, VARIANT(neon)},
#endif
    {always, VARIANT(scalar)},
};

int vm_dispatch_init(const char *name) {
    for (size_t i = 0; i < sizeof VARIANTS / sizeof *VARIANTS; i++) {
        int is_wanted = name == NULL || *name == '\0' || strcmp(name, VARIANTS[i].table.name) == 0;
        if (is_wanted && VARIANTS[i].is_here()) {
            vm_dispatch = VARIANTS[i].table;
            return 0;
        }
    }
    return -1;
}

const char *vm_dispatch_name(void) {
    return vm_dispatch.name;
}
