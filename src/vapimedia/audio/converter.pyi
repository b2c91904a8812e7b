from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import Buffer

from vapimedia.audio.stream import Stream
from vapimedia.formats import AudioFormat, Quality

__all__ = ["Converter"]

# numpy's stubs make arrays buffers from Python 3.12 on only.
_Bytes: TypeAlias = Buffer | NDArray[Any]

class Converter(Stream):
    source: AudioFormat
    target: AudioFormat
    quality: Quality
    def __init__(
        self, source: AudioFormat, target: AudioFormat, *, quality: Quality = "balanced"
    ) -> None: ...
    def push(self, chunk: _Bytes) -> bytes: ...
    def push_into(self, chunk: _Bytes, out: _Bytes) -> int: ...
    def max_output(self, n_bytes: int) -> int: ...
