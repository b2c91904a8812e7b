"""The browser dialect: what a page asks for, what it says on its socket, what it is told."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.errors import ConfigError, ProtocolError, ProviderError
from vapimedia.protocols import (
    CloseSocket,
    Dtmf,
    LegFormat,
    Media,
    Problem,
    Refusal,
    SendText,
    Started,
    Stopped,
    UnknownMessage,
    UpgradeRequest,
    WebhookRequest,
    get_dialect,
)
from vapimedia.protocols.browser import BrowserDialect, BrowserSettings
from vapimedia.protocols.dialect import DialRequest
from vapimedia.protocols.vapi import decode_event

MEDIA_URL = "wss://bridge.test/browser/media/" + "t" * 64
OPEN = BrowserSettings(auth=False)


def dialect(call_id: str = "") -> BrowserDialect:
    return BrowserDialect(OPEN, call_id=call_id)


def ask(body: bytes) -> WebhookRequest:
    return WebhookRequest("POST", "/browser/call", {}, body)


def the_problem(message: bytes, is_text: bool = True) -> Problem:
    [problem] = dialect().feed(message, is_text)
    assert isinstance(problem, Problem)
    return problem


class TestWebhook:
    def test_the_name_leads_to_the_class(self) -> None:
        assert get_dialect("browser") is BrowserDialect

    @pytest.mark.parametrize("rate", [8000, 16000, 22050, 24000, 44100, 48000, 96000])
    def test_the_rate_travels_from_the_request_to_the_leg(self, rate: int) -> None:
        call = dialect()
        incoming = call.read_voice_webhook(ask(json.dumps({"rate": rate}).encode()))
        assert incoming.fields == {"rate": str(rate)}
        assert incoming.direction == "inbound"
        assert re.fullmatch("browser-[0-9a-f]{32}", incoming.call_id)
        assert call.leg_format == LegFormat("pcm_s16le", rate)
        assert call.leg_format.audio_format is not None
        told = json.loads(call.answer(MEDIA_URL, "", {}).body)
        assert told == {"url": f"{MEDIA_URL}?rate={rate}", "rate": rate}
        [started] = call.opened()
        assert isinstance(started, Started)
        assert (started.call_id, started.format.sample_rate) == (incoming.call_id, rate)

    def test_a_request_without_a_rate_means_48000(self) -> None:
        assert dialect().read_voice_webhook(ask(b"{}")).fields == {"rate": "48000"}

    @pytest.mark.parametrize("rate", [0, -48000, 7950, 11025, 44101, 96050, 10**9])
    def test_a_rate_without_whole_frames_is_refused_with_a_sentence(self, rate: int) -> None:
        with pytest.raises(ProtocolError, match="44100 or 48000"):
            dialect().read_voice_webhook(ask(json.dumps({"rate": rate}).encode()))

    @pytest.mark.parametrize("body", [b"", b"rate=48000", b"[]", b'{"rate":"48000"}', b'{"key":5}', b"\xff"])
    def test_a_body_that_is_no_request_is_refused_with_a_sentence(self, body: bytes) -> None:
        with pytest.raises(ProtocolError, match="must be JSON"):
            dialect().read_voice_webhook(ask(body))

    def test_ids_do_not_repeat_and_hold_no_key(self) -> None:
        request = ask(b'{"rate":48000,"key":"open sesame"}')
        calls = [dialect().read_voice_webhook(request) for _ in range(50)]
        assert len({call.call_id for call in calls}) == 50
        assert "sesame" not in str([(call, call.fields) for call in calls])

    def test_a_refusal_does_not_tell_why(self) -> None:
        document = dialect().refuse("number 12 is banned")
        assert document.content_type == "application/json"
        assert list(json.loads(document.body)) == ["error"]
        assert b"banned" not in document.body

    def test_whatever_its_id_a_call_has_48000_until_it_is_told_otherwise(self) -> None:
        assert dialect("browser-44100-" + "0" * 32).leg_format.sample_rate == 48000

    def test_a_page_has_no_status_webhook_and_cannot_be_called(self) -> None:
        assert BrowserDialect.routes.status == ""
        with pytest.raises(ProtocolError):
            dialect().read_status_webhook(ask(b"{}"))
        with pytest.raises(ConfigError):
            dialect().dial(DialRequest(to=None, from_="", media_url=MEDIA_URL, status_url=""))
        with pytest.raises(ProviderError):
            dialect().read_dialled(200, b"")


class TestUpgrade:
    @pytest.mark.parametrize(
        ("query", "rate"), [("", 48000), ("?rate=44100", 44100), ("?x=1&rate=16000", 16000)]
    )
    def test_the_query_tells_the_rate(self, query: str, rate: int) -> None:
        call = dialect()
        assert call.check_upgrade(UpgradeRequest(f"/browser/media{query}", {})) is None
        assert call.leg_format == LegFormat("pcm_s16le", rate)
        [started] = call.opened()
        assert isinstance(started, Started)
        assert started.format == call.leg_format
        assert started.call_id == started.stream_id
        assert re.fullmatch("browser-[0-9a-f]{32}", started.call_id)

    @pytest.mark.parametrize("rate", ["", "x", "-8000", "4.8e4", "11025", "9" * 5000, "４８０００"])
    def test_a_bad_rate_gets_400(self, rate: str) -> None:
        refusal = dialect().check_upgrade(UpgradeRequest(f"/browser/media?rate={rate}", {}))
        assert refusal is not None
        assert refusal.status == 400

    def test_a_query_of_many_fields_gets_400(self) -> None:
        refusal = dialect().check_upgrade(UpgradeRequest("/browser/media?" + "a=1&" * 100, {}))
        assert refusal is not None
        assert refusal.status == 400

    def test_a_socket_with_a_token_keeps_what_its_call_knows(self) -> None:
        call = dialect()
        incoming = call.read_voice_webhook(ask(b'{"rate":44100}'))
        assert call.check_upgrade(UpgradeRequest("/browser/media/token?rate=9", {})) is None
        assert call.leg_format.sample_rate == 44100
        [started] = call.opened()
        assert isinstance(started, Started)
        assert started.call_id == incoming.call_id


class TestSocket:
    def test_an_open_socket_is_a_start_once(self) -> None:
        call = dialect("call-1")
        call.answer(MEDIA_URL, "", {"plan": "gold"})
        [started] = call.opened()
        wanted = LegFormat("pcm_s16le", 48000)
        assert started == Started("call-1", "call-1", wanted, parameters={"plan": "gold"})
        assert call.opened() == ()

    def test_audio_is_binary_both_ways(self) -> None:
        call = dialect()
        assert not call.envelope_in().text
        assert not call.envelope_out().text
        assert call.caps.unannounced
        assert not call.caps.exact_frames

    @pytest.mark.parametrize("word", ["hangup", "end-call"])
    def test_both_words_for_the_end_are_taken(self, word: str) -> None:
        assert dialect().feed(json.dumps({"type": word, "x": 1}).encode(), True) == [Stopped(word)]

    @pytest.mark.parametrize("digit", "0123456789*#ABCDa")
    def test_a_key_press_is_read(self, digit: str) -> None:
        message = json.dumps({"digit": digit, "type": "dtmf"}).encode()
        assert dialect().feed(message, True) == [Dtmf(digit.upper())]

    @pytest.mark.parametrize("digit", ["", "12", "x", "٥"])
    def test_no_other_digit_is(self, digit: str) -> None:
        assert the_problem(json.dumps({"type": "dtmf", "digit": digit}).encode()).reason == "wrong_digit"

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            (b"", "invalid_json"),
            (b"{", "invalid_json"),
            (b'{"type":"\xff"}', "invalid_json"),
            (b'{"x":' * 5000, "invalid_json"),
            (b"5", "missing_field"),
            (b"{}", "missing_field"),
            (b'{"type":5}', "missing_field"),
            (b'{"type":"dtmf"}', "missing_field"),
            (b'{"type":"dtmf","digit":5}', "missing_field"),
        ],
    )
    def test_a_broken_message_is_a_problem_by_name(self, message: bytes, reason: str) -> None:
        assert the_problem(message).reason == reason
        assert not the_problem(message).fatal

    @pytest.mark.parametrize(
        "kind", ["say", "add-message", "transfer", "user-interrupted", "x" * 500, "a\nb"]
    )
    def test_what_a_page_must_not_say_goes_nowhere(self, kind: str) -> None:
        [event] = dialect().feed(json.dumps({"type": kind, "content": "secret"}).encode(), True)
        assert isinstance(event, UnknownMessage)
        assert event.name.isprintable()
        assert len(event.name) <= 64

    def test_binary_is_audio_for_who_keeps_no_path(self) -> None:
        assert dialect().feed(b"\1\2\3", False) == [Media(b"\1\2\3")]
        assert the_problem(b"", is_text=False).reason == "empty_media"

    @given(st.binary(max_size=300), st.booleans())
    def test_nothing_makes_it_raise(self, message: bytes, is_text: bool) -> None:
        for event in dialect().feed(message, is_text):
            repr(event)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
    def test_no_field_of_any_type_makes_it_raise(self, value: Any) -> None:
        for message in ({"type": value}, {"type": "dtmf", "digit": value}):
            assert len(dialect().feed(json.dumps(message).encode(), True)) == 1

    def test_a_page_is_hung_up_on_by_closing(self) -> None:
        assert dialect().hangup() == [CloseSocket(1000)]
        assert dialect().mark("1:20") is None


class TestRelay:
    @pytest.mark.parametrize(
        ("event", "told"),
        [
            (
                {
                    "type": "transcript",
                    "role": "user",
                    "transcriptType": "final",
                    "transcript": "Hä?",
                    "assistantId": 5,
                },
                None,
            ),
            (
                {
                    "type": "transcript",
                    "role": "user",
                    "transcriptType": "final",
                    "transcript": "Hä?",
                    "call": {"id": "1"},
                },
                {"type": "transcript", "role": "user", "transcriptType": "final", "transcript": "Hä?"},
            ),
            (
                {"type": "speech-update", "role": "assistant", "status": "started", "turn": 3},
                {"type": "speech-update", "role": "assistant", "status": "started"},
            ),
            (
                {
                    "type": "status-update",
                    "status": "ended",
                    "endedReason": "silence-timed-out",
                    "destination": {},
                },
                {"type": "status-update", "status": "ended", "endedReason": "silence-timed-out"},
            ),
            (
                {"type": "status-update", "status": "in-progress"},
                {"type": "status-update", "status": "in-progress", "endedReason": None},
            ),
            ({"type": "user-interrupted", "turnId": "t"}, None),
            ({"type": "tool-calls", "toolCallList": [{"id": "1", "name": "f"}]}, None),
            ({"type": "model-output", "output": "secret"}, None),
            (
                {"type": "conversation-update", "conversation": [{"role": "system", "content": "prompt"}]},
                None,
            ),
            ({"type": "never-heard-of"}, None),
        ],
    )
    def test_a_page_is_told_what_was_said_and_nothing_else(
        self, event: dict[str, Any], told: dict[str, Any] | None
    ) -> None:
        relayed = dialect().relay(decode_event(json.dumps(event).encode()))
        assert (None if relayed is None else json.loads(relayed.data)) == told

    @given(st.text(), st.text())
    def test_any_words_survive_the_relay(self, role: str, words: str) -> None:
        event = {"type": "transcript", "role": role, "transcriptType": "final", "transcript": words}
        relayed = dialect().relay(decode_event(json.dumps(event).encode()))
        assert relayed is not None
        assert json.loads(relayed.data) == event

    def test_an_interruption_is_told_when_something_is_dropped(self) -> None:
        assert dialect().clear() == SendText(b'{"type":"user-interrupted"}')


def test_no_repr_shows_the_key() -> None:
    settings = BrowserSettings(secret="open sesame")
    request = ask(b'{"key":"open sesame"}')
    upgrade = UpgradeRequest("/browser/media?key=open%20sesame", {})
    call = BrowserDialect(settings)
    refusals = [call.check_webhook(ask(b'{"key":"wrong"}')), call.check_upgrade(upgrade), Refusal(401, "x")]
    shown = repr([settings, request, upgrade, call, refusals, call.answer(MEDIA_URL, "", {})])
    assert "sesame" not in shown
    assert "tttt" not in shown
