"""Converter: one frame of 20 ms, decoded, resampled and encoded in one call."""

import peers
import pytest
from delay import follow

from vapimedia import audio
from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat

MULAW8, ALAW8 = AudioFormat("mulaw", 8000), AudioFormat("alaw", 8000)
PCM16 = AudioFormat("pcm_s16le", 16_000)
ROWS = list(peers.conversions(MULAW8, PCM16))


def required(name):
    return (
        0.9 if "no filter" in name else 0.999
    )  # linear interpolation bends the band and lets images through


@pytest.mark.parametrize("name", ROWS)
def test_mulaw_to_pcm(measure, name):
    rows = peers.conversions(MULAW8, PCM16)
    result = measure("mulaw/8000 -> pcm_s16le/16000", name, rows[name])
    assert "vapimedia" not in name or len(result) == 640
    push = rows[name]()[0]
    assert follow(lambda pcm: push(audio.mulaw_encode(pcm)), 8000, 16_000).match > required(name)


@pytest.mark.parametrize("name", ROWS)
def test_pcm_to_mulaw(measure, name):
    rows = peers.conversions(PCM16, MULAW8)
    result = measure("pcm_s16le/16000 -> mulaw/8000", name, rows[name])
    assert "vapimedia" not in name or len(result) == 160
    push = rows[name]()[0]
    assert follow(lambda pcm: audio.mulaw_decode(push(pcm)), 16_000, 8000).match > required(name)


@pytest.mark.parametrize("target", [MULAW8, ALAW8], ids=["mulaw to mulaw", "mulaw to alaw"])
def test_same_rate(measure, request, target):
    codes = audio.mulaw_encode(peers.frame(8000))
    name = request.node.callspec.id
    result = measure("mulaw/8000 -> the same rate", name, lambda: (Converter(MULAW8, target).push, codes))
    assert result == (codes if target == MULAW8 else audio.alaw_encode(audio.mulaw_decode(codes)))
