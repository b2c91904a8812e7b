from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.protocols.vapi import Malformed, StatusUpdate, UnknownEvent
from vapimedia.protocols.vapi.listen import ListenStart, decode_listen


@pytest.mark.parametrize(
    "message,start",
    [
        (
            {
                "type": "start",
                "encoding": "linear16",
                "container": "raw",
                "sampleRate": 16000,
                "channels": 2,
            },
            ListenStart(sample_rate=16000, channels=2, encoding="linear16"),
        ),
        ({"type": "start"}, ListenStart()),
        ({"type": "config", "sampleRate": "24000"}, ListenStart(sample_rate=24000)),
        ({"sample_rate": 8000.0, "channels": 1.0}, ListenStart(sample_rate=8000, channels=1)),
        (
            {"type": "hello", "audioFormat": {"format": "mulaw", "sampleRate": 8000}},
            ListenStart(sample_rate=8000, encoding="mulaw"),
        ),
        (
            {"type": "start", "sampleRate": 0, "channels": 7, "encoding": 3},
            ListenStart(),
        ),
        ({"type": "start", "sampleRate": True, "channels": [2]}, ListenStart()),
    ],
)
def test_whatever_tells_a_rate_is_the_format_and_nonsense_counts_as_not_told(
    message: dict[str, object], start: ListenStart
) -> None:
    assert decode_listen(json.dumps(message)) == start


def test_everything_else_is_an_event_as_on_the_call_socket() -> None:
    ended = decode_listen('{"type":"status-update","status":"ended","sampleRate":8000}')
    assert isinstance(ended, StatusUpdate)
    assert ended.ended
    assert isinstance(decode_listen('{"type":"viseme","value":3}'), UnknownEvent)
    assert isinstance(decode_listen("listening"), Malformed)


def test_encodings_have_one_name() -> None:
    names = ["linear16", "mulaw", "PCMU", "opus", ""]
    known = [ListenStart(encoding=name).known_encoding for name in names]
    assert known == ["pcm_s16le", "mulaw", "mulaw", None, None]


values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "sampleRate", "channels", "encoding", "format", "audioFormat"]), inner
        )
    ),
    max_leaves=8,
)


@given(st.text(max_size=60) | values.map(json.dumps))
def test_no_text_raises(text: str) -> None:
    decode_listen(text)
