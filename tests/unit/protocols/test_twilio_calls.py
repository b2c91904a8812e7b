"""Twilio's REST API for calls, judged by the official SDK, and the webhooks that say what became of one."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

from vapimedia.errors import ConfigError, ProtocolError, ProviderError
from vapimedia.protocols import (
    CallProgress,
    CloseSocket,
    DialRequest,
    HttpCall,
    Problem,
    StatusReport,
    Stopped,
    UnknownMessage,
    WebhookRequest,
)
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings

ACCOUNT = "AC00000000000000000000000000000001"
CALL = "CA5a1e00000000000000000000000000a1"
TOKEN = "0123456789abcdef0123456789abcdef"
SETTINGS = TwilioSettings(ACCOUNT, TOKEN)
FORM = {"content-type": "application/x-www-form-urlencoded"}
MEDIA_URL = "wss://bridge.example.com/twilio/media/t0k3n"
STATUS_URL = "https://bridge.example.com/twilio/status/r3f"


def wanted(**changes: Any) -> DialRequest:
    request: dict[str, Any] = {
        "to": "+14155550100",
        "from_": "+14155550199",
        "media_url": MEDIA_URL,
        "status_url": STATUS_URL,
        "parameters": {"assistantId": 'asst <1> & "é"'},
    }
    return DialRequest(**(request | changes))


def dialled(settings: TwilioSettings = SETTINGS, **changes: Any) -> HttpCall:
    return TwilioDialect(settings).dial(wanted(**changes))


def form_of(request: HttpCall) -> dict[str, list[str]]:
    return parse_qs(request.body.decode(), keep_blank_values=True, strict_parsing=True)


def status(**fields: str) -> StatusReport:
    body = urlencode({"CallSid": CALL} | fields).encode()
    return TwilioDialect(SETTINGS).read_status_webhook(WebhookRequest("POST", "/s", FORM, body))


class Recorder(HttpClient):
    """Stands where the SDK's network is."""

    def __init__(self) -> None:
        super().__init__(logger=None, is_async=False)  # type: ignore[arg-type]
        self.asked: dict[str, Any] = {}

    def request(self, method: str, uri: str, **rest: Any) -> Response:  # type: ignore[override]
        self.asked = {"method": method, "uri": uri} | rest
        return Response(201, json.dumps({"sid": CALL, "account_sid": ACCOUNT}))


def sdk(make: Callable[[Client], Any]) -> dict[str, Any]:
    recorder = Recorder()
    make(Client(ACCOUNT, TOKEN, http_client=recorder))
    return recorder.asked


def sdk_form(asked: dict[str, Any]) -> dict[str, list[str]]:
    # As requests, which stands behind the SDK, writes it.
    return parse_qs(urlencode(asked["data"], doseq=True), keep_blank_values=True)


