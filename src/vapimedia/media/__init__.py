"""One direction of a call's media: envelope, conversion, slicing, playout, latency. Sans-I/O; time is an argument.

Media messages pass through here in C, without a Python object of ours: other Cython code reaches the same
functions through ``path.pxd``.
"""

from vapimedia.media._types import Distribution, HopStats, LivePolicy, PathStats, PlayoutPolicy
from vapimedia.media.envelope import Envelope
from vapimedia.media.live import LivePath
from vapimedia.media.path import MediaPath
from vapimedia.media.playout import PlayoutPath
from vapimedia.media.reorder import ReorderPath

__all__ = [
    "Distribution",
    "Envelope",
    "HopStats",
    "LivePath",
    "LivePolicy",
    "MediaPath",
    "PathStats",
    "PlayoutPath",
    "PlayoutPolicy",
    "ReorderPath",
]
