"""The Twilio dialect on the media socket: recorded calls replayed, and all that can be wrong with them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError, ProtocolError, StateError
from vapimedia.protocols import (
    CloseSocket,
    Connected,
    DialRequest,
    Dtmf,
    HttpCall,
    LegFormat,
    MarkPlayed,
    Media,
    Problem,
    Started,
    StatusReport,
    Stopped,
    UnknownMessage,
    UpgradeRequest,
    WebhookRequest,
    get_dialect,
    twilio,
)
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings

ACCOUNT = "AC00000000000000000000000000000001"
CALL = "CA5a1e00000000000000000000000000a1"
STREAM = "MZ18ad00000000000000000000000000b2"
TOKEN = "0123456789abcdef0123456789abcdef"
SETTINGS = TwilioSettings(ACCOUNT, TOKEN, public_url="https://bridge.example.com")
FORM = {"content-type": "application/x-www-form-urlencoded"}


def start_message(**changes: Any) -> bytes:
    start = {
        "accountSid": ACCOUNT,
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"assistantId": "asst_1"},
    }
    start = {name: value for name, value in (start | changes).items() if value is not None}
    return json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": STREAM}).encode()


def media_message(payload: str = "/////w==", **changes: Any) -> bytes:
    media = {"track": changes.pop("track", "inbound"), "chunk": "1", "timestamp": "5", "payload": payload}
    return json.dumps({"event": "media", "media": media, "streamSid": STREAM} | changes).encode()


def started() -> TwilioDialect:
    dialect = TwilioDialect(SETTINGS)
    dialect.feed(start_message(), True)
    return dialect


def the_problem(dialect: TwilioDialect, message: bytes, is_text: bool = True) -> Problem:
    [problem] = dialect.feed(message, is_text)
    assert isinstance(problem, Problem)
    return problem


class TestReplay:
    def test_every_message_of_a_recorded_call_gives_its_event(
        self, twilio_call: list[dict[str, Any]]
    ) -> None:
        dialect = TwilioDialect(SETTINGS)
        heard = [entry["wire"] for entry in twilio_call if (entry["dir"], entry["kind"]) == ("in", "text")]
        for wire in heard:
            message = json.loads(wire)
            [event] = dialect.feed(wire.encode(), True)
            match message["event"]:
                case "connected":
                    assert event == Connected()
                case "start":
                    parameters = message["start"]["customParameters"]
                    assert event == Started(CALL, STREAM, LegFormat("mulaw", 8000), ACCOUNT, parameters)
                case "media":
                    assert event == Media(base64.b64decode(message["media"]["payload"]))
                case "mark":
                    assert event == MarkPlayed(message["mark"]["name"])
                case "dtmf":
                    assert event == Dtmf(message["dtmf"]["digit"])
                case "stop":
                    assert event == Stopped("stop")

    def test_what_we_send_is_what_the_recorded_bridge_sent(
        self, twilio_call: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio, "Envelope", dict)
        dialect = started()
        wrap: Any = dialect.envelope_out()
        sent = [
            json.loads(entry["wire"])
            for entry in twilio_call
            if (entry["dir"], entry["kind"]) == ("out", "text")
        ]
        assert {message["event"] for message in sent} == {"media", "mark", "clear"}
        for message in sent:
            if message["event"] == "media":
                ours = wrap["prefix"] + message["media"]["payload"].encode() + wrap["suffix"]
            elif message["event"] == "mark":
                ours = dialect.mark(message["mark"]["name"]).data
            else:
                ours = dialect.clear().data
            assert json.loads(ours) == message

    def test_the_recorded_webhooks_name_their_call(self, twilio_call: list[dict[str, Any]]) -> None:
        from urllib.parse import urlencode

        outcomes = []
        for entry in twilio_call:
            if (entry["dir"], entry["kind"]) != ("in", "http"):
                continue
            path = entry["url"].removeprefix("https://bridge.example.com")
            request = WebhookRequest("POST", path, FORM, urlencode(entry["form"]).encode())
            if path == "/twilio/voice":
                call = TwilioDialect(SETTINGS).read_voice_webhook(request)
                outcomes.append((call.call_id, call.direction))
            else:
                outcomes.append(TwilioDialect(SETTINGS).read_status_webhook(request))
        assert outcomes == [
            (CALL, "inbound"),
            StatusReport(CALL),
            StatusReport(CALL, (Stopped("stream-stopped"),)),
        ]

    def test_of_both_tracks_only_the_inbound_one_is_heard(self, twilio_listen: list[dict[str, Any]]) -> None:
        dialect = TwilioDialect(SETTINGS)
        for entry in twilio_listen:
            if (entry["dir"], entry["kind"]) != ("in", "text"):
                continue
            message = json.loads(entry["wire"])
            [event] = dialect.feed(entry["wire"].encode(), True)
            if message["event"] == "media" and message["media"]["track"] == "outbound":
                assert event.reason == "foreign_track"
                assert not event.fatal
            else:
                assert not isinstance(event, Problem)

    def test_the_scanner_reads_the_same_media_as_the_full_parser(
        self, twilio_call: list[dict[str, Any]]
    ) -> None:
        dialect = started()
        envelope = dialect.envelope_in()
        for entry in twilio_call:
            if (entry["dir"], entry["kind"]) == ("in", "text"):
                wire = entry["wire"].encode()
                payload = envelope.scan(wire)
                assert (payload is not None) == ('"event":"media"' in entry["wire"])
                if payload is not None:
                    assert dialect.feed(wire, True) == [Media(base64.b64decode(payload))]


class TestStart:
    @pytest.mark.parametrize(
        "format_",
        [
            {"encoding": "audio/x-l16", "sampleRate": 16000, "channels": 1},
            {"encoding": "audio/x-mulaw", "sampleRate": 16000, "channels": 1},
            {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2},
        ],
    )
    def test_another_format_than_mulaw_8000_mono_ends_the_call(self, format_: dict[str, Any]) -> None:
        problem = the_problem(TwilioDialect(SETTINGS), start_message(mediaFormat=format_))
        assert (problem.reason, problem.fatal) == ("unsupported_format", True)

    @pytest.mark.parametrize("field", ["callSid", "mediaFormat"])
    def test_a_start_without_a_required_field_ends_the_call(self, field: str) -> None:
        problem = the_problem(TwilioDialect(SETTINGS), start_message(**{field: None}))
        assert (problem.reason, problem.fatal) == ("missing_field", True)

    @pytest.mark.parametrize("sid", ["", "x" * 65, 'MZ"', "MZ\\", "MZ é"])
    def test_a_start_whose_call_id_is_none_ends_the_call(self, sid: str) -> None:
        problem = the_problem(TwilioDialect(SETTINGS), start_message(callSid=sid))
        assert (problem.reason, problem.fatal) == ("missing_field", True)

    def test_a_second_start_is_refused_and_changes_nothing(self) -> None:
        dialect = started()
        problem = the_problem(dialect, start_message(callSid="CA2"))
        assert (problem.reason, problem.fatal) == ("second_start", False)
        assert "CA2" not in dialect.hangup()[0].url.reveal()

    def test_a_start_of_another_account_ends_the_call(self) -> None:
        problem = the_problem(TwilioDialect(SETTINGS), start_message(accountSid="AC9"))
        assert (problem.reason, problem.fatal) == ("wrong_account", True)

    def test_without_auth_any_account_may_start(self) -> None:
        dialect = TwilioDialect(TwilioSettings(ACCOUNT, TOKEN, auth=False))
        assert isinstance(dialect.feed(start_message(accountSid="AC9"), True)[0], Started)

    def test_a_start_of_another_call_than_announced_ends_the_call(self) -> None:
        problem = the_problem(TwilioDialect(SETTINGS, call_id="CA2"), start_message())
        assert (problem.reason, problem.fatal) == ("wrong_call", True)

    def test_parameters_that_are_no_strings_stay_json(self) -> None:
        parameters = {"a": "é", "b": 5, "c": {"d": None}}
        [event] = TwilioDialect(SETTINGS).feed(start_message(customParameters=parameters), True)
        assert event.parameters == {"a": "é", "b": "5", "c": '{"d": null}'}

    def test_envelopes_exist_only_after_start(self) -> None:
        with pytest.raises(StateError):
            TwilioDialect(SETTINGS).envelope_in()
        with pytest.raises(StateError):
            TwilioDialect(SETTINGS).envelope_out()

    def test_before_start_there_is_nothing_to_mark_or_clear(self) -> None:
        dialect = TwilioDialect(SETTINGS)
        assert dialect.mark("1") is None
        assert dialect.clear() is None


class TestBadInput:
    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (b"", "invalid_json"),
            (b'{"event":"media"', "invalid_json"),
            (b'{"event":"\xff"}', "invalid_json"),
            (b'{"event":"mark","mark":{"name":' + b"[" * 5000, "invalid_json"),
            (b"[]", "missing_field"),
            (b"null", "missing_field"),
            (b"{}", "missing_field"),
            (b'{"event":5}', "missing_field"),
            (b'{"event":"media"}', "missing_field"),
            (b'{"event":"mark","mark":{}}', "missing_field"),
            (media_message("/////w="), "invalid_base64"),
            (media_message("!!!!"), "invalid_base64"),
            (media_message("é"), "invalid_base64"),
            (media_message(""), "empty_media"),
            (media_message(streamSid="MZ2"), "wrong_stream"),
            (media_message(track="outbound"), "foreign_track"),
            (b'{"event":"dtmf","dtmf":{"digit":"55"}}', "wrong_digit"),
            (b'{"event":"stop","streamSid":"MZ2"}', "wrong_stream"),
        ],
    )
    def test_a_bad_message_is_a_problem_that_does_not_end_the_call(self, message: bytes, reason: str) -> None:
        problem = the_problem(started(), message)
        assert (problem.reason, problem.fatal) == (reason, False)

    def test_a_binary_message_is_a_problem(self) -> None:
        assert the_problem(started(), media_message(), is_text=False).reason == "binary_message"

    def test_media_before_start_is_a_problem(self) -> None:
        assert the_problem(TwilioDialect(SETTINGS), media_message()).reason == "media_before_start"

    def test_media_after_stop_is_a_problem(self) -> None:
        dialect = started()
        dialect.feed(b'{"event":"stop"}', True)
        assert the_problem(dialect, media_message()).reason == "media_after_stop"

    def test_a_second_stop_says_nothing(self) -> None:
        dialect = started()
        assert dialect.feed(b'{"event":"stop"}', True) == [Stopped("stop")]
        assert dialect.feed(b'{"event":"stop"}', True) == []

    def test_an_unknown_event_is_named_in_printable_characters(self) -> None:
        assert started().feed(b'{"event":"new\\nthing"}', True) == [UnknownMessage("new?thing")]

    def test_60_kilobytes_of_media_are_read(self) -> None:
        audio = bytes(range(256)) * 240
        assert started().feed(media_message(base64.b64encode(audio).decode()), True) == [Media(audio)]

    @given(st.binary(max_size=200), st.booleans())
    def test_no_bytes_raise(self, message: bytes, is_text: bool) -> None:
        started().feed(message, is_text)

    @given(
        st.sampled_from(["start", "media", "mark", "dtmf", "stop", "connected"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
            lambda inner: (
                st.dictionaries(
                    st.sampled_from(
                        ["start", "media", "mark", "dtmf", "streamSid", "callSid", "payload", "name"]
                    ),
                    inner,
                )
                | st.lists(inner, max_size=3)
            ),
            max_leaves=8,
        ),
    )
    def test_no_json_raises(self, event: str, value: Any) -> None:
        rest = value if isinstance(value, dict) else {event: value}
        message = json.dumps(rest | {"event": event}).encode()
        for dialect in (TwilioDialect(SETTINGS), started()):
            dialect.feed(message, True)


class TestHangup:
    def test_the_call_is_completed_by_rest_then_the_socket_closes(self) -> None:
        request, close = started().hangup()
        assert isinstance(request, HttpCall)
        assert request.method == "POST"
        assert request.url == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Calls/{CALL}.json"
        assert request.body == b"Status=completed"
        basic = base64.b64decode(request.headers["Authorization"].reveal().removeprefix("Basic ")).decode()
        assert basic == f"{ACCOUNT}:{TOKEN}"
        assert 404 in request.gone
        assert close == CloseSocket(1000)

    @pytest.mark.parametrize("settings", [TwilioSettings(ACCOUNT, ""), TwilioSettings("", TOKEN)])
    def test_without_an_account_only_the_socket_closes(self, settings: TwilioSettings) -> None:
        dialect = TwilioDialect(settings)
        dialect.feed(start_message(), True)
        assert dialect.hangup() == [CloseSocket(1000)]

    def test_a_call_known_from_its_webhook_is_hung_up_before_start(self) -> None:
        assert CALL in TwilioDialect(SETTINGS, call_id=CALL).hangup()[0].url.reveal()


class TestWebhook:
    @pytest.mark.parametrize(
        "body", [b"", b"CallSid=", b"CallSid=a%0Ab", b"From=1", b"&".join([b"CallSid=C"] * 1001)]
    )
    def test_a_webhook_that_names_no_call_is_the_peers_fault(self, body: bytes) -> None:
        request = WebhookRequest("POST", "/v", FORM, body)
        with pytest.raises(ProtocolError):
            TwilioDialect(SETTINGS).read_voice_webhook(request)
        with pytest.raises(ProtocolError):
            TwilioDialect(SETTINGS).read_status_webhook(request)

    @pytest.mark.parametrize("word", ["outbound-api", "outbound-dial", "inbound"])
    def test_the_direction_is_in_or_out(self, word: str) -> None:
        request = WebhookRequest("POST", "/v", FORM, f"CallSid=C&Direction={word}&From=a&To=b".encode())
        call = TwilioDialect(SETTINGS).read_voice_webhook(request)
        assert (call.direction, call.from_, call.to) == (word.partition("-")[0], "a", "b")


class TestSettings:
    @pytest.mark.parametrize("url", ["host", "ftp://host", "https://", "https://u@host", "https://host/?a=1"])
    def test_a_public_url_that_is_none_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigError, match="public URL"):
            TwilioSettings(public_url=url)

    def test_a_dialect_is_found_by_name(self) -> None:
        assert get_dialect("twilio") is TwilioDialect

    def test_an_unknown_dialect_is_refused_with_the_known_names(self) -> None:
        with pytest.raises(ConfigError, match="known are browser, twilio, vonage"):
            get_dialect("carrier-pigeon")

    def test_nothing_secret_shows(self) -> None:
        canary = "canary-5550100"
        dialect = TwilioDialect(TwilioSettings(ACCOUNT, canary))
        events = dialect.feed(start_message(customParameters={"from": canary}), True)
        webhook = WebhookRequest(
            "POST", f"/{canary}", FORM | {"x": canary}, f"CallSid=C&From={canary}".encode()
        )
        shown = [
            dialect,
            events,
            dialect.hangup(),
            webhook,
            UpgradeRequest(f"/twilio/media/{canary}", {"x-twilio-signature": canary}),
            dialect.read_voice_webhook(webhook),
            TwilioSettings(ACCOUNT, canary),
            Dtmf(canary),
            Media(canary.encode()),
            dialect.check_webhook(webhook),
            dialect.dial(
                DialRequest(to="+15550100", from_="+15550101", media_url=f"wss://h/{canary}", status_url="")
            ),
            dialect.feed(json.dumps({"event": "media", "media": {"payload": canary}}).encode(), True),
            dialect.feed(json.dumps({"event": "mark", "mark": {"name": {canary: canary}}}).encode(), True),
        ]
        assert canary not in repr(shown)


def test_calls_can_be_made() -> None:
    assert TwilioDialect.caps.dials
