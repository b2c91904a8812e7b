"""The generator's WebSocket framing, HTTP heads and Twilio messages."""

from __future__ import annotations

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

wire = pytest.importorskip("vapimedia.bench.load.wire", reason="the load generator is built on Linux only")
from vapimedia.bench.load import heads, phone  # noqa: E402

SID = b"MZ" + b"0" * 32

messages = st.lists(
    st.tuples(st.sampled_from([1, 2, 8, 9, 10]), st.binary(max_size=300)).map(
        lambda one: (one[0], one[1][:125] if one[0] >= 8 else one[1])
    ),
    max_size=8,
)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(
    messages, st.one_of(st.none(), st.integers(0, 2**32 - 1)), st.lists(st.integers(0, 10_000), max_size=20)
)
def test_frames_do_not_depend_on_how_bytes_come(
    sent: list[tuple[int, bytes]], key: int | None, cuts: list[int]
) -> None:
    data = b"".join(wire.frame(payload, opcode, key=key) for opcode, payload in sent)
    reader = wire.FrameReader()
    assert [one for piece in in_pieces(data, cuts) for one in reader.push(piece)] == sent


@pytest.mark.parametrize("n", [0, 125, 126, 65535, 65536, 100_000])
def test_all_three_lengths_of_a_frame_are_read(n: int) -> None:
    for key in (None, 0x12345678):
        assert wire.FrameReader().push(wire.frame(b"x" * n, 2, key=key)) == [(2, b"x" * n)]


def test_a_masked_frame_is_what_the_standard_shows() -> None:
    # RFC 6455 s. 5.7: "Hello", masked with 37 fa 21 3d.
    masked = bytes.fromhex("818537fa213d7f9f4d5158")
    assert wire.frame(b"Hello", 1, key=int.from_bytes(masked[2:6], "little")) == masked
    assert wire.FrameReader().push(masked) == [(1, b"Hello")]


def test_fragments_are_one_message_also_around_a_ping() -> None:
    reader = wire.FrameReader()
    parts = bytes.fromhex("0103") + b"Hel" + wire.frame(b"?", 9) + bytes.fromhex("8002") + b"lo"
    assert reader.push(parts) == [(9, b"?"), (1, b"Hello")]
    assert reader.push(wire.frame(b"next", 2)) == [(2, b"next")]


@pytest.mark.parametrize("data", ["c100", "8900ff00", "897e0080", "0900", "8000", "817f0000010000000000"])
def test_frames_that_break_the_rules_are_refused(data: str) -> None:
    if data == "8900ff00":
        data = "8900" + "ff00"  # a good ping, then reserved bits
    with pytest.raises(ValueError, match="RFC 6455"):
        wire.FrameReader().push(bytes.fromhex(data))


@given(st.integers(1, 2**32 - 1), st.integers(1, 2**31 // 10))
def test_a_media_message_is_json_with_every_documented_key(sequence: int, chunk: int) -> None:
    audio = bytes(range(160))
    message = json.loads(phone.media_message(SID, sequence, chunk, audio))
    payload = base64.b64encode(audio).decode()
    media = {
        "track": "inbound",
        "chunk": str(chunk),
        "timestamp": str((chunk - 1) * 20 % 2**32),
        "payload": payload,
    }
    expected = {"event": "media", "sequenceNumber": str(sequence), "media": media, "streamSid": SID.decode()}
    assert message == expected


@pytest.mark.parametrize("separators", [(",", ":"), (" , ", " : "), (",\n", ":\t")])
@pytest.mark.parametrize("backwards", [False, True])
def test_a_bridge_may_write_its_messages_in_any_order_and_spacing(
    separators: tuple[str, str], backwards: bool
) -> None:
    shown = {
        "media": {"event": "media", "streamSid": SID.decode(), "media": {"payload": "AAAA"}},
        "mark": {"event": "mark", "streamSid": SID.decode(), "mark": {"name": "3:400"}},
        "clear": {"event": "clear", "streamSid": SID.decode()},
    }
    texts = {"media": b"AAAA", "mark": b"3:400", "clear": b""}
    for event, message in shown.items():
        items = list(message.items())
        data = json.dumps(dict(items[::-1] if backwards else items), separators=separators).encode()
        assert phone.read_message(data, SID) == (event, texts[event], True)


def test_messages_of_another_stream_and_unknown_ones_are_seen_as_such() -> None:
    assert phone.read_message(b'{"event":"clear","streamSid":"MZother"}', SID) == ("clear", b"", False)
    for text in (b"", b"{}", b'{"event":"dance"}', b'{"event":1}', b'{"event":"media","media":{}}'):
        assert phone.read_message(text, SID)[0] == ""


def test_a_request_is_read_once_it_is_whole() -> None:
    data = b"POST /call HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345GET / HTTP/1.1\r\n"
    assert all(heads.read_request(data[:n]) is None for n in range(len(data) - 16))
    request = heads.read_request(data)
    assert request is not None
    assert (request.method, request.target, request.body) == ("POST", "/call", b"12345")
    assert request.rest == b"GET / HTTP/1.1\r\n"


def test_a_chunked_request_is_read_too() -> None:
    head = b"POST /call HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert heads.read_request(head + b"2\r\n{}\r\n") is None
    request = heads.read_request(head + b"2\r\n{}\r\n0\r\n\r\nrest")
    assert request is not None and request.rest == b"rest"


def test_the_key_is_answered_as_the_standard_shows() -> None:
    assert heads.accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 s. 1.3
