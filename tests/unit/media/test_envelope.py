"""The scanner says "media" only where a JSON parser finds the same payload and the same rules."""

from __future__ import annotations

import base64
import json
import string
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vapimedia.errors import ConfigError
from vapimedia.media import Envelope

STREAM = "MZ18ad3ab5a668481ce02b83e7395059f0"
TWILIO = Envelope(
    text=True,
    payload=("media", "payload"),
    match={("event",): "media"},
    expect={("streamSid",): STREAM, ("media", "track"): "inbound"},
)
AUDIO = base64.b64encode(bytes(range(160))).decode()
KNOWN = ("event", "sequenceNumber", "media", "streamSid", "track", "chunk", "timestamp", "payload")


def message(payload: str = AUDIO, *, stream: str = STREAM, track: str = "inbound") -> dict[str, Any]:
    """Return a media message in Twilio's shape."""
    return {
        "event": "media",
        "sequenceNumber": "4",
        "media": {"track": track, "chunk": "2", "timestamp": "5", "payload": payload},
        "streamSid": stream,
    }


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def read(text: bytes) -> bytes | None:
    """Return what ``Envelope.scan`` may say instead of ``None``; the last of two equal keys counts."""
    try:
        found = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("media"), dict):
        return None
    media = found["media"]
    payload = media.get("payload")
    if found.get("event") != "media" or not isinstance(payload, str):
        return None
    is_ours = found.get("streamSid", STREAM) == STREAM and media.get("track", "inbound") == "inbound"
    return payload.encode() if is_ours else b""


def check(text: bytes) -> bytes | None:
    said = TWILIO.scan(text)
    if said is not None:
        assert said == read(text)
    return said


SCRAPS = st.sampled_from(
    [
        b"{", b"}", b"[", b"]", b":", b",", b" ", b"\n", b'"',
        b"null", b"true", b"false", b"0", b"-1.5e+3", b"01",
        b'\\"', b"\\", b"\\u0041", b"\x00", b"\xc3\xa9", b"\xff", b'""',
        *(b'"' + key.encode() + b'"' for key in (*KNOWN, "x")),
        b'"inbound"', b'"' + STREAM.encode() + b'"', b'"streamSid":"' + STREAM.encode() + b'"',
        b'"AAAA"', b'"payload":"AAAA"', b'"event":"media"', b'"media":{',
    ]
)  # fmt: skip


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_any_bytes_are_survived(text: bytes) -> None:
    check(text)


@settings(max_examples=600)
@given(st.lists(SCRAPS, max_size=25).map(b"".join))
def test_scraps_of_json_are_never_media_to_the_scanner_alone(text: bytes) -> None:
    check(text)
    check(b'{"event":"media","media":{"payload":"AAAA"}' + text)
    check(b'{"event":"media","media":{"payload":"AAAA"' + text + b"}}")


@settings(max_examples=300)
@given(st.data())
def test_a_changed_byte_never_makes_the_scanner_disagree(data: st.DataObject) -> None:
    text = bytearray(json.dumps(message("AAAA")).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2) | SCRAPS)
        text = text or bytearray(b"{")
    check(bytes(text))


SPACE = st.text(" \t\r\n", max_size=2)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def twilio_texts(draw: st.DrawFn, *, ascii_only: bool, stream: str = STREAM) -> bytes:
    """Return a valid media message: any order, any white space, further fields of any kind."""

    def write(value: object) -> str:
        if isinstance(value, dict):
            items = [
                space() + write(key) + space() + ":" + space() + write(value[key]) for key in shuffled(value)
            ]
            return "{" + ",".join(items) + space() + "}"
        if isinstance(value, list):
            return "[" + ",".join(space() + write(item) for item in value) + space() + "]"
        return json.dumps(value, ensure_ascii=ascii_only)

    def space() -> str:
        return draw(SPACE)

    def shuffled(items: dict[str, object]) -> list[str]:
        return draw(st.permutations(list(items)))

    keys = st.text(string.ascii_letters, max_size=6).filter(lambda key: key not in KNOWN)
    top: dict[str, Any] = {**draw(st.dictionaries(keys, VALUES, max_size=3)), **message(stream=stream)}
    top["media"] = {**draw(st.dictionaries(keys, VALUES, max_size=2)), **top["media"]}
    return (space() + write(top) + space()).encode("utf-8", "surrogatepass")


