"""Base64: the payload of one frame, 160 bytes or 216 characters."""

import base64
import binascii

import pytest

from vapimedia.audio._kernels import base64_decode, base64_encode

CODES = bytes(range(160))
TEXT = base64.b64encode(CODES)
ENCODE = {"vapimedia": base64_encode, "binascii": lambda data: binascii.b2a_base64(data, newline=False)}
DECODE = {"vapimedia": base64_decode, "binascii": lambda text: binascii.a2b_base64(text, strict_mode=True)}


@pytest.mark.parametrize("name", ENCODE)
def test_encode(measure, name):
    assert measure("base64 encode 160", name, lambda: (ENCODE[name], CODES)) == TEXT


@pytest.mark.parametrize("name", DECODE)
def test_decode(measure, name):
    assert measure("base64 decode 160", name, lambda: (DECODE[name], TEXT)) == CODES
