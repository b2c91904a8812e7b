"""Converter: the same bytes as decoding, resampling and encoding one after another."""

import itertools
import sys

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from vapimedia import audio
from vapimedia.audio import Converter, Resampler
from vapimedia.errors import ConfigError, StateError
from vapimedia.formats import AudioFormat

FORMATS = [
    AudioFormat.parse(f"{name}/{hz}")
    for name in ("mulaw", "alaw", "pcm_s16le")
    for hz in (8000, 16000, 24000)
]
EXTREMES = [AudioFormat("pcm_s16le", 192_000), AudioFormat("mulaw", 1000), AudioFormat("alaw", 44_100)]
DECODE = {"mulaw": audio.mulaw_decode, "alaw": audio.alaw_decode, "pcm_s16le": bytes}
ENCODE = {"mulaw": audio.mulaw_encode, "alaw": audio.alaw_encode, "pcm_s16le": bytes}

formats = st.sampled_from(FORMATS + EXTREMES)
MULAW8 = AudioFormat("mulaw", 8000)
PCM16 = AudioFormat("pcm_s16le", 16000)


def signal(source: AudioFormat, n_samples: int = 2000) -> bytes:
    pcm = np.random.default_rng(4).normal(0, 8000, n_samples).clip(-32768, 32767).astype("<i2").tobytes()
    return ENCODE[source.encoding](pcm)


def composed(source: AudioFormat, target: AudioFormat, chunk: bytes, quality: str) -> bytes:
    resampler = Resampler(source.sample_rate, target.sample_rate, quality=quality)
    pcm = DECODE[source.encoding](chunk)
    return ENCODE[target.encoding](resampler.push(pcm) + resampler.flush())


# Equal formats are copied, which differs where a code changes when decoded and encoded again (mulaw 7F).
DIFFERENT = [(source, target) for source in FORMATS for target in FORMATS if source != target]


@pytest.mark.parametrize(("source", "target"), DIFFERENT, ids=str)
def test_one_call_equals_decoding_resampling_and_encoding(source, target):
    converter = Converter(source, target)
    assert converter.push(signal(source)) + converter.flush() == composed(
        source, target, signal(source), "balanced"
    )


@hypothesis.given(formats, formats, st.sampled_from(["telephone", "balanced", "high"]))
@hypothesis.settings(max_examples=40, deadline=None)
def test_every_pair_and_quality_equals_its_parts(source, target, quality):
    hypothesis.assume(source != target)
    converter = Converter(source, target, quality=quality)
    chunk = signal(source, 600)
    assert converter.push(chunk) + converter.flush() == composed(source, target, chunk, quality)


@hypothesis.given(formats, formats, st.lists(st.integers(0, 3000), max_size=8))
@hypothesis.settings(max_examples=60, deadline=None)
def test_conversion_does_not_depend_on_chunk_boundaries(source, target, cuts):
    whole, parts = Converter(source, target), Converter(source, target)
    chunk = signal(source, 1500)
    edges = [0, *sorted(cuts), len(chunk)]
    pieces = [parts.push(chunk[a:b]) for a, b in itertools.pairwise(edges)]
    assert b"".join(pieces) == whole.push(chunk)
    assert parts.flush() == whole.flush()


@pytest.mark.parametrize("target", [PCM16, MULAW8, AudioFormat("pcm_s16le", 24000)], ids=str)
def test_single_bytes_shift_no_sample(target):
    chunk = signal(PCM16, 200)
    parts = Converter(PCM16, target)
    joined = b"".join(parts.push(chunk[i : i + 1]) for i in range(len(chunk)))
    assert joined == Converter(PCM16, target).push(chunk)


@pytest.mark.parametrize("source", FORMATS, ids=str)
def test_equal_formats_are_copied_without_delay(source):
    converter = Converter(source, source)
    chunk = bytes(range(256)) * 4
    assert converter.latency_ms == 0
    assert converter.push(chunk) == chunk
    assert converter.flush() == b""


def test_a_copy_returns_whole_samples_only():
    converter = Converter(PCM16, PCM16)
    assert [converter.push(b"abc"), converter.push(b"d"), converter.push(b"e")] == [b"ab", b"cd", b""]
    assert converter.flush() == b""


