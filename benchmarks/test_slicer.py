"""FrameSlicer: an aligned frame, and an odd chunk as Vapi sends it, beside a bytearray as one would write it."""

import peers
import pytest

ROWS = list(peers.slicers(160, 0))


@pytest.mark.parametrize("name", ROWS)
def test_one_frame(measure, name):
    (frame,) = measure("slice 160 bytes, aligned", name, peers.slicers(160, 0)[name])
    assert frame == bytes(range(160))


@pytest.mark.parametrize("name", ROWS)
def test_odd_chunk(measure, name):
    frames = measure("slice 480 bytes, never aligned", name, peers.slicers(480, 77)[name])
    chunk = (bytes(range(256)) * 2)[:480]
    assert b"".join(frames)[77:] == chunk[: 480 - 77]
    assert [len(frame) for frame in frames] == [160, 160, 160]
