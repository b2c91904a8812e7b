"""What Vapi says is decoded: every known payload to its class, anything else to something countable."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.protocols import vapi
from vapimedia.protocols._wire import printable
from vapimedia.protocols.vapi import Malformed, ToolCall, decode_event, decode_server_message, peek_type

DATA = Path(__file__).parents[2] / "data" / "vapi"
NO_WEBHOOK = ("ws.", "control.", "response.", "rest.", "transcriber.", "listen.")
SOCKET = sorted(path.name for path in DATA.glob("ws.*.json"))
WEBHOOKS = sorted(path.name for path in DATA.glob("*.json") if not path.name.startswith(NO_WEBHOOK))
CALL = "0f6f2b9e-5d0a-4c53-9a37-1d7c6f0a9b11"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.dictionaries(
            st.sampled_from(["message", "call", "id", "function", "name", "arguments", "toolCall", "turn"]),
            inner,
        )
        | st.lists(inner, max_size=3)
    ),
    max_leaves=8,
)
HANG = st.just("hang")
TYPED = HANG | st.dictionaries(st.sampled_from(["type", "x"]), HANG | st.text(max_size=4), max_size=2)


def payload(name: str) -> bytes:
    return (DATA / name).read_bytes()


def wire(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def class_name(type_: str) -> str:
    words = type_.partition("[")[0].replace(".", "-").split("-")
    return "".join(word[0].upper() + word[1:] for word in words)


class TestFixtures:
    @pytest.mark.parametrize("name", SOCKET)
    def test_every_socket_message_becomes_the_class_of_its_type(self, name: str) -> None:
        event = decode_event(payload(name))
        assert type(event).__name__ == class_name(json.loads(payload(name))["type"])
        assert event.type == json.loads(payload(name))["type"]

    @pytest.mark.parametrize("name", WEBHOOKS)
    def test_every_webhook_becomes_the_class_of_its_type(self, name: str) -> None:
        message = json.loads(payload(name))["message"]
        event = decode_server_message(payload(name))
        assert type(event).__name__.removeprefix("Final") == class_name(message["type"])
        assert event.timestamp == message["timestamp"]
        assert event.call_id == (CALL if "call" in message else "")

    @pytest.mark.parametrize(
        "name", ["ws.tool-calls.json", *(n for n in WEBHOOKS if n.startswith("tool-calls"))]
    )
    def test_every_spelling_of_a_tool_call_reads_alike(self, name: str) -> None:
        [call] = decode_server_message(payload(name)).calls
        assert (call.id, call.name, call.arguments()) == ("call_A1b2C3", "store_hours", {"day": "monday"})


class TestForms:
    def test_the_subscriptions_suffix_is_no_part_of_the_type(self) -> None:
        event = decode_event(
            wire(type='transcript[transcriptType="final"]', transcriptType="final", transcript="hi")
        )
        assert isinstance(event, vapi.Transcript)
        assert (event.final, event.transcript, event.type) == (True, "hi", "transcript")

    def test_both_spellings_of_assistant_started_are_one_event(self) -> None:
        assert isinstance(decode_event(wire(type="assistant-started")), vapi.AssistantStarted)
        assert isinstance(decode_event(wire(type="assistant.started")), vapi.AssistantStarted)

    def test_an_envelope_is_taken_off_on_the_socket_too(self) -> None:
        event = decode_event(wire(message={"type": "status-update", "status": "ended"}))
        assert isinstance(event, vapi.StatusUpdate)
        assert event.ended

    def test_a_webhook_needs_no_envelope(self) -> None:
        assert isinstance(decode_server_message(wire(type="hang")), vapi.Hang)

    def test_a_turn_that_is_numbered_interrupts_too(self) -> None:
        assert decode_event(wire(type="user-interrupted", turnId=3)) == vapi.UserInterrupted(turn_id=3)

    def test_text_is_decoded_like_bytes(self) -> None:
        assert decode_event('{"type":"user-interrupted","turnId":"t"}') == vapi.UserInterrupted(turn_id="t")

    def test_the_type_may_stand_anywhere(self) -> None:
        assert isinstance(decode_event(b'{"x":[1,{"type":"y"}],"type":"hang"}'), vapi.Hang)

    @pytest.mark.parametrize("output", ["text", ["a"], {"a": 1}, None])
    def test_model_output_may_be_anything(self, output: Any) -> None:
        event = decode_event(wire(type="model-output", output=output))
        assert isinstance(event, vapi.ModelOutput)
        assert event.text == (output if isinstance(output, str) else "")

    def test_a_conversation_is_kept_but_not_decoded(self) -> None:
        event = decode_event(b'{"type":"conversation-update","messages":[{"role": "user"}]}')
        assert bytes(event.messages_json) == b'[{"role": "user"}]'
        assert bytes(event.conversation_json) == b""

    @pytest.mark.parametrize("event", vapi.events.EVENT_TYPES)
    def test_every_field_may_be_missing_or_null(self, event: type[vapi.Event]) -> None:
        type_ = str(event.__struct_config__.tag)
        bare = decode_event(wire(type=type_))
        assert isinstance(bare, event)
        assert json.loads(vapi.encode_event(bare)) == {"type": type_}
        nulls = dict.fromkeys(event.__struct_encode_fields__)
        assert isinstance(decode_event(wire(**nulls | {"type": type_})), event)


class TestBadInput:
    def test_an_unknown_type_is_kept_whole(self) -> None:
        data = b'{"type":"brand.new","x":[1, 2]}'
        assert decode_event(data) == vapi.UnknownEvent("brand.new", data)
        assert decode_server_message(b'{"message":' + data + b"}") == vapi.UnknownServerMessage(
            "brand.new", data
        )

    def test_a_webhook_of_the_server_only_is_unknown_on_the_socket(self) -> None:
        assert isinstance(decode_event(wire(type="end-of-call-report")), vapi.UnknownEvent)

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (b"", "invalid_json"),
            (b"listening", "invalid_json"),
            (b'{"type":"hang"', "invalid_json"),
            (b'{"type":"\xff"}', "invalid_json"),
            (b'{"type":"hang","call":{"id":"\xff"}}', "invalid_json"),
            (b'{"type":"conversation-update","messages":["\xff"]}', "invalid_json"),
            (b'{"type":"assistant-started","assistantVersion":"\xff"}', "invalid_json"),
            ("{\ud800}", "invalid_json"),
            (b'{"a":' + b"[" * 5000, "invalid_json"),
            (b"[]", "not_an_object"),
            (b'"playable"', "not_an_object"),
            (b'{"message":"text"}', "not_an_object"),
            (b"{}", "missing_type"),
            (b'{"type":7}', "missing_type"),
            (b'{"message":{"message":{"type":"hang"}}}', "missing_type"),
            (b'{"type":"speech-update","turn":"one"}', "wrong_field"),
            (b'{"message":{"type":"tool-calls","toolCallList":{}}}', "wrong_field"),
            (b'{"type":"hang","call":"none"}', "wrong_field"),
            (b'{"type":"hang","call":{"id":7}}', "wrong_field"),
        ],
    )
    def test_what_cannot_be_read_is_malformed(self, data: bytes | str, reason: str) -> None:
        for decode in (decode_event, decode_server_message):
            event = decode(data)
            assert isinstance(event, Malformed)
            assert event.reason == reason

    def test_a_wrong_field_is_named_with_its_event(self) -> None:
        event = decode_event(b'{"type":"transcript","transcript":{"secret":1}}')
        assert isinstance(event, Malformed)
        assert event.type == "transcript"
        assert event.text.endswith("at `$.transcript`")

    @pytest.mark.parametrize(
        ("message", "place"),
        [
            ({"type": "hang", "call": "none"}, "$.call"),
            ({"type": "tool-calls", "call": {"id": 7}}, "$.call.id"),
            ({"type": "tool-calls", "toolCallList": [{"id": 7}]}, "$.toolCallList[0].id"),
            ({"type": "tool-calls", "toolWithToolCallList": 7}, "$.toolWithToolCallList"),
        ],
    )
    def test_a_part_that_must_be_readable_is_named_too(self, message: Any, place: str) -> None:
        for data in (message, {"message": message}):
            event = decode_server_message(json.dumps(data))
            assert isinstance(event, Malformed)
            assert event.text.endswith(f"at `{place}`")

    @given(st.binary(max_size=60) | st.text(max_size=60))
    def test_no_bytes_raise(self, data: bytes | str) -> None:
        decode_event(data)
        decode_server_message(data)

    @settings(max_examples=60)
    @given(st.sampled_from([t.__struct_config__.tag for t in vapi.events.EVENT_TYPES] + ["new"]), st.data())
    def test_no_json_raises(self, type_: str, data: st.DataObject) -> None:
        keys = [
            "turn",
            "role",
            "call",
            "timestamp",
            "toolCallList",
            "toolWithToolCallList",
            "functionCall",
            "output",
        ]
        fields = data.draw(st.dictionaries(st.sampled_from(keys), JSON, max_size=3))
        event = decode_event(wire(**fields | {"type": type_}))
        for call in getattr(event, "calls", []):
            call.arguments()
        decode_server_message(wire(message=fields | {"type": type_}))


def escaped(text: str, places: list[bool]) -> str:
    """Spell some letters of *text*, which is JSON, as escapes: it means the same."""
    letters = iter([*places, *[False] * len(text)])
    return "".join(f"\\u{ord(c):04x}" if c in "typemsag" and next(letters) else c for c in text)


class TestPeek:
    @given(
        st.dictionaries(
            st.sampled_from(["type", "message", "x", "type\\", '"type"']), JSON | TYPED, max_size=4
        ),
        st.sampled_from([(",", ":"), (" ,\n", " : ")]),
    )
    def test_it_sees_what_a_full_reading_finds(self, message: Any, separators: tuple[str, str]) -> None:
        text = json.dumps(message, separators=separators)
        first = next(iter(message), None)
        inner = message.get("message")
        types = [message.get("type"), inner.get("type") if isinstance(inner, dict) else None]
        if types[0] is None or (first == "message" and isinstance(types[1], str)):
            types.reverse()
        seen = peek_type(text.encode())
        assert seen in ("", types[0])
        event = decode_event(text)
        if seen:
            assert isinstance(event, Malformed) or event.type == printable(seen)

    @given(
        st.lists(st.booleans(), max_size=20), st.sampled_from(["hang", "a\tb", "é", 'a"b', ""]), st.booleans()
    )
    def test_escapes_and_envelopes_change_nothing(
        self, places: list[bool], type_: str, wrapped: bool
    ) -> None:
        message: Any = {"type": type_, "x": {"type": "other"}}
        text = json.dumps({"message": message} if wrapped else message)
        names = text.replace('"type"', escaped('"type"', places), 1).replace(
            "message", escaped("message", places)
        )
        assert peek_type(names.encode()) == type_

    def test_of_two_types_the_first_counts_if_it_comes_first_of_all(self) -> None:
        for data, seen in (
            (b'{"type":"hang","type":"user-interrupted"}', "hang"),
            (b'{"message":{"type":"hang","type":"user-interrupted"}}', "hang"),
            (b'{"x":1,"type":"hang","type":"user-interrupted"}', "user-interrupted"),
        ):
            assert peek_type(data) == decode_event(data).type == seen

    def test_an_envelope_that_begins_the_message_counts_more_than_a_type_beside_it(self) -> None:
        for data, seen in (
            (b'{"message":{"type":"hang"},"type":"user-interrupted"}', "hang"),
            (b'{"type":"user-interrupted","message":{"type":"hang"}}', "user-interrupted"),
            (b'{ "message": {"role":"user"},"type":"hang"}', "hang"),
        ):
            assert peek_type(data) == decode_event(data).type == decode_server_message(data).type == seen

    @given(st.binary(max_size=40))
    def test_no_bytes_raise(self, data: bytes) -> None:
        for view in (data, bytearray(data), memoryview(data), data.decode("latin-1"), "\ud800"):
            assert isinstance(peek_type(view), str)


def parts_of(event: Any) -> Iterator[Any]:
    names = (name for name in dir(type(event)) if not name.startswith("__"))
    return (getattr(event, name) for name in names if not name.startswith("_"))


class TestChangedPayloads:
    @settings(max_examples=150)
    @given(st.sampled_from(SOCKET + WEBHOOKS), st.data())
    def test_no_change_of_a_payload_raises(self, name: str, data: st.DataObject) -> None:
        document = json.loads(payload(name))
        message = document.get("message", document)
        for _ in range(data.draw(st.integers(1, 3))):
            key = data.draw(st.sampled_from([*sorted(message), "new"]))
            if data.draw(st.booleans()):
                message[key] = data.draw(JSON)
            else:
                message.pop(key, None)
        for decode, encode in (
            (decode_event, vapi.encode_event),
            (decode_server_message, vapi.encode_server_message),
        ):
            event = decode(json.dumps(document))
            if not isinstance(event, Malformed):
                assert event.type in {entry.type for entry in vapi.CATALOGUE} or isinstance(
                    event, vapi.UnknownEvent | vapi.UnknownServerMessage
                )
                assert type(decode(encode(event))) is type(event)
                assert all(part is not event for part in parts_of(event))


class TestToolCalls:
    @pytest.mark.parametrize(
        ("raw", "arguments"),
        [
            (b"", {}),
            (b"null", {}),
            (b'""', {}),
            (b'{"a":1}', {"a": 1}),
            (b'"{\\"a\\":1}"', {"a": 1}),
            (b'"not json"', "not json"),
            (b'"[1]"', "[1]"),
            (b"[1]", "[1]"),
        ],
    )
    def test_arguments_are_a_dict_where_they_can_be(self, raw: bytes, arguments: Any) -> None:
        assert ToolCall("i", "n", raw).arguments() == arguments

    def test_the_order_is_vapis_and_names_come_from_either_list(self) -> None:
        calls = decode_event(
            wire(
                type="tool-calls",
                toolCallList=[{"id": "2"}, {"id": "1", "name": "one"}],
                toolWithToolCallList=[
                    {"name": "one", "toolCall": {"id": "1"}},
                    {"function": {"name": "two"}, "toolCall": {"id": "2"}},
                ],
            )
        ).calls
        assert [(call.id, call.name) for call in calls] == [("2", "two"), ("1", "one")]

    @pytest.mark.parametrize(
        "call",
        [
            {"parameters": {"a": 1}, "arguments": None},
            {"function": {"name": "t", "arguments": None, "parameters": {"a": 1}}},
            {"parameters": {"a": 1}, "function": {"name": "t", "arguments": None}},
            {"arguments": None},
            {},
        ],
    )
    def test_arguments_come_from_wherever_they_are(self, call: dict[str, Any]) -> None:
        told = {"name": "t", "toolCall": {"id": "1", "function": {"parameters": {"a": 1}}}}
        event = decode_event(
            wire(type="tool-calls", toolCallList=[{"id": "1"} | call], toolWithToolCallList=[told])
        )
        assert [(made.name, made.arguments()) for made in event.calls] == [("t", {"a": 1})]

    def test_without_the_plain_list_the_other_one_is_read(self) -> None:
        tools = [
            {"name": "t", "toolCall": {"id": "1", "function": {"parameters": {"a": 1}}}},
            {"name": "no call"},
        ]
        calls = decode_event(wire(type="tool-calls", toolWithToolCallList=tools)).calls
        assert calls == [ToolCall("1", "t", b'{"a": 1}')]


def test_nothing_said_or_secret_shows() -> None:
    for entry in vapi.CATALOGUE:
        for name, wire_name in zip(
            entry.struct.__struct_fields__, entry.struct.__struct_encode_fields__, strict=True
        ):
            value = {"id": "1", "canary": "canary"} if name == "call_json" else "canary"
            event = decode_server_message(wire(**{"type": entry.type, wire_name: value}))
            assert ("canary" in repr(event)) is (
                name in entry.struct.shown and isinstance(event, entry.struct)
            )
    parts = [
        vapi.PhoneNumber(number="canary"),
        vapi.CallMessage(message="canary"),
        vapi.OpenAIMessage(content="canary"),
        vapi.Artifact(recording_url="canary", transcript="canary"),
        vapi.WordAlignment(words=["canary"]),
        vapi.WordProgress(segment="canary"),
        vapi.WordTime(word="canary"),
        decode_event(wire(type="tool-calls", toolCallList=[{"id": "1", "arguments": "canary"}])),
        decode_event(wire(type="new", secret="canary")),
        decode_event(wire(type="transcript", role=["canary"], x="canary")),
        decode_event(b'{"type": "hang' + b"canary"),
    ]
    assert "canary" not in repr(parts)
