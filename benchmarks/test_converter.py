"""Converter: one frame of 20 ms, decoded, resampled and encoded in one call."""

import numpy as np
import pytest

from vapimedia import audio
from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat

MULAW8 = AudioFormat("mulaw", 8000)
PCM16 = AudioFormat("pcm_s16le", 16000)


@pytest.mark.benchmark(group="mulaw/8000 -> pcm_s16le/16000")
def test_mulaw_to_pcm(benchmark, speech_like):
    converter = Converter(MULAW8, PCM16)
    assert len(benchmark(converter.push, audio.mulaw_encode(speech_like(160)))) == 640


@pytest.mark.benchmark(group="mulaw/8000 -> pcm_s16le/16000")
def test_mulaw_to_pcm_audioop_soxr(benchmark, speech_like, audioop, soxr):
    stream = soxr.ResampleStream(8000, 16000, 1, dtype="int16", quality="HQ")
    codes = audio.mulaw_encode(speech_like(160))

    def push():
        return stream.resample_chunk(np.frombuffer(audioop.ulaw2lin(codes, 2), np.int16)).tobytes()

    assert isinstance(benchmark(push), bytes)


@pytest.mark.benchmark(group="pcm_s16le/16000 -> mulaw/8000")
def test_pcm_to_mulaw(benchmark, speech_like):
    converter = Converter(PCM16, MULAW8)
    assert len(benchmark(converter.push, speech_like(320))) == 160


@pytest.mark.benchmark(group="pcm_s16le/16000 -> mulaw/8000")
def test_pcm_to_mulaw_audioop_soxr(benchmark, speech_like, audioop, soxr):
    stream = soxr.ResampleStream(16000, 8000, 1, dtype="int16", quality="HQ")
    pcm = speech_like(320)

    def push():
        return audioop.lin2ulaw(stream.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes(), 2)

    assert isinstance(benchmark(push), bytes)


@pytest.mark.benchmark(group="pass-through")
def test_pass_through(benchmark, speech_like):
    codes = audio.mulaw_encode(speech_like(160))
    assert benchmark(Converter(MULAW8, MULAW8).push, codes) == codes


@pytest.mark.benchmark(group="pass-through")
def test_law_to_law(benchmark, speech_like):
    codes = audio.mulaw_encode(speech_like(160))
    assert len(benchmark(Converter(MULAW8, AudioFormat("alaw", 8000)).push, codes)) == 160
