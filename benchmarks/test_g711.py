"""G.711: 160 samples, one frame at 8 kHz, bytes in and bytes out."""

import pytest

from vapimedia import audio


@pytest.fixture
def codes():
    return bytes(range(160))


@pytest.mark.benchmark(group="mulaw decode 160")
def test_mulaw_decode(benchmark, codes):
    assert benchmark(audio.mulaw_decode, codes)[:2] == b"\x84\x82"


@pytest.mark.benchmark(group="mulaw decode 160")
def test_mulaw_decode_into(benchmark, codes):
    pcm = bytearray(320)
    assert benchmark(audio.mulaw_decode_into, codes, pcm) == 160
    assert pcm == audio.mulaw_decode(codes)


@pytest.mark.benchmark(group="mulaw decode 160")
def test_mulaw_decode_audioop(benchmark, codes, audioop):
    assert benchmark(audioop.ulaw2lin, codes, 2) == audio.mulaw_decode(codes)


@pytest.mark.benchmark(group="mulaw encode 160")
def test_mulaw_encode(benchmark, speech_like):
    assert len(benchmark(audio.mulaw_encode, speech_like(160))) == 160


@pytest.mark.benchmark(group="mulaw encode 160")
def test_mulaw_encode_audioop(benchmark, speech_like, audioop):
    assert len(benchmark(audioop.lin2ulaw, speech_like(160), 2)) == 160


@pytest.mark.benchmark(group="alaw decode 160")
def test_alaw_decode(benchmark, codes):
    assert benchmark(audio.alaw_decode, codes)[:2] == b"\x80\xea"


@pytest.mark.benchmark(group="alaw decode 160")
def test_alaw_decode_audioop(benchmark, codes, audioop):
    assert benchmark(audioop.alaw2lin, codes, 2) == audio.alaw_decode(codes)


@pytest.mark.benchmark(group="alaw encode 160")
def test_alaw_encode(benchmark, speech_like):
    assert len(benchmark(audio.alaw_encode, speech_like(160))) == 160


@pytest.mark.benchmark(group="alaw encode 160")
def test_alaw_encode_audioop(benchmark, speech_like, audioop):
    assert len(benchmark(audioop.lin2alaw, speech_like(160), 2)) == 160


@pytest.mark.benchmark(group="mulaw encode bulk, 1 min")
def test_mulaw_encode_bulk(benchmark, speech_like):
    assert len(benchmark(audio.mulaw_encode, speech_like(480_000))) == 480_000
