from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import Buffer

from vapimedia.audio.stream import Stream
from vapimedia.formats import Quality

__all__ = ["Resampler", "resample_line"]

# numpy's stubs make arrays buffers from Python 3.12 on only.
_Bytes: TypeAlias = Buffer | NDArray[Any]

class Resampler(Stream):
    from_hz: int
    to_hz: int
    quality: Quality
    def __init__(self, from_hz: int, to_hz: int, *, quality: Quality = "balanced") -> None: ...
    def push_into(self, pcm: _Bytes, out: _Bytes) -> int: ...
    def max_output(self, n_samples: int) -> int: ...
    @property
    def latency_samples(self) -> int: ...
    @property
    def latency_ms(self) -> float: ...

def resample_line(
    source: _Bytes, target: _Bytes, from_hz: int, to_hz: int, quality: Quality, is_float: bool
) -> int: ...
