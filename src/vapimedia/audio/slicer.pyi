from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import Buffer

from vapimedia.formats import AudioFormat

__all__ = ["FrameSlicer"]

# numpy's stubs make arrays buffers from Python 3.12 on only.
_Bytes: TypeAlias = Buffer | NDArray[Any]

class FrameSlicer:
    frame_bytes: int
    def __init__(self, fmt: AudioFormat, *, ptime_ms: int = 20) -> None: ...
    def push(self, chunk: _Bytes) -> list[bytes]: ...
    def push_views(self, chunk: _Bytes) -> list[memoryview]: ...
    def flush(self) -> bytes | None: ...
    @property
    def pending_bytes(self) -> int: ...
