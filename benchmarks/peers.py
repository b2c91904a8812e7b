"""Ours and peers behind the same calls, set up once for the tests and the report.

A *row* is a function without arguments that prepares one candidate and returns ``(call, *arguments)``: what is
timed is ``call(*arguments)``. It raises ``MissingPeerError`` where the candidate's library is not installed. Peers
get the shortest wrapping that takes and returns bytes, as ours do.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from laws import decode_table, encode_table

from vapimedia import audio
from vapimedia.audio import Converter, FrameSlicer, Resampler
from vapimedia.formats import AudioFormat

__all__ = [
    "STREAMS",
    "MissingPeerError",
    "conversions",
    "creations",
    "frame",
    "g711",
    "noise",
    "slicers",
    "streams",
    "whole_signals",
]

Row = Callable[[], tuple[Any, ...]]
Push = Callable[[bytes], bytes]

_INSTALL = {
    "audioop": "audioop left the standard library in Python 3.13: pip install audioop-lts",
    "av": "PyAV is not installed: pip install av",
    "samplerate": "libsamplerate's binding is not installed: pip install samplerate",
    "scipy.signal": "scipy is not installed: pip install scipy",
    "soxr": "soxr is not installed: pip install soxr",
}


class MissingPeerError(Exception):
    """A peer is not installed here. The text says what installs it."""


def load(module: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # audioop in 3.11 and 3.12
        try:
            return importlib.import_module(module)
        except ImportError:
            raise MissingPeerError(_INSTALL[module]) from None


def noise(n_samples: int) -> bytes:
    """Return loud, reproducible pcm_s16le noise; silence might be cheaper than what calls hold."""
    return np.random.default_rng(7).integers(-9000, 9000, n_samples).astype("<i2").tobytes()


def frame(sample_rate: int) -> bytes:
    """Return 20 ms of noise."""
    return noise(sample_rate // 50)


# --- G.711 ----------------------------------------------------------------------------------------------------


def g711(law: str, direction: str, n_samples: int = 160) -> dict[str, Row]:
    """Return the rows of one *direction*, ``decode`` or ``encode``. The ``into`` row's last argument is its output."""
    decodes = direction == "decode"
    source = np.resize(np.arange(256, dtype=np.uint8), n_samples).tobytes() if decodes else noise(n_samples)

    def ours() -> tuple[Any, ...]:
        return getattr(audio, f"{law}_{direction}"), source

    def into() -> tuple[Any, ...]:
        return getattr(audio, f"{law}_{direction}_into"), source, bytearray(n_samples * (1 + decodes))

    def audioop() -> tuple[Any, ...]:
        short = law.replace("mu", "u")
        return getattr(load("audioop"), f"{short}2lin" if decodes else f"lin2{short}"), source, 2

    def numpy() -> tuple[Any, ...]:
        table = decode_table(law) if decodes else encode_table(law)
        index = np.uint8 if decodes else np.uint16
        return lambda chunk: table[np.frombuffer(chunk, index)].tobytes(), source

    def pyav() -> tuple[Any, ...]:
        return (_pyav_decoder if decodes else _pyav_encoder)(f"pcm_{law}"), source

    rows: dict[str, Row] = {
        "vapimedia": ours,
        "vapimedia into": into,
        "audioop": audioop,
        "numpy": numpy,
        "PyAV": pyav,
    }
    return rows


def _pyav_decoder(codec: str) -> Push:
    av = load("av")
    context = av.CodecContext.create(codec, "r")
    context.sample_rate, context.layout = 8000, "mono"
    return lambda codes: context.decode(av.Packet(codes))[0].to_ndarray().tobytes()


def _pyav_encoder(codec: str) -> Push:
    av = load("av")
    context = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout, context.format = 8000, "mono", "s16"
    context.time_base = Fraction(1, 8000)
    return lambda pcm: bytes(context.encode(_pyav_frame(av, pcm, 8000))[0])


