"""Audio kernels for one stream: G.711, resampling, slicing, conversion. Bytes or arrays in and out.

Everything here takes any C-contiguous object with the buffer protocol and stands alone: no socket, no clock,
no event loop.
"""

from vapimedia.audio.converter import Converter
from vapimedia.audio.dispatch import simd
from vapimedia.audio.g711 import (
    alaw_decode,
    alaw_decode_into,
    alaw_encode,
    alaw_encode_into,
    mulaw_decode,
    mulaw_decode_into,
    mulaw_encode,
    mulaw_encode_into,
)
from vapimedia.audio.resampler import Resampler
from vapimedia.audio.signal import resample
from vapimedia.audio.slicer import FrameSlicer
from vapimedia.audio.stereo import StereoSplitter

__all__ = [
    "Converter",
    "FrameSlicer",
    "Resampler",
    "StereoSplitter",
    "alaw_decode",
    "alaw_decode_into",
    "alaw_encode",
    "alaw_encode_into",
    "mulaw_decode",
    "mulaw_decode_into",
    "mulaw_encode",
    "mulaw_encode_into",
    "resample",
    "simd",
]
