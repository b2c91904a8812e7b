# cython: freethreading_compatible=True
"""Which instruction set the kernels use. ``VAPIMEDIA_SIMD`` in the environment at import forces one.

Every extension module holds its own copy of the kernels: each calls ``vm_dispatch_init`` when imported.
"""

import os

from vapimedia.errors import ConfigError

__all__ = ["simd"]


cdef str choose():
    forced = os.environ.get("VAPIMEDIA_SIMD", "")
    if vm_dispatch_init(forced.encode()) != 0:
        raise ConfigError(
            f"VAPIMEDIA_SIMD={forced!r} is not available here; leave it unset, or set it to 'scalar'"
        )
    return vm_dispatch_name().decode()


simd = choose()
