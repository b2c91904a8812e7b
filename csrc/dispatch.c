#include "dispatch.h"

#include "dispatch_rows.h"

vm_dispatch_table vm_dispatch = VM_DISPATCH_ROW(scalar);

const char *vm_dispatch_name(void) {
    return vm_dispatch.name;
}
