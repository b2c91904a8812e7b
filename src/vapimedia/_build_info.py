"""Where the parts for other people's C and Cython are."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["get_include", "get_library_dir"]


def get_include() -> str:
    """Return the folder of the C headers: what builds on our ``.pxd`` files passes it to its C compiler.

    Raises ``FileNotFoundError`` in a source tree that was never built.
    """
    return _installed("include")


def get_library_dir() -> str:
    """Return the folder of the kernels as a static library, for programs that have no Python in them.

    ``cc -I$(get_include) program.c -L$(get_library_dir) -lvm_kernels -lm`` builds one. It calls
    ``vm_dispatch_init(NULL)`` once before all else: that chooses the kernels for the processor it runs on. Raises
    ``FileNotFoundError`` in a source tree that was never built.
    """
    return _installed("lib")


def _installed(name: str) -> str:
    # An editable install keeps what was built elsewhere than what was written.
    for folder in sys.modules[__package__].__path__:
        found = Path(folder) / name
        if found.is_dir():
            return str(found)
    raise FileNotFoundError(
        "vapimedia's C headers and library are not installed; install the package, or build it in place"
    )
