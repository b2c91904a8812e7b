"""Where the parts for other people's C and Cython are."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["get_include"]


def get_include() -> str:
    """Return the folder of the C headers: what builds on our ``.pxd`` files passes it to its C compiler.

    Raises ``FileNotFoundError`` in a source tree that was never built.
    """
    # An editable install keeps what was built elsewhere than what was written.
    for folder in sys.modules[__package__].__path__:
        include = Path(folder) / "include"
        if include.is_dir():
            return str(include)
    raise FileNotFoundError(
        "vapimedia's C headers are not installed; install the package, or build it in place"
    )
