#include "dispatch.h"

#include <string.h>

#include "cpu.h"
#include "dispatch_rows.h"
#include "isa.h"

static int always(void) {
    return 1;
}

/* Best first. */
static const struct {
    int (*is_here)(void);
    vm_dispatch_table table;
} VARIANTS[] = {
#if defined(VM_X86)
    {vm_cpu_has_avx512, VM_DISPATCH_ROW(avx512)},
    {vm_cpu_has_avx2, VM_DISPATCH_ROW(avx2)},
    {always, VM_DISPATCH_ROW(sse2)},
#elif defined(VM_NEON)
    {always, VM_DISPATCH_ROW(neon)},
#endif
    {always, VM_DISPATCH_ROW(scalar)},
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