def test_a_frame_becomes_a_frame_from_the_first_call():
    to_vapi, to_twilio = Converter(MULAW8, PCM16), Converter(PCM16, MULAW8)
    for _ in range(3):
        assert len(to_vapi.push(b"\xff" * 160)) == 640
        assert len(to_twilio.push(bytes(640))) == 160


@pytest.mark.parametrize("source", FORMATS, ids=str)
@pytest.mark.parametrize("target", FORMATS, ids=str)
def test_silence_stays_silence(source, target):
    out = Converter(source, target).push(source.silence * 500)
    if source.encoding == "alaw":  # has no zero: its silence decodes to 8
        assert np.abs(np.frombuffer(DECODE[target.encoding](out), "<i2")).max() <= 16
    else:
        assert out == target.silence * (len(out) // len(target.silence))


def test_latency_is_the_resamplers():
    assert Converter(MULAW8, PCM16).latency_ms == Resampler(8000, 16000).latency_ms == 4.0
    assert Converter(MULAW8, AudioFormat("alaw", 8000)).latency_ms == 0


@pytest.mark.parametrize("flushed", [False, True])
@pytest.mark.parametrize("target", [MULAW8, AudioFormat("mulaw", 16000)], ids=str)
def test_reset_equals_a_new_object(target, flushed):
    used, new = Converter(PCM16, target), Converter(PCM16, target)
    used.push(b"\x07" * 333)
    if flushed:
        used.flush()
    used.reset()
    assert used.push(signal(PCM16)) + used.flush() == new.push(signal(PCM16)) + new.flush()


def test_bulk_input_equals_frames():
    whole, frames = Converter(MULAW8, PCM16), Converter(MULAW8, PCM16)
    chunk = signal(MULAW8, 40_000)
    assert whole.push(chunk) == b"".join(frames.push(chunk[i : i + 160]) for i in range(0, 40_000, 160))


def test_any_buffer_at_any_alignment_gives_the_same_bytes():
    chunk = signal(PCM16, 300)
    expected = Converter(PCM16, MULAW8).push(chunk)
    for given in (bytearray(chunk), np.frombuffer(chunk, "<i2"), memoryview(b"\x00" + chunk)[1:]):
        assert Converter(PCM16, MULAW8).push(given) == expected


@hypothesis.given(formats, formats, st.lists(st.integers(0, 3000), max_size=8))
@hypothesis.settings(max_examples=40, deadline=None)
def test_push_into_equals_push(source, target, cuts):
    one, other = Converter(source, target), Converter(source, target)
    chunk = signal(source, 1500)
    for a, b in itertools.pairwise([0, *sorted(cuts), len(chunk)]):
        out = bytearray(other.max_output(len(chunk[a:b])) + 3)
        n_bytes = other.push_into(chunk[a:b], out)
        assert out[:n_bytes] == one.push(chunk[a:b])
        assert not any(out[n_bytes:])
    assert one.flush() == other.flush()


@pytest.mark.parametrize("hz", [44_100, 48_000])
def test_a_long_frame_equals_its_parts(hz):
    """One piece for the C code, or several: it is not to be heard."""
    for source in (AudioFormat("mulaw", hz), AudioFormat("pcm_s16le", hz)):
        chunk = signal(source, 5 * hz // 50)
        frames = Converter(source, MULAW8)
        n_bytes = len(chunk) // 5
        joined = b"".join(frames.push(chunk[i : i + n_bytes]) for i in range(0, len(chunk), n_bytes))
        assert joined + frames.flush() == composed(source, MULAW8, chunk, "balanced")


def test_every_stream_tells_its_memory():
    assert sys.getsizeof(Converter(MULAW8, PCM16)) <= 2048
    assert sys.getsizeof(Converter(AudioFormat("pcm_s16le", 48_000), MULAW8)) <= 10_240


def test_after_flush_only_reset_is_allowed():
    converter = Converter(MULAW8, PCM16)
    converter.flush()
    with pytest.raises(StateError, match=r"call reset\(\)"):
        converter.push(b"\xff")
    with pytest.raises(StateError):
        converter.flush()


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="AudioFormat"):
        Converter("mulaw/8000", PCM16)
    with pytest.raises(ConfigError, match="unknown quality"):
        Converter(MULAW8, PCM16, quality="best")
    with pytest.raises(TypeError):
        Converter(MULAW8, PCM16).push("text")
