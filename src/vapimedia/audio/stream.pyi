from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import Buffer

__all__ = ["Stream"]

# numpy's stubs make arrays buffers from Python 3.12 on only.
_Bytes: TypeAlias = Buffer | NDArray[Any]

class Stream:
    def push(self, chunk: _Bytes) -> bytes: ...
    def flush(self) -> bytes: ...
    def reset(self) -> None: ...