@settings(max_examples=150, deadline=None)
@given(twilio_texts(ascii_only=True))
def test_ascii_media_is_found_in_any_order_with_any_space_and_any_further_field(text: bytes) -> None:
    assert check(text) == AUDIO.encode()


@settings(max_examples=100, deadline=None)
@given(twilio_texts(ascii_only=False))
def test_media_with_unicode_is_found_right_or_left_to_the_parser(text: bytes) -> None:
    assert TWILIO.scan(text) in (None, AUDIO.encode())


@settings(max_examples=50, deadline=None)
@given(twilio_texts(ascii_only=True, stream="MZother"))
def test_media_of_another_stream_is_foreign_in_any_order(text: bytes) -> None:
    assert check(text) == b""


@given(st.binary(max_size=400))
@example(b"")
def test_compact_media_is_found_with_its_payload(audio: bytes) -> None:
    payload = base64.b64encode(audio)
    assert check(compact(message(payload.decode()))) == payload


def test_another_track_is_foreign() -> None:
    assert check(compact(message(track="outbound"))) == b""


def test_an_expected_field_may_be_absent() -> None:
    short = {"event": "media", "media": {"payload": "AAAA"}}
    assert check(compact(short)) == b"AAAA"


@pytest.mark.parametrize("event", ["start", "mark", "dtmf", "stop", "connected", "medi", "mediaa", ""])
def test_other_events_are_left_to_the_parser(event: str) -> None:
    assert TWILIO.scan(compact({**message(), "event": event})) is None


def test_a_message_without_event_is_left_to_the_parser() -> None:
    assert TWILIO.scan(compact({"media": {"payload": "AAAA"}})) is None


def test_a_truncated_message_is_left_to_the_parser() -> None:
    text = compact(message())
    assert [n for n in range(len(text)) if TWILIO.scan(text[:n]) is not None] == []


@pytest.mark.parametrize("rest", [b"x", b"}", b",", b"{}", b"\x00", b" 1", b"\xef\xbb\xbf"])
def test_what_follows_the_message_is_not_overlooked(rest: bytes) -> None:
    assert TWILIO.scan(compact(message()) + rest) is None


@pytest.mark.parametrize(
    "text",
    [
        b'{"event":"media","media":{"payload":"AAAA","payload":"BBBB"}}',
        b'{"event":"media","event":"start","media":{"payload":"AAAA"}}',
        b'{"event":"media","media":{"payload":"AAAA"},"media":{}}',
        b'{"event":"media","media":{"payload":"AAAA"},"media":1}',
        b'{"event":"media","media":{"payload":"AAAA","track":"inbound","track":"x"}}',
    ],
)
def test_a_key_that_matters_twice_is_left_to_the_parser(text: bytes) -> None:
    assert TWILIO.scan(text) is None


@pytest.mark.parametrize(
    "text",
    [
        b'{"event":"media","media":{"payload":"AA\\/A"}}',
        b'{"event":"media","media":{"payload":"AAA\\u0041"}}',
        b'{"event":"med\\u0069a","media":{"payload":"AAAA"}}',
        b'{"event":"media","media":{"p\\u0061yload":"AAAA"}}',
        b'{"event":"media","m\\u0065dia":{"payload":"AAAA"}}',
    ],
)
def test_escapes_in_what_matters_are_left_to_the_parser(text: bytes) -> None:
    assert json.loads(text)
    assert TWILIO.scan(text) is None


def test_non_ascii_anywhere_is_left_to_the_parser() -> None:
    assert TWILIO.scan(json.dumps({**message(), "x": "é"}, ensure_ascii=False).encode()) is None


