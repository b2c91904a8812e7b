# cython: freethreading_compatible=True
"""Which instruction set the kernels use. ``VAPIMEDIA_SIMD`` in the environment at import forces one.

Every extension module holds its own copy of the kernels, and calls ``adopt`` once when it is imported.
"""

import os

from libc.stdint cimport uintptr_t

from vapimedia.errors import ConfigError

__all__ = ["adopt", "available", "force_simd", "simd"]

ctypedef int (*Choose)(const char *name) noexcept nogil

cdef tuple KNOWN = ("avx512", "avx2", "sse2", "neon", "scalar")
cdef list copies = []  # addresses of the modules' own vm_dispatch_init


cdef str choose(str name):
    if vm_dispatch_init(name.encode()) != 0:
        raise ConfigError(
            f"VAPIMEDIA_SIMD={name!r} is not available here; leave it unset, or set it to one of "
            f"{', '.join(available)}"
        )
    return vm_dispatch_name().decode()


available = tuple(name for name in KNOWN if vm_dispatch_init(name.encode()) == 0)
simd = choose(os.environ.get("VAPIMEDIA_SIMD", ""))


def adopt(uintptr_t init):
    """Choose for one module's kernels what was chosen for all. *init* is the address of its ``vm_dispatch_init``."""
    copies.append(init)
    name = vm_dispatch_name()
    (<Choose><void *>init)(name)


def force_simd(str name):
    """Choose *name* for all modules from now on, for tests; return what was chosen before.

    Streams go on: their state is the same for all instruction sets. ``simd`` still names the choice at import.
    """
    before = vm_dispatch_name().decode()
    choose(name)
    for init in copies:
        (<Choose><void *><uintptr_t>init)(vm_dispatch_name())
    return before
