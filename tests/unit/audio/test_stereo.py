"""StereoSplitter: two channels apart, whatever the chunks."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from vapimedia.audio import StereoSplitter


@hypothesis.given(st.lists(st.binary(max_size=70), max_size=12))
@hypothesis.settings(max_examples=100)
def test_taking_apart_does_not_depend_on_chunk_boundaries(chunks):
    splitter = StereoSplitter()
    parts = [splitter.push(chunk) for chunk in chunks]
    audio = b"".join(chunks)
    pairs = np.frombuffer(audio, "<i2", len(audio) // 4 * 2).reshape(-1, 2)
    assert b"".join(left for left, _ in parts) == pairs[:, 0].tobytes()
    assert b"".join(right for _, right in parts) == pairs[:, 1].tobytes()
    assert splitter.pending_bytes == len(audio) % 4


def test_arrays_and_unaligned_views_are_taken_as_bytes_are():
    pairs = np.arange(1600, dtype=np.int16).reshape(-1, 2)
    expected = pairs[:, 0].tobytes(), pairs[:, 1].tobytes()
    assert StereoSplitter().push(pairs) == expected
    assert StereoSplitter().push(memoryview(b"x" + pairs.tobytes())[1:]) == expected


def test_a_reset_forgets_what_was_carried():
    splitter = StereoSplitter()
    splitter.push(b"\1\2\3")
    splitter.reset()
    assert splitter.push(b"\1\0\2\0") == (b"\1\0", b"\2\0")


def test_text_and_floats_are_refused():
    for wrong in ("text", np.zeros(4, np.float32)):
        with pytest.raises(TypeError):
            StereoSplitter().push(wrong)
