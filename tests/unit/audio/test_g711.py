"""G.711 against a reference written from ITU-T G.191's description, number by number, with each instruction set."""

import hashlib
from functools import cache

import numpy as np
import pytest

from vapimedia import audio

ALL_SAMPLES = np.arange(-32768, 32768).astype("<i2").tobytes()
ALL_CODES = bytes(range(256))
# What the conformance vectors of the ITU-T Software Tool Library give for all samples in rising order.
ENCODED_SHA256 = {
    "mulaw": "90c29de505fb68e766118303bd552a16005dcf810873698bee1d8f3b247ce28c",
    "alaw": "38488f6fd710f4686360edc4d38639f96c491595ef93f8eb8d62d5e07ca6ce7b",
}


def reference_mulaw_encode(sample: int) -> int:
    magnitude = min(((~sample if sample < 0 else sample) >> 2) + 33, 0x1FFF)
    segment = magnitude.bit_length() - 6
    code = (7 - segment) << 4 | 15 - ((magnitude >> (segment + 1)) & 15)
    return code | 0x80 if sample >= 0 else code


def reference_alaw_encode(sample: int) -> int:
    magnitude = (~sample if sample < 0 else sample) >> 4
    if magnitude > 15:
        segment = magnitude.bit_length() - 4
        magnitude = (magnitude >> (segment - 1)) - 16 + (segment << 4)
    return (magnitude | 0x80 if sample >= 0 else magnitude) ^ 0x55