def _pyav_frame(av: Any, pcm: bytes, sample_rate: int) -> Any:
    samples = np.frombuffer(pcm, np.int16).reshape(1, -1)
    made = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    made.sample_rate = sample_rate
    return made


# --- streaming resamplers -------------------------------------------------------------------------------------


def _ours(quality: str) -> Callable[[int, int], Push]:
    return lambda from_hz, to_hz: Resampler(from_hz, to_hz, quality=quality).push


def _soxr(quality: str) -> Callable[[int, int], Push]:
    def open_stream(from_hz: int, to_hz: int) -> Push:
        stream = load("soxr").ResampleStream(from_hz, to_hz, 1, dtype="int16", quality=quality)
        return lambda pcm: stream.resample_chunk(np.frombuffer(pcm, np.int16)).tobytes()

    return open_stream


def _libsamplerate(from_hz: int, to_hz: int) -> Push:
    resampler, ratio = load("samplerate").Resampler("sinc_medium"), to_hz / from_hz

    def push(pcm: bytes) -> bytes:
        samples = resampler.process(np.frombuffer(pcm, np.int16), ratio)
        return np.clip(samples, -32768, 32767).astype(np.int16).tobytes()

    return push


def _pyav(from_hz: int, to_hz: int) -> Push:
    av = load("av")
    resampler = av.AudioResampler(format="s16", layout="mono", rate=to_hz)

    def push(pcm: bytes) -> bytes:
        made = resampler.resample(_pyav_frame(av, pcm, from_hz))
        return b"".join(part.to_ndarray().tobytes() for part in made)

    return push


def _ratecv(from_hz: int, to_hz: int) -> Push:
    ratecv, state = load("audioop").ratecv, None

    def push(pcm: bytes) -> bytes:
        nonlocal state
        out, state = ratecv(pcm, 2, 1, from_hz, to_hz, state)
        return out

    return push


# Each opens a stream: bytes in, bytes out.
STREAMS: dict[str, Callable[[int, int], Push]] = {
    "vapimedia telephone": _ours("telephone"),
    "vapimedia balanced": _ours("balanced"),
    "vapimedia high": _ours("high"),
    "soxr HQ": _soxr("HQ"),
    "soxr VHQ": _soxr("VHQ"),
    "libsamplerate medium": _libsamplerate,
    "PyAV": _pyav,
    "audioop.ratecv (no filter)": _ratecv,
}


def streams(from_hz: int, to_hz: int) -> dict[str, Row]:
    """Return the rows of one 20 ms frame through each open stream."""
    return {
        name: lambda opened=opened: (opened(from_hz, to_hz), frame(from_hz))
        for name, opened in STREAMS.items()
    }


def creations(from_hz: int, to_hz: int) -> dict[str, Row]:
    """Return the rows of opening a stream while another of its kind lives."""
    kept: list[object] = []

    def row(opened: Callable[[int, int], Push]) -> Row:
        def prepare() -> tuple[Any, ...]:
            kept.append(opened(from_hz, to_hz))
            return opened, from_hz, to_hz

        return prepare

    rows = {name: row(opened) for name, opened in STREAMS.items() if "audioop" not in name}

    def ours() -> tuple[Any, ...]:
        kept.append(Resampler(from_hz, to_hz))
        return Resampler, from_hz, to_hz

    return {"vapimedia": ours} | {name: prepare for name, prepare in rows.items() if "vapimedia" not in name}


# --- conversions ----------------------------------------------------------------------------------------------


