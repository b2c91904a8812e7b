"""Finding the payload in one 20 ms Twilio message, beside a full parser."""

import base64
import json

import msgspec
import pytest

from vapimedia.media import Envelope

ENVELOPE = Envelope(
    text=True,
    payload=("media", "payload"),
    match={("event",): "media"},
    expect={("streamSid",): "MZ18ad3ab5a668481ce02b83e7395059f0", ("media", "track"): "inbound"},
)
PAYLOAD = base64.b64encode(bytes(range(160)))
MESSAGE = (
    b'{"event":"media","sequenceNumber":"1234","media":{"track":"inbound","chunk":"1233","timestamp":"24660",'
    b'"payload":"' + PAYLOAD + b'"},"streamSid":"MZ18ad3ab5a668481ce02b83e7395059f0"}'
)


class _Media(msgspec.Struct):
    payload: str


class _Message(msgspec.Struct, rename="camel"):
    event: str
    media: _Media
    stream_sid: str


@pytest.mark.benchmark(group="find the payload of a Twilio message")
def test_scan(benchmark):
    assert benchmark(ENVELOPE.scan, MESSAGE) == PAYLOAD


@pytest.mark.benchmark(group="find the payload of a Twilio message")
def test_msgspec(benchmark):
    decode = msgspec.json.Decoder(_Message).decode
    assert benchmark(decode, MESSAGE).media.payload == PAYLOAD.decode()


@pytest.mark.benchmark(group="find the payload of a Twilio message")
def test_json(benchmark):
    assert benchmark(json.loads, MESSAGE)["media"]["payload"] == PAYLOAD.decode()


@pytest.mark.benchmark(group="pass over a message that is not media")
def test_scan_a_mark(benchmark):
    mark = b'{"event":"mark","sequenceNumber":"5","streamSid":"MZ1","mark":{"name":"0:1000"}}'
    assert benchmark(ENVELOPE.scan, mark) is None
