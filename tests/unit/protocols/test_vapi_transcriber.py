"""The socket of a custom transcriber: what it says is read and written as Vapi writes it, and never raises."""

from __future__ import annotations

import json
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest

from vapimedia.errors import ProtocolError
from vapimedia.protocols.vapi import (
    Malformed,
    TranscriberError,
    TranscriberResponse,
    TranscriberStart,
    UnknownEvent,
    decode_transcriber,
)
from vapimedia.protocols.vapi.transcriber import check_start

FILES = sorted((Path(__file__).parents[2] / "data" / "vapi").glob("transcriber.*.json"))
KNOWN = TranscriberStart | TranscriberResponse | TranscriberError


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_recorded_message_is_read_and_written_as_it_was(file: Path) -> None:
    message = decode_transcriber(file.read_bytes())
    assert isinstance(message, KNOWN)
    assert json.loads(message.encode()) == json.loads(file.read_bytes())


@hypothesis.given(st.one_of(st.binary(), st.text(), st.from_type(type(None)).map(lambda _: "[" * 100_000)))
@hypothesis.settings(max_examples=50)
def test_no_message_raises(data: bytes | str) -> None:
    decode_transcriber(data)


@pytest.mark.parametrize(
    "text,expected",
    [
        ('{"type":"ping","x":1}', UnknownEvent("ping", b'{"type":"ping","x":1}')),
        ('{"type":"start","channels":"two"}', "wrong_field"),
        ('{"type":"transcriber-response"}', "wrong_field"),
        ("{}", "missing_type"),
        ("[]", "not_an_object"),
        ("{", "invalid_json"),
    ],
)
def test_what_is_not_known_says_why(text: str, expected: object) -> None:
    found = decode_transcriber(text)
    assert (found.reason if isinstance(found, Malformed) else found) == expected


def test_the_start_frame_has_defaults_and_may_write_numbers_as_floats() -> None:
    start = decode_transcriber('{"type":"start","sampleRate":8000.0,"new":true}')
    assert start == TranscriberStart(sample_rate=8000)
    check_start(start)


def test_repr_shows_no_transcript_and_a_refusal_says_what_is_wrong() -> None:
    assert "secret" not in repr(TranscriberResponse(transcription="secret words"))
    with pytest.raises(ProtocolError, match=r"sampleRate 8000\.5 cannot be taken"):
        check_start(TranscriberStart(sample_rate=8000.5))
