"""One 20 ms message through a path, as a sans-I/O caller feeds it; the pump makes no list and no bytes."""

import base64

import pytest

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope, LivePath, LivePolicy, MediaPath, PlayoutPath, PlayoutPolicy

MULAW8, PCM16 = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)
STREAM = b"MZ18ad3ab5a668481ce02b83e7395059f0"
UNWRAP = Envelope(
    text=True,
    payload=("media", "payload"),
    match={("event",): "media"},
    expect={("streamSid",): STREAM.decode(), ("media", "track"): "inbound"},
)
PREFIX = b'{"event":"media","streamSid":"' + STREAM + b'","media":{"payload":"'
WRAP = Envelope(text=True, prefix=PREFIX, suffix=b'"}}')
FRAME_NS = 20_000_000


def twilio(audio):
    payload = base64.b64encode(audio)
    return (
        b'{"event":"media","sequenceNumber":"1234","media":{"track":"inbound","chunk":"1233",'
        b'"timestamp":"24660","payload":"' + payload + b'"},"streamSid":"' + STREAM + b'"}'
    )


def in_real_time(path, message):
    """Return a call that feeds *message* one frame later than the last time."""
    now_ns = 0

    def feed():
        nonlocal now_ns
        now_ns += FRAME_NS
        return path.feed(message, now_ns)

    return feed


def speech(speech_like, fmt):
    return Converter(AudioFormat("pcm_s16le", 8000), fmt).push(speech_like(160))


@pytest.mark.benchmark(group="Twilio text to Vapi binary")
@pytest.mark.parametrize("vapi", [MULAW8, PCM16], ids=str)
def test_uplink(benchmark, speech_like, vapi):
    audio = speech(speech_like, MULAW8)
    path = LivePath(MULAW8, vapi, unwrap=UNWRAP)
    path.feed(twilio(audio), 0)
    path.open(0)
    (frame,) = benchmark(in_real_time(path, twilio(audio)))
    assert len(frame) == vapi.frame_bytes()
    assert vapi != MULAW8 or frame == audio


@pytest.mark.benchmark(group="Vapi binary to Twilio text")
@pytest.mark.parametrize("vapi", [MULAW8, PCM16], ids=str)
@pytest.mark.parametrize("exact", [False, True], ids=["any size", "exact frames"])
def test_downlink(benchmark, speech_like, vapi, exact):
    audio = speech(speech_like, vapi)
    path = PlayoutPath(vapi, MULAW8, wrap=WRAP, policy=PlayoutPolicy(exact_frames=exact, prebuffer_ms=0))
    path.open(0)
    path.feed(audio * 5, 0)
    (message,) = benchmark(in_real_time(path, audio))
    assert len(message) == len(PREFIX) + 216 + 3
    assert vapi != MULAW8 or base64.b64decode(message[len(PREFIX) : -3]) == audio


@pytest.mark.benchmark(group="Vapi's odd chunks to Twilio text")
def test_downlink_odd_chunk(benchmark, speech_like):
    chunk = speech(speech_like, MULAW8)[:131]
    path = PlayoutPath(MULAW8, MULAW8, wrap=WRAP, policy=PlayoutPolicy(paced=False, prebuffer_ms=0))
    path.open(0)
    (message,) = benchmark(in_real_time(path, chunk))
    assert base64.b64decode(message[len(PREFIX) : -3]) == chunk


@pytest.mark.benchmark(group="policies")
@pytest.mark.parametrize("policy", ["none", "unpaced", "live"])
def test_what_a_policy_costs(benchmark, speech_like, policy):
    audio = speech(speech_like, MULAW8)
    if policy == "none":
        path = MediaPath(MULAW8, MULAW8)
    else:
        path = LivePath(MULAW8, MULAW8, policy=LivePolicy(paced=policy == "live"))
        path.open(FRAME_NS)
    assert benchmark(in_real_time(path, audio)) == [audio]