class TestDial:
    @pytest.mark.parametrize("machine_detection", ["", "Enable", "DetectMessageEnd"])
    def test_the_request_is_the_one_that_the_sdk_makes(self, machine_detection: str) -> None:
        request = dialled(machine_detection=machine_detection, ring_timeout_s=25)
        twiml = TwilioDialect(SETTINGS).answer(MEDIA_URL, STATUS_URL, wanted().parameters).body.decode()
        amd = {
            "machine_detection": machine_detection,
            "async_amd": "true",
            "async_amd_status_callback": STATUS_URL,
        }
        asked = sdk(
            lambda client: client.calls.create(
                to="+14155550100",
                from_="+14155550199",
                twiml=twiml,
                status_callback=STATUS_URL,
                status_callback_method="POST",
                status_callback_event=["initiated", "ringing", "answered", "completed"],
                timeout=25,
                **(amd if machine_detection else {}),
            )
        )
        assert (request.method, request.url) == (asked["method"], asked["uri"])
        assert form_of(request) == sdk_form(asked)
        assert request.headers["Authorization"] == f"Basic {basic(asked['auth'])}"
        for name in ("Content-Type", "Accept"):
            assert request.headers[name] == asked["headers"][name]

    def test_a_ring_of_5_to_600_seconds_is_asked_for_as_it_is(self) -> None:
        assert [form_of(dialled(ring_timeout_s=s))["Timeout"] for s in (5, 600)] == [["5"], ["600"]]
        for seconds in (-1, 0, 4, 601):
            with pytest.raises(ConfigError, match="ring_timeout_s"):
                dialled(ring_timeout_s=seconds)

    def test_without_a_status_url_nothing_is_reported(self) -> None:
        assert set(form_of(dialled(status_url=""))) == {"To", "From", "Twiml", "Timeout"}
        with pytest.raises(ConfigError, match="status URL"):
            dialled(status_url="", machine_detection="Enable")

    @pytest.mark.parametrize(
        ("to", "from_"),
        [
            ("+4415555", "+123456789012345"),
            ("SIPS:alice@example.com;transport=tls", "alice"),
            ("client:joey", "client:alice"),
        ],
    )
    def test_numbers_and_addresses_are_called(self, to: str, from_: str) -> None:
        form = form_of(dialled(to=to, from_=from_))
        assert (form["To"], form["From"]) == ([to], [from_])

    @pytest.mark.parametrize("number", [" +1 (415) 555-0100 ", "+1.415.555.0100", "(+1) 415 555 0100"])
    def test_a_number_as_people_write_it_is_told_in_e164(self, number: str) -> None:
        form = form_of(dialled(to=number, from_=number))
        assert form["To"] == form["From"] == ["+14155550100"]

    @pytest.mark.parametrize(
        "to",
        [
            *("", " ", "hello", "+", "sip:", "\n+14155550100", "+1415\x00", "sip:a b", "٤١٥٥٥٥٠١٠٠"),
            *("911", "+911", "9-1-1", "112", "4155550100", "+04155550100", "+123456", "+1234567890123456"),
            *("+1" + " " * 60, "tel:911", "javascript:911", "+1415555010٠", "sip:alice @example.com"),
        ],
    )
    def test_what_is_no_number_is_refused_and_not_quoted(self, to: str) -> None:
        with pytest.raises(ConfigError, match="a number in E") as caught:
            dialled(to=to)
        assert not re.search("1415|5550100|911|112|alice|hello", str(caught.value))

    @pytest.mark.parametrize("from_", ["", " "])
    def test_a_missing_number_to_call_from_is_named(self, from_: str) -> None:
        with pytest.raises(ConfigError, match="VAPIMEDIA_TWILIO_FROM"):
            dialled(from_=from_)

    @pytest.mark.parametrize("from_", ["bob-4155550199", "client:bob", "+1415\r\n", "4155550199", "911"])
    def test_a_number_is_called_from_a_number_only(self, from_: str) -> None:
        with pytest.raises(ConfigError, match="VAPIMEDIA_TWILIO_FROM") as caught:
            dialled(from_=from_)
        assert from_ not in str(caught.value)

    def test_the_media_socket_alone_cannot_be_called(self) -> None:
        with pytest.raises(ConfigError, match="socket alone"):
            dialled(to=None)

    @pytest.mark.parametrize(
        ("settings", "name"),
        [
            (TwilioSettings("", TOKEN), "TWILIO_ACCOUNT_SID"),
            (TwilioSettings(ACCOUNT, ""), "TWILIO_AUTH_TOKEN"),
        ],
    )
    def test_a_missing_key_is_named(self, settings: TwilioSettings, name: str) -> None:
        with pytest.raises(ConfigError, match=name):
            dialled(settings)

    def test_an_unknown_machine_detection_is_refused_with_the_known_words(self) -> None:
        with pytest.raises(ConfigError, match="Enable and DetectMessageEnd"):
            dialled(machine_detection="hang\nup")

    def test_a_document_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="document"):
            dialled(document=[{"action": "talk"}])

    def test_twiml_of_4000_characters_is_the_longest(self) -> None:
        def parameters(n_characters: int) -> dict[str, str]:
            return {f"p{index}": "é" * 450 for index in range(7)} | {"q": "é" * n_characters}

        room = 4000 - len(form_of(dialled(parameters=parameters(0)))["Twiml"][0])
        assert len(form_of(dialled(parameters=parameters(room)))["Twiml"][0]) == 4000
        with pytest.raises(ConfigError, match="4001 characters"):
            dialled(parameters=parameters(room + 1))

    @pytest.mark.parametrize("changes", [{"media_url": f"{MEDIA_URL}?a=1"}, {"parameters": {"a": "b" * 500}}])
    def test_what_no_twiml_can_say_is_refused(self, changes: dict[str, Any]) -> None:
        with pytest.raises(ConfigError):
            dialled(**changes)

    def test_the_api_base_may_end_in_a_slash(self) -> None:
        settings = TwilioSettings(ACCOUNT, TOKEN, api_url="http://127.0.0.1:9/")
        assert dialled(settings).url == f"http://127.0.0.1:9/2010-04-01/Accounts/{ACCOUNT}/Calls.json"

    def test_nothing_private_shows(self) -> None:
        shown = repr([wanted(), dialled()])
        for private in ("5550100", "5550199", "t0k3n", TOKEN, "asst"):
            assert private not in shown