@pytest.mark.parametrize("control", [b"\n", b"\t", b"\x00", b"\x1f"])
@pytest.mark.parametrize("stream", [STREAM.encode(), b"MZother"])
def test_control_characters_in_strings_are_left_to_the_parser(control: bytes, stream: bytes) -> None:
    text = b'{"event":"media","streamSid":"%s","media":{"payload":"AA%sAA"}}' % (stream, control)
    assert TWILIO.scan(text) is None


@pytest.mark.parametrize("value", ["null", "1", "[]", "{}", "true", '["AAAA"]'])
def test_a_payload_that_is_no_string_is_left_to_the_parser(value: str) -> None:
    assert TWILIO.scan(b'{"event":"media","media":{"payload":%s}}' % value.encode()) is None


def test_deep_nesting_is_left_to_the_parser() -> None:
    text = b'{"x":' + b"[" * 60_000 + b"]" * 60_000 + b',"event":"media","media":{"payload":"AAAA"}}'
    assert TWILIO.scan(text) is None


def test_an_envelope_without_a_payload_finds_none() -> None:
    assert Envelope(text=True, prefix=b"{").scan(b'{"":{"":{"":{"":"AAAA"}}}}') is None


def test_rules_may_lie_one_key_deep() -> None:
    flat = Envelope(text=True, payload=("audio",), match={("type",): "a"})
    assert flat.scan(b'{"audio":"AAAA","type":"a"}') == b"AAAA"
    assert flat.scan(b'{"audio":{"x":"AAAA"},"type":"a"}') is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"payload": ("k" * 32,)},
        {"payload": ("a", "b", "c")},
        {"payload": ("x",), "match": {(): "v"}},
        {"payload": ("é",)},
        {"payload": ("x",), "match": {("event",): "v" * 96}},
        {"payload": ("x",), "expect": {("event",): "é"}},
        {"payload": ("x",), "match": {(f"k{i}",): "v" for i in range(5)}},
        {"prefix": b"p" * 256},
        {"suffix": b"s" * 256},
    ],
)
def test_what_does_not_fit_is_a_config_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="envelope"):
        Envelope(text=True, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"payload": ("media",), "match": {("media",): "x"}},
        {"payload": ("media", "payload"), "match": {("media",): "x"}},
        {"payload": ("x",), "match": {("event",): "a"}, "expect": {("event",): "b"}},
        {"match": {("event",): "a"}},
        {"number": ("chunk",)},
        {"payload": ("x",), "match": {("event",): "a"}, "number": ("event",)},
    ],
)
def test_rules_that_could_never_all_be_seen_are_a_config_error(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="envelope"):
        Envelope(text=True, **arguments)


NUMBERED = Envelope(text=True, payload=("payload",), number=("chunk",))


@pytest.mark.parametrize("chunk", ['"7"', "7", "0", '"0007"', '"' + "9" * 18 + '"'])
def test_a_number_may_be_an_integer_or_a_string_of_digits(chunk: str) -> None:
    assert NUMBERED.scan(f'{{"chunk":{chunk},"payload":"{AUDIO}"}}'.encode()) == AUDIO.encode()
    assert NUMBERED.scan(f'{{"payload":"{AUDIO}"}}'.encode()) == AUDIO.encode()


@pytest.mark.parametrize(
    "chunk",
    ['""', '"-1"', "-1", "1.0", "1e3", "07", "null", "true", "{}", "[]", '"9\\u0030"', '"' + "9" * 19 + '"'],
)
def test_what_is_no_number_is_left_to_the_parser(chunk: str) -> None:
    assert NUMBERED.scan(f'{{"chunk":{chunk},"payload":"{AUDIO}"}}'.encode()) is None
    assert NUMBERED.scan(f'{{"chunk":1,"chunk":{chunk},"payload":"{AUDIO}"}}'.encode()) is None


def test_limits_are_inclusive() -> None:
    key, value = "k" * 31, "v" * 95
    widest = Envelope(
        text=True, payload=("p",), match={(key, key): value}, prefix=b"x" * 255, suffix=b"y" * 255
    )
    assert widest.scan(compact({"p": "AAAA", key: {key: value}})) == b"AAAA"
