"""Base64 with padding (RFC 4648 s. 4), judged by the standard library."""

import base64
import itertools
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.audio._kernels import base64_decode, base64_encode

ALPHABET = (string.ascii_letters + string.digits + "+/").encode()
VALID = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
N_MEDIA = 3 * 256


def some_bytes(n: int) -> bytes:
    return bytes(i * 167 % 256 for i in range(n))


def test_every_length_is_encoded_as_the_standard_library_does():
    for n in range(N_MEDIA):
        assert base64_encode(some_bytes(n)) == base64.b64encode(some_bytes(n))


def test_every_length_is_decoded_as_the_standard_library_does():
    for n in range(N_MEDIA):
        assert base64_decode(base64.b64encode(some_bytes(n))) == some_bytes(n)


@given(st.binary(max_size=400))
def test_decoding_undoes_encoding(data):
    assert base64_decode(base64_encode(data)) == data


@pytest.mark.parametrize("text", [b"QUJDREVG", b"QUJDREU=", b"QUJDRA=="])
def test_every_other_character_is_refused_at_every_place(text):
    for at, value in itertools.product(range(len(text.rstrip(b"="))), range(256)):
        broken = text[:at] + bytes([value]) + text[at + 1 :]
        assert (base64_decode(broken) is None) == (value not in ALPHABET and not VALID.fullmatch(broken))


def test_padding_is_taken_at_the_end_alone():
    for form in itertools.product(b"A=", repeat=4):
        for text in (bytes(form), b"QUJD" + bytes(form), bytes(form) + b"QUJD"):
            valid = VALID.fullmatch(text)
            assert base64_decode(text) == (base64.b64decode(text) if valid else None), text


def test_text_that_is_not_whole_groups_is_refused():
    for n in range(1, 40):
        if n % 4:
            assert base64_decode(b"A" * n) is None
            assert base64_decode(b"A" * (n - 1) + b"=") is None


def test_unused_bits_may_be_set():
    assert base64_decode(b"QR==") == b"A"
    assert base64_decode(b"QUJ=") == base64.b64decode(b"QUJ=")


@given(st.lists(st.sampled_from([*ALPHABET, *b"==\n-_ \0\xff"]), max_size=24).map(bytes))
def test_any_text_is_decoded_or_refused_as_the_standard_says(text):
    assert base64_decode(text) == (base64.b64decode(text) if VALID.fullmatch(text) else None)