class TestDialled:
    def test_the_call_that_was_made_can_be_hung_up_while_it_rings(self) -> None:
        dialect = TwilioDialect(SETTINGS)
        assert dialect.hangup() == [CloseSocket(1000)]
        body = json.dumps({"sid": CALL, "status": "queued", "to": "+14155550100"}).encode()
        assert dialect.read_dialled(201, body) == CALL
        request, close = dialect.hangup()
        asked = sdk(lambda client: client.calls(CALL).update(status="completed"))
        assert isinstance(request, HttpCall)
        assert (request.method, request.url, form_of(request)) == (
            asked["method"],
            asked["uri"],
            sdk_form(asked),
        )
        assert request.headers["Authorization"] == f"Basic {basic(asked['auth'])}"
        assert close == CloseSocket(1000)

    @pytest.mark.parametrize(
        ("code", "message", "text"),
        [
            (
                21211,
                "The 'To' number +14155550100 is not valid.",
                "The 'To' number ... is not valid. (21211)",
            ),
            (21211, "Number +1 (415) 555-0100?", "Number ...? (21211)"),
            (20003, "Authenticate", "Authenticate (20003)"),
            (None, "No\nway", "No?way"),
            ("21211", "No", "No"),
            (4155550100, "No", "No"),
            (21609, f"Bad StatusCallback {STATUS_URL}", "Bad StatusCallback ... (21609)"),
            (21200, f'Bad <Stream url="{MEDIA_URL}"/>', "Bad ... (21200)"),
            (21217, "Cannot reach sip:alice@example.com", "Cannot reach ... (21217)"),
            (5, None, "HTTP status 400 (5)"),
        ],
    )
    def test_a_refusal_carries_twilios_words_without_what_is_private(
        self, code: object, message: object, text: str
    ) -> None:
        body = json.dumps({"code": code, "message": message, "status": 400}).encode()
        with pytest.raises(ProviderError) as caught:
            TwilioDialect(SETTINGS).read_dialled(400, body)
        assert str(caught.value) == f"Twilio refused the call: {text}"
        assert caught.value.status == 400

    @pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"[]", b"\xff", b"[" * 5000])
    def test_an_answer_that_is_no_object_is_a_refusal_by_its_status(self, body: bytes) -> None:
        with pytest.raises(ProviderError, match="HTTP status 502") as caught:
            TwilioDialect(SETTINGS).read_dialled(502, body)
        assert caught.value.status == 502

    @pytest.mark.parametrize("body", [b"", b"{}", b'{"sid":5}', b'{"sid":""}', b'{"sid":"a/b"}'])
    def test_a_call_without_a_sid_is_an_error_and_changes_nothing(self, body: bytes) -> None:
        dialect = TwilioDialect(SETTINGS)
        with pytest.raises(ProviderError, match="no proper sid"):
            dialect.read_dialled(201, body)
        assert dialect.hangup() == [CloseSocket(1000)]

    @given(st.text(max_size=400), st.integers(), st.text("0123456789-. +(", min_size=5, max_size=40))
    def test_no_refusal_shows_a_number_or_is_long(self, words: str, code: int, number: str) -> None:
        body = json.dumps({"code": code, "message": f"{words}{number}{words}"}).encode()
        with pytest.raises(ProviderError) as caught:
            TwilioDialect(SETTINGS).read_dialled(400, body)
        text = str(caught.value)
        assert len(text) <= 200
        assert text.isprintable()
        assert not re.search(r"\d{5}", text.removesuffix(f" ({code})"))

    @given(st.integers(100, 599), st.binary(max_size=200))
    def test_any_answer_is_a_call_or_an_error(self, http_status: int, body: bytes) -> None:
        with pytest.raises(ProviderError):
            TwilioDialect(SETTINGS).read_dialled(http_status, body)


