"""FrameSlicer: nothing is lost, added or moved."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from vapimedia.audio import FrameSlicer
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

MULAW = AudioFormat("mulaw", 8000)
PCM = AudioFormat("pcm_s16le", 16000)
SMALL = AudioFormat("mulaw", 1000)

chunk_lists = st.lists(st.binary(max_size=70), max_size=12)


@hypothesis.given(chunk_lists)
@hypothesis.settings(max_examples=100)
def test_slicing_does_not_depend_on_chunk_boundaries(chunks):
    slicer, whole = FrameSlicer(SMALL), FrameSlicer(SMALL)
    frames = [frame for chunk in chunks for frame in slicer.push(chunk)]
    assert frames == whole.push(b"".join(chunks))
    assert slicer.flush() == whole.flush()


@hypothesis.given(chunk_lists)
@hypothesis.settings(max_examples=100)
def test_frames_and_pending_bytes_are_the_stream(chunks):
    slicer = FrameSlicer(SMALL)
    frames = [frame for chunk in chunks for frame in slicer.push(chunk)]
    n_pending = slicer.pending_bytes
    rest = (slicer.flush() or b"")[:n_pending]
    assert all(len(frame) == 20 for frame in frames)
    assert b"".join(frames) + rest == b"".join(chunks)


@hypothesis.given(chunk_lists)
@hypothesis.settings(max_examples=100)
def test_views_hold_the_same_bytes_as_frames(chunks):
    slicer, viewing = FrameSlicer(SMALL), FrameSlicer(SMALL)
    for chunk in chunks:
        assert [bytes(view) for view in viewing.push_views(chunk)] == slicer.push(chunk)
        assert viewing.pending_bytes == slicer.pending_bytes


@pytest.mark.parametrize("dtype", ["<i2", "u1", "i1"])
@pytest.mark.parametrize("n_columns", [1, 4])
def test_views_of_any_contiguous_array_are_bytes_in_its_order(dtype, n_columns):
    array = np.arange(320).astype(dtype).reshape(-1, n_columns)
    views = FrameSlicer(MULAW).push_views(array)
    assert b"".join(views) == array.tobytes()
    assert {(view.format, view.ndim) for view in views} == {("B", 1)}


def test_views_do_not_copy_the_chunk():
    chunk = bytearray(320)
    first, second = FrameSlicer(MULAW).push_views(chunk)
    chunk[0] = chunk[160] = 7
    assert (first[0], second[0]) == (7, 7)


def test_a_straddling_view_outlives_its_chunks():
    slicer = FrameSlicer(MULAW)
    chunk = bytearray(b"\x01" * 100)
    assert slicer.push_views(chunk) == []
    (view,) = slicer.push_views(bytearray(b"\x02" * 60))
    chunk[:] = bytes(100)
    assert bytes(view) == b"\x01" * 100 + b"\x02" * 60


def test_views_of_an_int16_array_are_bytes():
    samples = np.arange(640).astype("<i2")
    views = FrameSlicer(PCM).push_views(samples)
    assert b"".join(views) == samples.tobytes()
    assert [len(view) for view in views] == [640, 640]


@pytest.mark.parametrize(
    ("text", "n_given", "padding"),
    [
        ("mulaw/8000", 33, b"\xff" * 127),
        ("alaw/8000", 33, b"\xd5" * 127),
        ("pcm_s16le/8000", 34, bytes(286)),
    ],
)
def test_flush_pads_with_the_silence_of_the_format(text, n_given, padding):
    slicer = FrameSlicer(AudioFormat.parse(text))
    slicer.push(b"\x11" * n_given)
    assert slicer.flush() == b"\x11" * n_given + padding


def test_flush_replaces_half_a_sample_by_silence():
    slicer = FrameSlicer(PCM)
    slicer.push(b"\x11\x22\x33")
    assert slicer.flush() == b"\x11\x22" + bytes(638)


def test_flush_of_nothing_is_none():
    slicer = FrameSlicer(MULAW)
    assert slicer.flush() is None
    slicer.push(bytes(320))
    assert slicer.flush() is None


def test_flush_starts_anew():
    slicer = FrameSlicer(MULAW)
    slicer.push(bytes(10))
    slicer.flush()
    assert slicer.pending_bytes == 0
    assert slicer.push(b"\x05" * 160) == [b"\x05" * 160]


def test_frame_size_follows_the_format_and_ptime():
    assert FrameSlicer(PCM).frame_bytes == 640
    assert FrameSlicer(MULAW, ptime_ms=30).frame_bytes == 240


@pytest.mark.parametrize("chunk", [b"", bytearray(), np.zeros(0, np.int16)])
def test_empty_chunks_are_fine(chunk):
    slicer = FrameSlicer(MULAW)
    slicer.push(bytes(3))
    assert slicer.push(chunk) == slicer.push_views(chunk) == []
    assert slicer.pending_bytes == 3


def test_a_ptime_that_is_not_whole_samples_is_refused():
    with pytest.raises(ConfigError, match="not a whole number of samples"):
        FrameSlicer(AudioFormat("mulaw", 11025), ptime_ms=1)


def test_wrong_types_are_refused():
    with pytest.raises(TypeError, match="AudioFormat"):
        FrameSlicer("mulaw/8000")
    for push in (FrameSlicer(MULAW).push, FrameSlicer(MULAW).push_views):
        with pytest.raises(TypeError):
            push("text")
