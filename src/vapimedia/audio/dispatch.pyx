# cython: freethreading_compatible=True
"""Which instruction set the kernels use. ``VAPIMEDIA_SIMD`` in the environment at import forces one.

Every extension module that calls kernels has a table of its own, and calls ``adopt`` once when it is imported: the
variants themselves, and the coefficients that streams share, are in this module alone.
"""

import os

from libc.stdint cimport uintptr_t

from vapimedia.errors import ConfigError

cdef extern from "fir_table.h":
    size_t vm_fir_table_designed() noexcept nogil

__all__ = ["adopt", "available", "designed", "force_simd", "simd", "variants"]

cdef tuple KNOWN = ("avx512", "avx2", "sse2", "neon", "scalar")
cdef dict copies = {}  # modules' names, and the addresses of their tables


cdef str choose(str name):
    if vm_dispatch_init(name.encode()) != 0:
        raise ConfigError(
            f"VAPIMEDIA_SIMD={name!r} is not available here; leave it unset, or set it to one of "
            f"{', '.join(available)}"
        )
    return vm_dispatch_name().decode()


available = tuple(name for name in KNOWN if vm_dispatch_init(name.encode()) == 0)
simd = choose(os.environ.get("VAPIMEDIA_SIMD", ""))


def adopt(uintptr_t table, str module not None):
    """Give *module* the kernels that were chosen. *table* is the address of its own ``vm_dispatch``."""
    copies[module] = table
    (<vm_dispatch_table *><void *>table)[0] = vm_dispatch


def force_simd(str name):
    """Choose *name* for all modules from now on, for tests; return what was chosen before.

    Streams go on: their state is the same for all instruction sets. ``simd`` still names the choice at import.
    """
    before = vm_dispatch_name().decode()
    choose(name)
    for table in copies.values():
        (<vm_dispatch_table *><void *><uintptr_t>table)[0] = vm_dispatch
    return before


def variants():
    """Return which instruction set each module that adopted uses now, for tests."""
    return {
        module: (<vm_dispatch_table *><void *><uintptr_t>table).name.decode() for module, table in copies.items()
    }


def designed():
    """Return how many filters were designed so far in this process, for tests."""
    return vm_fir_table_designed()