def conversions(source: AudioFormat, target: AudioFormat) -> dict[str, Row]:
    """Return the rows of one 20 ms frame between mulaw/8000 and a PCM format."""
    rates = source.sample_rate, target.sample_rate
    decodes = source.encoding == "mulaw"
    chunk = audio.mulaw_encode(frame(8000)) if decodes else frame(source.sample_rate)

    def chained(decode: Push, resample: Push, encode: Push) -> tuple[Any, ...]:
        return (lambda codes: resample(decode(codes))) if decodes else (
            lambda pcm: encode(resample(pcm))
        ), chunk

    def ours() -> tuple[Any, ...]:
        return Converter(source, target).push, chunk

    def in_two_calls() -> tuple[Any, ...]:
        return chained(audio.mulaw_decode, STREAMS["vapimedia balanced"](*rates), audio.mulaw_encode)

    def with_audioop(resampler: str) -> Row:
        def prepare() -> tuple[Any, ...]:
            module, resample = load("audioop"), STREAMS[resampler](*rates)
            return chained(
                lambda codes: module.ulaw2lin(codes, 2), resample, lambda pcm: module.lin2ulaw(pcm, 2)
            )

        return prepare

    def numpy_soxr() -> tuple[Any, ...]:
        decode, encode = g711("mulaw", "decode")["numpy"]()[0], g711("mulaw", "encode")["numpy"]()[0]
        return chained(decode, STREAMS["soxr HQ"](*rates), encode)

    return {
        "vapimedia": ours,
        "vapimedia in two calls": in_two_calls,
        "audioop + soxr HQ": with_audioop("soxr HQ"),
        "audioop + soxr VHQ": with_audioop("soxr VHQ"),
        "numpy + soxr HQ": numpy_soxr,
        "audioop + ratecv (no filter)": with_audioop("audioop.ratecv (no filter)"),
    }


# --- whole signals --------------------------------------------------------------------------------------------


def whole_signals(from_hz: int, to_hz: int, seconds: int) -> dict[str, Row]:
    """Return the rows of one signal in one call: arrays in, arrays out."""
    int16 = np.frombuffer(noise(from_hz * seconds), np.int16)
    float32 = int16.astype(np.float32)
    ratio = Fraction(to_hz, from_hz)

    def ours(signal: Any, quality: str = "balanced") -> Row:
        return lambda: (lambda array: audio.resample(array, from_hz, to_hz, quality=quality), signal)

    def soxr(quality: str) -> Row:
        def prepare() -> tuple[Any, ...]:
            resample = load("soxr").resample
            return lambda array: resample(array, from_hz, to_hz, quality=quality), int16

        return prepare

    def scipy() -> tuple[Any, ...]:
        resample_poly = load("scipy.signal").resample_poly
        return lambda array: resample_poly(array, ratio.numerator, ratio.denominator), float32

    def libsamplerate() -> tuple[Any, ...]:
        resample = load("samplerate").resample
        return lambda array: resample(array, to_hz / from_hz, "sinc_medium"), float32

    return {
        "vapimedia": ours(int16),
        "vapimedia float32": ours(float32),
        "vapimedia high": ours(int16, "high"),
        "soxr HQ": soxr("HQ"),
        "soxr VHQ": soxr("VHQ"),
        "scipy resample_poly float32": scipy,
        "libsamplerate medium float32": libsamplerate,
    }


# --- slicing --------------------------------------------------------------------------------------------------


def slicers(n_bytes: int, n_pending: int) -> dict[str, Row]:
    """Return the rows of one chunk cut to frames of 160 bytes, *n_pending* bytes left over before and after."""
    chunk = bytes(range(256)) * 2
    chunk, pending = chunk[:n_bytes], b"\x01" * n_pending

    def ours(method: str) -> Row:
        def prepare() -> tuple[Any, ...]:
            slicer = FrameSlicer(AudioFormat("mulaw", 8000))
            slicer.push(pending)
            return getattr(slicer, method), chunk

        return prepare

    def plain() -> tuple[Any, ...]:
        held = bytearray(pending)

        def push(received: bytes) -> list[bytes]:
            held.extend(received)
            end = len(held) - len(held) % 160
            frames = [bytes(held[start : start + 160]) for start in range(0, end, 160)]
            del held[:end]
            return frames

        return push, chunk

    return {"vapimedia push": ours("push"), "vapimedia push_views": ours("push_views"), "bytearray": plain}
