"""Base64: the payload of one frame, 160 bytes or 216 characters."""

import base64
import binascii

import pytest

from vapimedia.audio._kernels import base64_decode, base64_encode


@pytest.fixture
def codes():
    return bytes(range(160))


@pytest.fixture
def text(codes):
    return base64.b64encode(codes)


@pytest.mark.benchmark(group="base64 encode 160")
def test_encode(benchmark, codes, text):
    assert benchmark(base64_encode, codes) == text


@pytest.mark.benchmark(group="base64 encode 160")
def test_encode_binascii(benchmark, codes, text):
    assert benchmark(binascii.b2a_base64, codes, newline=False) == text


@pytest.mark.benchmark(group="base64 decode 160")
def test_decode(benchmark, codes, text):
    assert benchmark(base64_decode, text) == codes


@pytest.mark.benchmark(group="base64 decode 160")
def test_decode_binascii(benchmark, codes, text):
    assert benchmark(binascii.a2b_base64, text, strict_mode=True) == codes
