"""Finding the payload in one 20 ms Twilio message, beside a full parser."""

import base64
import json

import msgspec

from vapimedia.media import Envelope

GROUP = "find the payload of a Twilio message"
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


def test_scan(measure):
    assert measure(GROUP, "vapimedia", lambda: (ENVELOPE.scan, MESSAGE)) == PAYLOAD


def test_msgspec(measure):
    decode = msgspec.json.Decoder(_Message).decode
    assert measure(GROUP, "msgspec", lambda: (decode, MESSAGE)).media.payload == PAYLOAD.decode()


def test_json(measure):
    assert measure(GROUP, "json", lambda: (json.loads, MESSAGE))["media"]["payload"] == PAYLOAD.decode()


def test_scan_a_mark(measure):
    mark = b'{"event":"mark","sequenceNumber":"5","streamSid":"MZ1","mark":{"name":"0:1000"}}'
    assert (
        measure("pass over a message that is not media", "vapimedia", lambda: (ENVELOPE.scan, mark)) is None
    )
