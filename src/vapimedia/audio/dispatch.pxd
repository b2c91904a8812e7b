cdef extern from "dispatch.h":
    int vm_dispatch_init(const char *name) noexcept nogil
    const char *vm_dispatch_name() noexcept nogil
