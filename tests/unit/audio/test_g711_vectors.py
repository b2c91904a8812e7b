"""G.711 against the conformance vectors of the ITU-T Software Tool Library (G.191), which are not ours to ship.

VAPIMEDIA_ITU_G711 names the folder that holds them: src/g711/test_data of https://github.com/openitu/STL.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from vapimedia import audio

FOLDER = os.environ.get("VAPIMEDIA_ITU_G711", "")

pytestmark = [
    pytest.mark.skipif(not FOLDER, reason="VAPIMEDIA_ITU_G711 names no folder with the ITU's vectors"),
    pytest.mark.usefixtures("simd"),
]


def vector(name: str) -> np.ndarray:
    """Little-endian words; a code is one word, in its low byte."""
    words = np.frombuffer((Path(FOLDER) / name).read_bytes(), "<i2")
    assert len(words) == 65536
    return words


@pytest.mark.parametrize(
    ("encode", "codes"), [(audio.mulaw_encode, "sweep-r.u"), (audio.alaw_encode, "sweep-r.a")]
)
def test_the_sweep_encodes_to_the_vector(encode, codes):
    assert encode(vector("sweep.src")) == vector(codes).astype(np.uint8).tobytes()


@pytest.mark.parametrize(
    ("decode", "codes", "samples"),
    [
        (audio.mulaw_decode, "sweep-r.u", "sweep-r.u-u"),
        (audio.mulaw_decode, "sweep-r.u", "sweep-r.reu"),
        (audio.alaw_decode, "sweep-r.a", "sweep-r.rea"),
    ],
)
def test_the_codes_of_the_sweep_decode_to_the_vector(decode, codes, samples):
    assert decode(vector(codes).astype(np.uint8)) == vector(samples).tobytes()
