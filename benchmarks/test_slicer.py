"""FrameSlicer: an aligned frame, and an odd chunk as Vapi sends it."""

import pytest

from vapimedia.audio import FrameSlicer
from vapimedia.formats import AudioFormat

MULAW8 = AudioFormat("mulaw", 8000)


@pytest.mark.benchmark(group="slice 160 bytes")
def test_push_one_frame(benchmark):
    frame = bytes(range(160))
    assert benchmark(FrameSlicer(MULAW8).push, frame) == [frame]


@pytest.mark.benchmark(group="slice 480 bytes, never aligned")
@pytest.mark.parametrize("method", ["push", "push_views"])
def test_push_odd_chunk(benchmark, method):
    slicer = FrameSlicer(MULAW8)
    slicer.push(b"\x01" * 77)
    frames = benchmark(getattr(slicer, method), b"\x02" * 480)
    assert [len(frame) for frame in frames] == [160, 160, 160]
    assert slicer.pending_bytes == 77
