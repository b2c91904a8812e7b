from typing import Any, TypeAlias

from numpy.typing import NDArray
from typing_extensions import Buffer

__all__ = [
    "alaw_decode",
    "alaw_decode_into",
    "alaw_encode",
    "alaw_encode_into",
    "mulaw_decode",
    "mulaw_decode_into",
    "mulaw_encode",
    "mulaw_encode_into",
]

# numpy's stubs make arrays buffers from Python 3.12 on only.
_Bytes: TypeAlias = Buffer | NDArray[Any]

def mulaw_decode(mulaw: _Bytes) -> bytes: ...
def mulaw_encode(pcm: _Bytes) -> bytes: ...
def alaw_decode(alaw: _Bytes) -> bytes: ...
def alaw_encode(pcm: _Bytes) -> bytes: ...
def mulaw_decode_into(mulaw: _Bytes, pcm: _Bytes) -> int: ...
def mulaw_encode_into(pcm: _Bytes, mulaw: _Bytes) -> int: ...
def alaw_decode_into(alaw: _Bytes, pcm: _Bytes) -> int: ...
def alaw_encode_into(pcm: _Bytes, alaw: _Bytes) -> int: ...