def reference_mulaw_decode(code: int) -> int:
    code ^= 0xFF
    magnitude = ((((code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


def reference_alaw_decode(code: int) -> int:
    code ^= 0x55
    segment = (code >> 4) & 7
    magnitude = ((code & 15) << 4) + 8
    if segment:
        magnitude = (magnitude + 256) << (segment - 1)
    return magnitude if code & 0x80 else -magnitude


LAWS = {
    "mulaw": (audio.mulaw_encode, audio.mulaw_decode, reference_mulaw_encode, reference_mulaw_decode),
    "alaw": (audio.alaw_encode, audio.alaw_decode, reference_alaw_encode, reference_alaw_decode),
}
INTO = {
    "mulaw": (audio.mulaw_encode_into, audio.mulaw_decode_into),
    "alaw": (audio.alaw_encode_into, audio.alaw_decode_into),
}
laws = pytest.mark.parametrize("law", ["mulaw", "alaw"])
each_simd = pytest.mark.usefixtures("simd")


@cache
def encoded(law: str) -> np.ndarray:
    """Codes of ALL_SAMPLES."""
    return np.array([LAWS[law][2](sample) for sample in range(-32768, 32768)], np.uint8)


@cache
def decoded(law: str) -> np.ndarray:
    """Samples of ALL_CODES."""
    return np.array([LAWS[law][3](code) for code in range(256)], "<i2")


@laws
@each_simd
def test_all_65536_samples_encode_as_the_recommendation_says(law):
    assert LAWS[law][0](ALL_SAMPLES) == encoded(law).tobytes()


@laws
@each_simd
def test_all_65536_samples_encode_as_the_conformance_vectors_say(law):
    assert hashlib.sha256(LAWS[law][0](ALL_SAMPLES)).hexdigest() == ENCODED_SHA256[law]


@laws
@each_simd
def test_all_256_codes_decode_as_the_recommendation_says(law):
    assert LAWS[law][1](ALL_CODES) == decoded(law).tobytes()


@each_simd
def test_only_mulaw_7f_changes_when_decoded_and_encoded_again():
    assert audio.mulaw_encode(audio.mulaw_decode(ALL_CODES)) == ALL_CODES.replace(b"\x7f", b"\xff")
    assert audio.alaw_encode(audio.alaw_decode(ALL_CODES)) == ALL_CODES


@laws
@each_simd
@pytest.mark.parametrize("neighbour", [-32768, -1, 0, 255, 32767])
def test_a_sample_is_encoded_alike_beside_any_other(law, neighbour):
    pcm = np.full(2 * 65536, neighbour, "<i2")
    pcm[::2] = np.frombuffer(ALL_SAMPLES, "<i2")
    expected = np.full(2 * 65536, encoded(law)[neighbour + 32768])
    expected[::2] = encoded(law)
    assert LAWS[law][0](pcm) == expected.tobytes()
    assert LAWS[law][0](pcm[::-1].copy()) == expected[::-1].tobytes()


@laws
@each_simd
def test_all_codes_decode_alike_at_every_place_of_a_register(law):
    for shift in range(64):
        codes = np.roll(np.arange(256, dtype=np.uint8), shift)
        assert LAWS[law][1](codes) == decoded(law)[codes].tobytes()


@laws
@each_simd
def test_no_length_and_no_alignment_changes_the_result_or_what_lies_around_it(law):
    encode_into, decode_into = INTO[law]
    pcm = np.random.default_rng(1).integers(-32768, 32768, 68).astype("<i2")
    codes = encoded(law)[pcm.astype(int) + 32768]
    for convert_into, source, expected in (
        (encode_into, pcm.tobytes(), codes.tobytes()),
        (decode_into, codes.tobytes(), decoded(law)[codes].tobytes()),
    ):
        size, width = len(source) // 68, len(expected) // 68
        for offset in range(16):
            given = memoryview(bytes(offset) + source)[offset:]
            for n in range(68):
                start = (5 * offset + n) % 16
                guarded = bytearray(b"\xa5" * (start + n * width + 64))
                end = start + n * width
                assert convert_into(given[: n * size], memoryview(guarded)[start:end]) == n
                assert guarded[start:end] == expected[: n * width]
                assert guarded[:start] == b"\xa5" * start
                assert guarded[end:] == b"\xa5" * 64


@laws
@each_simd
def test_long_signals_equal_short_ones(law):
    encode, decode, _, _ = LAWS[law]
    pcm = np.random.default_rng(2).integers(-32768, 32768, 40_000).astype("<i2")
    whole = encode(pcm)
    assert whole == b"".join(encode(pcm[i : i + 1000]) for i in range(0, 40_000, 1000))
    assert decode(whole) == b"".join(decode(whole[i : i + 1000]) for i in range(0, 40_000, 1000))


@laws
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, "i1")])
def test_any_contiguous_buffer_is_taken(law, wrap):
    encode, decode, _, _ = LAWS[law]
    assert decode(wrap(ALL_CODES)) == decode(ALL_CODES)
    assert encode(wrap(ALL_SAMPLES)) == encode(ALL_SAMPLES)


@laws
def test_int16_arrays_are_taken_as_samples(law):
    assert LAWS[law][0](np.frombuffer(ALL_SAMPLES, "<i2")) == LAWS[law][0](ALL_SAMPLES)


@laws
def test_into_writes_the_same_and_returns_the_samples(law):
    (encode, decode, _, _), (encode_into, decode_into) = LAWS[law], INTO[law]
    codes, pcm = bytearray(70_000), np.zeros(300, "<i2")
    assert encode_into(ALL_SAMPLES, codes) == 65536
    assert decode_into(ALL_CODES, pcm) == 256
    assert codes == encode(ALL_SAMPLES) + bytes(70_000 - 65536)
    assert pcm.tobytes() == decode(ALL_CODES) + bytes(88)


@laws
def test_empty_input_gives_empty_output(law):
    assert LAWS[law][0](b"") == LAWS[law][1](b"") == b""
    assert INTO[law][0](b"", bytearray()) == INTO[law][1](b"", bytearray()) == 0


@laws
def test_an_odd_number_of_pcm_bytes_is_refused(law):
    with pytest.raises(ValueError, match="3 bytes are not whole 16-bit samples"):
        LAWS[law][0](b"abc")
    with pytest.raises(ValueError, match="not whole"):
        INTO[law][0](b"abc", bytearray(9))


@laws
def test_a_small_output_is_refused_and_left_alone(law):
    out = bytearray(3)
    with pytest.raises(ValueError, match="holds 3 bytes, 4 are needed"):
        INTO[law][1](b"ab", out)
    with pytest.raises(ValueError, match="holds 3 bytes, 4 are needed"):
        INTO[law][0](bytes(range(8)), out)
    assert out == bytes(3)


@laws
@pytest.mark.parametrize("wrong", ["text", 5, None, [1, 2]])
def test_what_has_no_buffer_is_refused(law, wrong):
    for function in LAWS[law][:2]:
        with pytest.raises(TypeError):
            function(wrong)


@laws
def test_arrays_of_the_wrong_type_are_refused(law):
    with pytest.raises(TypeError, match="4-byte items"):
        LAWS[law][0](np.zeros(4, np.float32))
    with pytest.raises(TypeError, match="2-byte items"):
        LAWS[law][1](np.zeros(4, np.int16))


@laws
def test_a_read_only_output_is_refused(law):
    with pytest.raises(BufferError, match="cannot write into a read-only bytes"):
        INTO[law][1](b"ab", b"12345678")
