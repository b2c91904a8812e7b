cdef extern from "dispatch.h":
    ctypedef struct vm_dispatch_table:
        const char *name
    vm_dispatch_table vm_dispatch
    int vm_dispatch_init(const char *name) noexcept nogil
    const char *vm_dispatch_name() noexcept nogil
