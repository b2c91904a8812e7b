cdef extern from "dispatch.h":
    int vm_dispatch_init(const char *name) nogil
    const char *vm_dispatch_name() nogil
