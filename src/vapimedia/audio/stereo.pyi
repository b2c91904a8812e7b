from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import Buffer

__all__ = ["StereoSplitter"]

# numpy's stubs make arrays buffers from Python 3.12 on only.
_Bytes: TypeAlias = Buffer | NDArray[Any]

class StereoSplitter:
    def __init__(self) -> None: ...
    def push(self, chunk: _Bytes) -> tuple[bytes, bytes]: ...
    def reset(self) -> None: ...
    @property
    def pending_bytes(self) -> int: ...
