#include "dispatch.h"

#include <string.h>

#include "g711.h"

#define SCALAR                                                                                               \
    {                                                                                                        \
        "scalar",                                                                                            \
        vm_g711_mulaw_decode_scalar,                                                                         \
        vm_g711_alaw_decode_scalar,                                                                          \
        vm_g711_mulaw_encode_scalar,                                                                         \
        vm_g711_alaw_encode_scalar,                                                                          \
        vm_fir_grid_scalar,                                                                                  \
        vm_fir_dot_scalar,                                                                                   \
        vm_fir_round_scalar,                                                                                 \
    }

/* Best first. */
static const vm_dispatch_table VARIANTS[] = {SCALAR};

vm_dispatch_table vm_dispatch = SCALAR;

int vm_dispatch_init(const char *name) {
    for (size_t i = 0; i < sizeof VARIANTS / sizeof *VARIANTS; i++) {
        if (name == NULL || *name == '\0' || strcmp(name, VARIANTS[i].name) == 0) {
            vm_dispatch = VARIANTS[i];
            return 0;
        }
    }
    return -1;
}

const char *vm_dispatch_name(void) {
    return vm_dispatch.name;
}
