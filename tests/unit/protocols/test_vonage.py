"""The Vonage dialect on the media socket: how a stream starts, key presses, and all that can be wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError, StateError
from vapimedia.protocols import (
    CloseSocket,
    Dtmf,
    Media,
    Problem,
    Started,
    UnknownMessage,
    UpgradeRequest,
    WebhookRequest,
    get_dialect,
)
from vapimedia.protocols.vonage import VonageDialect, VonageSettings

CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
SECRET = "vonage-signature-secret-0123456789abcdef"
APPLICATION = "78d335fa-323d-0114-9c3d-d6f0d48968cf"
SETTINGS = VonageSettings(api_key="abcd1234", application_id=APPLICATION, signature_secret=SECRET)


def connected(**changes: Any) -> bytes:
    message = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "call_uuid": CALL}
    names = {name.replace("_", "-") if name == "content_type" else name: v for name, v in changes.items()}
    return json.dumps({k: v for k, v in (message | names).items() if v is not None}).encode()


def started(**changes: Any) -> VonageDialect:
    dialect = VonageDialect(SETTINGS)
    dialect.feed(connected(**changes), True)
    return dialect


def the_problem(dialect: VonageDialect, message: bytes, is_text: bool = True) -> Problem:
    [problem] = dialect.feed(message, is_text)
    assert isinstance(problem, Problem)
    return problem


class TestStart:
    @pytest.mark.parametrize(
        "content_type",
        [
            "audio/l16;rate=8000",
            "audio/l16",
            "audio/opus;rate=16000",
            "l16/16000",
            "",
            "audio/l16;rate=16000;x",
        ],
    )
    def test_another_format_than_asked_for_ends_the_call(self, content_type: str) -> None:
        problem = the_problem(VonageDialect(SETTINGS), connected(content_type=content_type))
        assert (problem.reason, problem.fatal) == ("unsupported_format", True)

    @pytest.mark.parametrize("content_type", ["audio/L16;rate=16000", " audio/l16; rate=16000"])
    def test_the_format_may_be_written_in_other_ways(self, content_type: str) -> None:
        assert isinstance(
            VonageDialect(SETTINGS).feed(connected(content_type=content_type), True)[0], Started
        )

    @pytest.mark.parametrize("content_type", [None, 5, {}])
    def test_no_format_is_another_than_asked_for(self, content_type: Any) -> None:
        problem = the_problem(VonageDialect(SETTINGS), connected(content_type=content_type))
        assert (problem.reason, problem.fatal) == ("unsupported_format", True)

    @pytest.mark.parametrize("call_id", ["", "x" * 65, "a/b", "a.b", 'a"', "a é", 5])
    def test_a_call_uuid_that_is_none_ends_the_call(self, call_id: Any) -> None:
        problem = the_problem(VonageDialect(SETTINGS), connected(call_uuid=call_id))
        assert (problem.reason, problem.fatal) == ("missing_field", True)

    def test_a_socket_of_another_call_than_announced_ends_the_call(self) -> None:
        problem = the_problem(VonageDialect(SETTINGS, call_id="another"), connected())
        assert (problem.reason, problem.fatal) == ("wrong_call", True)

    def test_a_socket_that_names_no_call_is_of_the_known_one(self) -> None:
        [event] = VonageDialect(SETTINGS, call_id="known").feed(connected(call_uuid=None), True)
        assert event.call_id == "known"
        [event] = VonageDialect(SETTINGS).feed(connected(call_uuid=None), True)
        assert event.call_id == ""

    def test_a_second_first_message_is_refused_and_changes_nothing(self, rsa_pem: str) -> None:
        dialect = VonageDialect(VonageSettings(application_id="a", private_key=rsa_pem))
        dialect.feed(connected(), True)
        problem = the_problem(dialect, connected(call_uuid="other"))
        assert (problem.reason, problem.fatal) == ("second_start", False)
        assert dialect.hangup()[0].url.reveal().endswith(CALL)

    def test_parameters_that_are_no_strings_stay_json(self) -> None:
        parameters = {"a": "é", "b": 5, "c": {"d": None}, "e": "\\u0041"}
        [event] = VonageDialect(SETTINGS).feed(connected(**parameters), True)
        assert event.parameters == {"a": "é", "b": "5", "c": '{"d": null}', "e": "\\u0041"}

    def test_envelopes_exist_only_after_start(self) -> None:
        with pytest.raises(StateError):
            VonageDialect(SETTINGS).envelope_in()
        with pytest.raises(StateError):
            VonageDialect(SETTINGS).envelope_out()
        assert not started().envelope_in().text
        assert not started().envelope_out().text

    def test_before_start_there_is_nothing_to_mark_or_clear(self) -> None:
        dialect = VonageDialect(SETTINGS)
        assert dialect.mark("1") is None
        assert dialect.clear() is None


class TestDtmf:
    @pytest.mark.parametrize(
        ("message", "duration_ms"),
        [
            ({"digit": "5", "duration": 260}, 260),
            ({"digit": "5", "duration": "260"}, 260),
            ({"digit": "5", "duration": 259.9}, 259),
            ({"digit": "5"}, None),
            ({"digit": 5}, None),
            ({"digit": "5", "duration": "long"}, None),
            ({"digit": "5", "duration": "nan"}, None),
            ({"digit": "5", "duration": -1}, None),
            ({"digit": "5", "duration": True}, None),
            ({"digit": "5", "duration": {}}, None),
            ({"dtmf": {"digit": "5", "duration": 260}}, 260),
            ({"dtmf": {"digit": "5"}, "duration": 260}, 260),
            ({"dtmf": {"digit": "5"}}, None),
            ({"dtmf": "5"}, None),
            ({"dtmf": "5", "duration": 260}, 260),
        ],
    )
    def test_a_key_press_is_read_in_every_shape(
        self, message: dict[str, Any], duration_ms: int | None
    ) -> None:
        wire = json.dumps({"event": "websocket:dtmf", **message}).encode()
        assert started().feed(wire, True) == [Dtmf("5", duration_ms)]

    @pytest.mark.parametrize("digit", list("0123456789*#ABCD"))
    def test_every_key_is_known_in_either_case(self, digit: str) -> None:
        wire = json.dumps({"event": "websocket:dtmf", "digit": digit.lower()}).encode()
        assert started().feed(wire, True) == [Dtmf(digit)]

    @pytest.mark.parametrize(
        "message", [{}, {"digit": ""}, {"digit": "55"}, {"digit": "E"}, {"digit": True}, {"dtmf": ["5"]}]
    )
    def test_an_unknown_key_is_a_problem(self, message: dict[str, Any]) -> None:
        problem = the_problem(started(), json.dumps({"event": "websocket:dtmf", **message}).encode())
        assert (problem.reason, problem.fatal) == ("wrong_digit", False)


class TestBadInput:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (b"", "invalid_json"),
            (b'{"event":"websocket:dtmf"', "invalid_json"),
            (b'{"event":"\xff"}', "invalid_json"),
            (b'{"event":"websocket:notify","payload":{"name":' + b"[" * 5000, "invalid_json"),
            (b"[]", "missing_field"),
            (b"null", "missing_field"),
            (b"{}", "missing_field"),
            (b'{"event":5}', "missing_field"),
        ],
    )
    def test_an_unreadable_message_ends_the_call_only_in_place_of_the_first(
        self, message: bytes, reason: str
    ) -> None:
        problem = the_problem(started(), message)
        assert (problem.reason, problem.fatal) == (reason, False)
        problem = the_problem(VonageDialect(SETTINGS), message)
        assert (problem.reason, problem.fatal) == (reason, True)

    @pytest.mark.parametrize("payload", [None, {}, {"name": 5}, "name", [1]])
    def test_a_notify_without_a_name_is_a_problem(self, payload: Any) -> None:
        wire = json.dumps({"event": "websocket:notify", "payload": payload}).encode()
        assert the_problem(started(), wire) == Problem(
            "missing_field", "a notify message has no payload with a name"
        )

    @pytest.mark.parametrize(
        ("message", "is_text"),
        [
            (bytes(640), False),
            (b'{"event":"websocket:dtmf","digit":"5"}', True),
            (b'{"event":"websocket:notify","payload":{"name":"1:2"}}', True),
            (b'{"event":"websocket:cleared"}', True),
        ],
    )
    def test_what_comes_before_the_first_message_is_dropped(self, message: bytes, is_text: bool) -> None:
        dialect = VonageDialect(SETTINGS)
        problem = the_problem(dialect, message, is_text)
        assert (problem.reason, problem.fatal) == ("media_before_start", False)
        assert isinstance(dialect.feed(connected(), True)[0], Started)

    @pytest.mark.parametrize(("message", "reason"), [(b"", "empty_media"), (bytes(641), "odd_media")])
    def test_media_that_is_no_whole_samples_is_dropped(self, message: bytes, reason: str) -> None:
        problem = the_problem(started(), message, is_text=False)
        assert (problem.reason, problem.fatal) == (reason, False)

    def test_media_of_any_even_size_is_taken(self) -> None:
        assert started().feed(bytes(2), False) == [Media(bytes(2))]

    def test_an_unknown_event_is_named_in_printable_characters(self) -> None:
        assert started().feed(b'{"event":"new\\nthing"}', True) == [UnknownMessage("new?thing")]
        assert VonageDialect(SETTINGS).feed(b'{"event":"x"}', True) == [UnknownMessage("x")]

    @given(st.binary(max_size=200), st.booleans())
    def test_no_bytes_raise(self, message: bytes, is_text: bool) -> None:
        for dialect in (VonageDialect(SETTINGS), started()):
            dialect.feed(message, is_text)

    @given(
        st.sampled_from(["connected", "dtmf", "notify", "cleared"]),
        st.dictionaries(
            st.sampled_from(
                ["event", "content-type", "call_uuid", "digit", "dtmf", "duration", "payload", "x"]
            ),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda inner: (
                    st.dictionaries(st.sampled_from(["digit", "duration", "name"]), inner)
                    | st.lists(inner, max_size=3)
                ),
                max_leaves=8,
            ),
        ),
    )
    def test_no_json_raises(self, event: str, fields: dict[str, Any]) -> None:
        message = json.dumps({"event": f"websocket:{event}", **fields}).encode()
        for dialect in (VonageDialect(SETTINGS), started()):
            dialect.feed(message, True)


class TestHangup:
    def test_without_a_known_application_only_the_socket_closes(self, rsa_pem: str) -> None:
        for settings in (SETTINGS, VonageSettings(private_key=rsa_pem)):
            assert VonageDialect(settings, call_id=CALL).hangup() == [CloseSocket(1000)]

    def test_a_call_that_nobody_named_is_left_to_the_socket(self, rsa_pem: str) -> None:
        settings = VonageSettings(application_id=APPLICATION, private_key=rsa_pem)
        assert VonageDialect(settings).hangup() == [CloseSocket(1000)]
        assert VonageDialect(settings, call_id=CALL).hangup()[0].url.reveal().endswith(CALL)


class TestSettings:
    @pytest.mark.parametrize("rate", [0, 11025, 48000])
    def test_a_rate_that_vonage_does_not_know_is_refused(self, rate: int) -> None:
        with pytest.raises(ConfigError, match="8000, 16000, 24000"):
            VonageSettings(sample_rate=rate)

    def test_a_number_that_is_none_is_refused_and_not_shown(self) -> None:
        with pytest.raises(ConfigError, match="VAPIMEDIA_VONAGE_FROM") as caught:
            VonageSettings(from_number="0415555")
        assert "0415555" not in str(caught.value)

    def test_a_dialect_is_found_by_name(self) -> None:
        assert get_dialect("vonage") is VonageDialect

    def test_at_most_990_messages_are_sent_ahead(self) -> None:
        caps = VonageDialect.caps
        assert caps.exact_frames
        assert caps.max_lead_ms / 20 == 990 < 1000 < 1024

    def test_calls_can_be_made(self) -> None:
        assert VonageDialect.caps.dials

    def test_nothing_secret_shows(self, rsa_pem: str) -> None:
        canary = "canary5550100"
        settings = VonageSettings(canary, "app", rsa_pem, canary, from_number="14155550100")
        dialect = VonageDialect(settings, call_id=CALL)
        body = json.dumps(
            {"uuid": CALL, "from": canary, "to": f"wss://h/{canary}", "status": "failed", "reason": canary}
        )
        webhook = WebhookRequest("POST", f"/{canary}", {"authorization": f"Bearer {canary}"}, body.encode())
        shown = [
            settings,
            dialect,
            dialect.feed(connected(**{canary: canary}), True),
            dialect.hangup(),
            dialect.check_webhook(webhook),
            dialect.check_upgrade(UpgradeRequest(f"/{canary}", dict(webhook.headers))),
            dialect.read_voice_webhook(webhook),
            dialect.read_status_webhook(webhook),
            dialect.answer(f"wss://h/{canary}", "", {"a": canary}),
            dialect.feed(json.dumps({"event": "websocket:notify", "payload": canary}).encode(), True),
        ]
        assert canary not in repr(shown)
        assert "14155550100" not in repr(shown)
        assert "BEGIN" not in repr(shown)
