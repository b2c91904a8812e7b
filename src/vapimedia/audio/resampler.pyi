from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import Buffer

from vapimedia.audio.stream import Stream
from vapimedia.formats import Quality

__all__ = ["Resampler", "output_length", "resample_lines"]

# numpy's stubs make arrays buffers from Python 3.12 on only.
_Bytes: TypeAlias = Buffer | NDArray[Any]

class Resampler(Stream):
    from_hz: int
    to_hz: int
    quality: Quality
    def __init__(self, from_hz: int, to_hz: int, *, quality: Quality = "balanced") -> None: ...
    def push(self, pcm: _Bytes) -> bytes: ...
    def push_into(self, pcm: _Bytes, out: _Bytes) -> int: ...
    def max_output(self, n_samples: int) -> int: ...
    @property
    def latency_samples(self) -> int: ...

def output_length(n_samples: int, from_hz: int, to_hz: int) -> int: ...
def resample_lines(
    source: NDArray[Any], target: NDArray[Any], from_hz: int, to_hz: int, quality: Quality
) -> None: ...