class TestStatus:
    @pytest.mark.parametrize(
        ("word", "outcome"),
        [
            ("completed", ""),
            ("busy", "busy"),
            ("no-answer", "unanswered"),
            ("canceled", "cancelled"),
            ("failed", "failed"),
        ],
    )
    @pytest.mark.parametrize("fields", [{}, {"Direction": "outbound-api", "AnsweredBy": "human"}])
    def test_a_final_status_stops_the_call_and_says_why(
        self, word: str, outcome: Any, fields: dict[str, str]
    ) -> None:
        assert status(CallStatus=word, **fields) == StatusReport(CALL, (Stopped(word, outcome),))

    @pytest.mark.parametrize("direction", ["outbound-api", "outbound-dial"])
    @pytest.mark.parametrize(
        ("word", "progress"), [("ringing", "ringing"), ("in-progress", "answered"), ("answered", "answered")]
    )
    def test_a_call_that_we_make_tells_how_far_it_has_come(
        self, direction: str, word: str, progress: Any
    ) -> None:
        report = status(CallStatus=word, Direction=direction)
        assert report == StatusReport(CALL, (CallProgress(progress, word),))

    @pytest.mark.parametrize("fields", [{}, {"Direction": "inbound"}])
    @pytest.mark.parametrize("word", ["", "queued", "initiated", "ringing", "in-progress"])
    def test_a_call_that_came_in_makes_no_progress(self, word: str, fields: dict[str, str]) -> None:
        assert status(CallStatus=word, **fields) == StatusReport(CALL)

    @pytest.mark.parametrize("word", ["queued", "initiated"])
    def test_a_call_that_does_not_ring_yet_says_nothing(self, word: str) -> None:
        assert status(CallStatus=word, Direction="outbound-api") == StatusReport(CALL)

    def test_a_webhook_by_get_is_read_from_its_query(self) -> None:
        path = f"/s?CallSid={CALL}&CallStatus=busy"
        report = TwilioDialect(SETTINGS).read_status_webhook(WebhookRequest("GET", path, {}, b""))
        assert report == StatusReport(CALL, (Stopped("busy", "busy"),))

    def test_an_unknown_status_is_counted(self) -> None:
        assert status(CallStatus="para\nked") == StatusReport(CALL, (UnknownMessage("para?ked"),))

    @pytest.mark.parametrize(
        ("word", "who"),
        [
            ("human", "human"),
            ("machine_start", "machine"),
            ("machine_end_beep", "machine"),
            ("machine_end_silence", "machine"),
            ("machine_end_other", "machine"),
            ("fax", "machine"),
        ],
    )
    def test_who_answered_is_told(self, word: str, who: Any) -> None:
        assert status(AnsweredBy=word, MachineDetectionDuration="2400") == StatusReport(
            CALL, (CallProgress(who, word),)
        )
        at_once = status(AnsweredBy=word, CallStatus="in-progress", Direction="outbound-api")
        assert at_once.events == (CallProgress("answered", "in-progress"), CallProgress(who, word))

    def test_an_unknown_answerer_says_nothing_and_an_unknown_word_is_counted(self) -> None:
        assert status(AnsweredBy="unknown") == StatusReport(CALL)
        assert status(AnsweredBy="parrot") == StatusReport(CALL, (UnknownMessage("parrot"),))

    def test_who_answered_a_call_that_came_in_is_us(self) -> None:
        assert status(AnsweredBy="human", CallStatus="in-progress", Direction="inbound") == StatusReport(CALL)

    @pytest.mark.parametrize(
        ("word", "events"),
        [
            ("stream-started", ()),
            ("stream-stopped", (Stopped("stream-stopped"),)),
            ("stream-paused", (UnknownMessage("stream-paused"),)),
        ],
    )
    def test_a_word_about_the_stream_is_not_about_the_call(self, word: str, events: Any) -> None:
        report = status(StreamEvent=word, CallStatus="in-progress", Direction="outbound-api")
        assert report == StatusReport(CALL, events)

    @pytest.mark.parametrize(("number", "fatal"), [("31920", True), ("31921", True), ("31951", False)])
    def test_a_stream_error_is_fatal_if_the_connection_is_gone(self, number: str, fatal: bool) -> None:
        report = status(StreamEvent="stream-error", StreamError=f"{number} wss://host/secret")
        [problem] = report.events
        assert isinstance(problem, Problem)
        assert (problem.reason, problem.fatal) == ("stream_error", fatal)
        assert number in problem.text
        assert "secret" not in problem.text

    @given(
        st.dictionaries(
            st.sampled_from(
                ["CallStatus", "Direction", "AnsweredBy", "StreamEvent", "StreamError", "CallSid"]
            ),
            st.text(max_size=80)
            | st.sampled_from(["ringing", "completed", "outbound-api", "machine_x", "stream-error"]),
        )
    )
    def test_any_form_is_a_report_or_the_peers_fault(self, fields: dict[str, str]) -> None:
        try:
            report = status(**fields)
        except ProtocolError:
            return
        for event in report.events:
            if isinstance(event, UnknownMessage):
                assert event.name.isprintable()


def basic(pair: tuple[str, str]) -> str:
    return b64encode(":".join(pair).encode()).decode()
