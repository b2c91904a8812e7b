"""The cases, each stated once: what one 20 ms frame or one event goes through, and what that may cost.

A budget is about ten times what a current server needs, which keeps verdicts meaningful on a busy one.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable

import msgspec

from vapimedia import audio
from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope, LivePath, LivePolicy, MediaPath, PlayoutPath, PlayoutPolicy
from vapimedia.protocols.vapi import decode_event, peek_type

__all__ = ["CASES", "Case"]

_MULAW = AudioFormat("mulaw", 8000)
_ALAW = AudioFormat("alaw", 8000)
_PCM_8K = AudioFormat("pcm_s16le", 8000)
_PCM_16K = AudioFormat("pcm_s16le", 16_000)
_PCM_24K = AudioFormat("pcm_s16le", 24_000)
_FRAME_NS = 20_000_000


class Case(msgspec.Struct, frozen=True):
    """One thing to time. ``make`` prepares and returns a call that handles exactly one frame, or one event."""

    name: str
    budget_us: float
    make: Callable[[], Callable[[], object]]


def tone(sample_rate: int, *, ms: int = 20) -> bytes:
    """Return a 440 Hz tone as pcm_s16le; silence might be cheaper than what calls hold."""
    n_samples = sample_rate * ms // 1000
    wave = (round(12_000 * math.sin(2 * math.pi * 440 * i / sample_rate)) for i in range(n_samples))
    return struct.pack(f"<{n_samples}h", *wave)


def _mulaw_decode() -> Callable[[], object]:
    frame = audio.mulaw_encode(tone(8000))
    return lambda: audio.mulaw_decode(frame)


def _mulaw_encode() -> Callable[[], object]:
    frame = tone(8000)
    return lambda: audio.mulaw_encode(frame)


def _alaw_decode() -> Callable[[], object]:
    frame = audio.alaw_encode(tone(8000))
    return lambda: audio.alaw_decode(frame)


def _alaw_encode() -> Callable[[], object]:
    frame = tone(8000)
    return lambda: audio.alaw_encode(frame)


def _resample(from_hz: int, to_hz: int) -> Callable[[], Callable[[], object]]:
    def make() -> Callable[[], object]:
        resampler = audio.Resampler(from_hz, to_hz)
        frame = tone(from_hz)
        return lambda: resampler.push(frame)

    return make


def _convert(source: AudioFormat, target: AudioFormat) -> Callable[[], Callable[[], object]]:
    def make() -> Callable[[], object]:
        converter = audio.Converter(source, target)
        frame = audio.Converter(_PCM_16K, source).push(tone(16_000))
        return lambda: converter.push(frame)

    return make


def _slice() -> Callable[[], object]:
    slicer = audio.FrameSlicer(_MULAW)
    chunk = audio.mulaw_encode(tone(8000))
    slicer.push(chunk[:100])  # every frame straddles two chunks
    return lambda: slicer.push(chunk)


def _split_stereo() -> Callable[[], object]:
    splitter = audio.StereoSplitter()
    chunk = bytes(2 * len(tone(16_000)))
    splitter.push(b"\0")  # every pair straddles two chunks
    return lambda: splitter.push(chunk)


def _twilio_in() -> Envelope:
    return Envelope(
        text=True, payload=("media", "payload"), match={("event",): "media"}, expect={("streamSid",): "MZ1"}
    )


def _twilio_out() -> Envelope:
    return Envelope(
        text=True, prefix=b'{"event":"media","streamSid":"MZ1","media":{"payload":"', suffix=b'"}}'
    )


def twilio_message() -> bytes:
    """Return one media message as Twilio writes it."""
    payload = base64.b64encode(audio.mulaw_encode(tone(8000)))
    return (
        b'{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"2","timestamp":"5",'
        b'"payload":"' + payload + b'"},"streamSid":"MZ1"}'
    )


def _uplink(target: AudioFormat) -> Callable[[], Callable[[], object]]:
    def make() -> Callable[[], object]:
        path = LivePath(_MULAW, target, unwrap=_twilio_in(), policy=LivePolicy(paced=False))
        path.open(0)
        return _at_frame_intervals(path, twilio_message())

    return make


def _downlink(source: AudioFormat) -> Callable[[], Callable[[], object]]:
    def make() -> Callable[[], object]:
        policy = PlayoutPolicy(prebuffer_ms=0, paced=False)
        path = PlayoutPath(source, _MULAW, wrap=_twilio_out(), policy=policy)
        path.open(0)
        return _at_frame_intervals(path, audio.Converter(_PCM_16K, source).push(tone(16_000)))

    return make


def _at_frame_intervals(path: MediaPath, message: bytes) -> Callable[[], object]:
    now_ns = 0

    def feed() -> object:
        nonlocal now_ns
        now_ns += _FRAME_NS
        return path.feed(message, now_ns)

    return feed


def transcript_event() -> bytes:
    """Return a transcript as the call socket carries it."""
    return (
        b'{"type":"transcript","role":"assistant","transcriptType":"partial","transcript":"We are open until",'
        b'"assistantId":"c2d94f10-8e7b-4b12-9d0c-55aa6e1f3b02","assistantName":"bridge-test"}'
    )


def conversation_event(n_bytes: int = 10_240) -> bytes:
    """Return a conversation-update of at least *n_bytes*."""
    message = (
        b'{"role":"user","message":"Is the store open on Monday?","time":1767225603000,"endTime":1767225604100,'
        b'"secondsFromStart":3.0,"duration":1100}'
    )
    messages = b",".join([message] * (n_bytes // len(message) + 1))
    return b'{"type":"conversation-update","messages":[' + messages + b"]}"


def _decode(event: bytes) -> Callable[[], Callable[[], object]]:
    return lambda: lambda: decode_event(event)


def _peek() -> Callable[[], object]:
    event = conversation_event()
    return lambda: peek_type(event)


CASES: tuple[Case, ...] = (
    Case("audio.mulaw_decode", 1.0, _mulaw_decode),
    Case("audio.mulaw_encode", 1.0, _mulaw_encode),
    Case("audio.alaw_decode", 1.0, _alaw_decode),
    Case("audio.alaw_encode", 1.0, _alaw_encode),
    Case("audio.resample.8k-16k", 15.0, _resample(8000, 16_000)),
    Case("audio.resample.16k-8k", 15.0, _resample(16_000, 8000)),
    Case("audio.resample.8k-24k", 20.0, _resample(8000, 24_000)),
    Case("audio.resample.24k-8k", 20.0, _resample(24_000, 8000)),
    Case("audio.convert.mulaw8k-pcm16k", 15.0, _convert(_MULAW, _PCM_16K)),
    Case("audio.convert.pcm16k-mulaw8k", 15.0, _convert(_PCM_16K, _MULAW)),
    Case("audio.convert.alaw8k-pcm8k", 1.0, _convert(_ALAW, _PCM_8K)),
    Case("audio.convert.pcm24k-mulaw8k", 20.0, _convert(_PCM_24K, _MULAW)),
    Case("audio.slice.mulaw8k", 1.0, _slice),
    Case("audio.split.stereo16k", 2.0, _split_stereo),
    Case("media.uplink.twilio-mulaw8k", 4.0, _uplink(_MULAW)),
    Case("media.uplink.twilio-pcm16k", 20.0, _uplink(_PCM_16K)),
    Case("media.downlink.mulaw8k-twilio", 3.0, _downlink(_MULAW)),
    Case("media.downlink.pcm16k-twilio", 15.0, _downlink(_PCM_16K)),
    Case("vapi.event.transcript", 6.0, _decode(transcript_event())),
    Case("vapi.event.conversation-10k", 60.0, _decode(conversation_event())),
    Case("vapi.peek.conversation-10k", 4.0, _peek),
)
