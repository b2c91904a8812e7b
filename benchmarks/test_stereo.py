"""StereoSplitter: 20 ms of stereo at 16 kHz, aligned and not, beside numpy as one would write it."""

import numpy as np
import pytest

from vapimedia.audio import StereoSplitter

SOUND = np.arange(-640, 640, 2, dtype="<i2")


def ours(n_pending):
    splitter = StereoSplitter()
    splitter.push(SOUND.tobytes()[:n_pending])
    return splitter.push


def plain(n_pending):
    held = bytearray(SOUND.tobytes()[:n_pending])

    def push(chunk):
        held.extend(chunk)
        whole = bytes(held[: len(held) // 4 * 4])
        del held[: len(whole)]
        pairs = np.frombuffer(whole, "<i2").reshape(-1, 2)
        return pairs[:, 0].tobytes(), pairs[:, 1].tobytes()

    return push


@pytest.mark.parametrize("n_pending", [0, 3], ids=["aligned", "straddling"])
@pytest.mark.parametrize("make", [ours, plain], ids=["vapimedia", "numpy"])
def test_one_chunk(measure, make, n_pending):
    name = "vapimedia" if make is ours else "numpy"
    sound = SOUND.tobytes()
    group = f"split 20 ms of stereo, {n_pending} bytes pending"
    left, right = measure(group, name, lambda: (make(n_pending), sound[n_pending:] + sound[:n_pending]))
    pairs = SOUND.reshape(-1, 2)
    assert (left, right) == (pairs[:, 0].tobytes(), pairs[:, 1].tobytes())
