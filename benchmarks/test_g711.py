"""G.711: 160 samples, one frame at 8 kHz, bytes in and bytes out; and ten minutes at once."""

import numpy as np
import peers
import pytest
from laws import decode_table, encode_table

ROWS = list(peers.g711("mulaw", "decode"))
TEN_MINUTES = 600 * 8000

laws = pytest.mark.parametrize("law", ["mulaw", "alaw"])


def check_decoded(law, codes, result):
    assert result == decode_table(law)[np.frombuffer(codes, np.uint8)].tobytes()


def check_encoded(law, pcm, result, name):
    samples = np.frombuffer(pcm, np.int16)
    codes = np.frombuffer(result, np.uint8)
    if name.startswith(("vapimedia", "numpy")):
        assert (codes == encode_table(law)[samples.view(np.uint16)]).all()
    else:  # a few samples one step beside G.191's choice, and a step is a sixteenth
        error = np.abs(decode_table(law)[codes].astype(int) - samples)
        assert (error <= 16 + np.abs(samples.astype(int)) / 16).all()


@laws
@pytest.mark.parametrize("name", ROWS)
def test_decode(measure, law, name):
    row = peers.g711(law, "decode")[name]
    check_decoded(law, bytes(range(160)), measure(f"{law} decode 160", name, row))


@laws
@pytest.mark.parametrize("name", ROWS)
def test_encode(measure, law, name):
    row = peers.g711(law, "encode")[name]
    check_encoded(law, peers.noise(160), measure(f"{law} encode 160", name, row), name)


@pytest.mark.parametrize("name", ROWS)
def test_decode_ten_minutes(measure, name):
    result = measure("mulaw decode 10 min", name, peers.g711("mulaw", "decode", TEN_MINUTES)[name])
    assert len(result) == 2 * TEN_MINUTES
    check_decoded("mulaw", bytes(range(256)), result[:512])


@pytest.mark.parametrize("name", ROWS)
def test_encode_ten_minutes(measure, name):
    result = measure("mulaw encode 10 min", name, peers.g711("mulaw", "encode", TEN_MINUTES)[name])
    check_encoded("mulaw", peers.noise(TEN_MINUTES), result, name)
