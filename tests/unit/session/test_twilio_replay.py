"""Recorded Twilio streams through dialect and session."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from session_fakes import ENDED, INTERRUPTED, MS, Driver, speech

from vapimedia.protocols.commands import CloseSocket, HttpCall, SendText
from vapimedia.protocols.events import Dtmf
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.session import BargeIn, CallStarted, State

DATA = Path(__file__).parents[2] / "data" / "twilio"
ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "0123456789abcdef0123456789abcdef"
CALL = "CA5a1e00000000000000000000000000a1"
STREAM = "MZ18ad00000000000000000000000000b2"


def lines(name: str) -> list[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def wire(line: dict[str, Any]) -> dict[str, Any]:
    return json.loads(line["wire"]) if line["kind"] == "text" else {}


def audio(messages: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(message["media"]["payload"]) for message in messages)


class Replay:
    """Plays what Twilio sent; Vapi says at the same moments what makes us send what was recorded."""

    def __init__(self, name: str, **settings: Any) -> None:
        dialect = TwilioDialect(
            TwilioSettings(account_sid=ACCOUNT, auth_token=TOKEN, public_url="https://a.example")
        )
        self.call = Driver(dialect, **settings)
        self.lines = lines(name)
        self.sent = [wire(line) for line in self.lines if line["dir"] == "out" and line["kind"] == "text"]
        self.came = [wire(line) for line in self.lines if line["dir"] == "in" and line["kind"] == "text"]

    def run(self) -> Driver:
        call = self.call
        zero_ns = call.now_ns
        pending: list[str] = []
        for line in self.lines:
            if line["t_ms"] > 0:
                call.advance((zero_ns + line["t_ms"] * MS - call.now_ns) / MS)
            if line["kind"] == "ws-open":
                call.provider_opened()
                call.vapi_opened()
            elif line["kind"] == "ws-close":
                call.provider_closed(line["code"])
            elif line["kind"] == "text" and line["dir"] == "out":
                self.vapi_says(wire(line))
            elif line["kind"] == "text":
                message = line["wire"]
                if wire(line)["event"] == "mark":
                    # Names are ours to choose: return the one that stands at the same place.
                    pending = pending or self.unreturned()
                    message = json.dumps({**wire(line), "mark": {"name": pending.pop(0)}})
                call.text(message)
        return call

    def vapi_says(self, message: dict[str, Any]) -> None:
        if message["event"] == "media":
            self.call.vapi_message(base64.b64decode(message["media"]["payload"]), False)
        elif message["event"] == "mark":
            self.call.vapi_text(speech("assistant", "stopped"))
        else:
            self.call.vapi_text(INTERRUPTED)

    def unreturned(self) -> list[str]:
        return [message["mark"]["name"] for message in self.texts() if message["event"] == "mark"][-1:]

    def texts(self) -> list[dict[str, Any]]:
        return [
            json.loads(command.data) for command in self.call.to_provider if isinstance(command, SendText)
        ]


@pytest.fixture(scope="module")
def bidirectional() -> Replay:
    replay = Replay("twilio_bidirectional.jsonl", mark_interval_ms=10_000)
    replay.run()
    return replay


def test_the_stream_starts_with_the_recorded_call_and_parameters(bidirectional: Replay) -> None:
    (started,) = bidirectional.call.of(CallStarted)
    expected = next(message for message in bidirectional.came if message["event"] == "start")["start"]
    assert (
        (started.call_id, started.stream_id) == (expected["callSid"], expected["streamSid"]) == (CALL, STREAM)
    )
    assert started.parameters == expected["customParameters"]


def test_every_recorded_key_press_is_told(bidirectional: Replay) -> None:
    expected = [message["dtmf"]["digit"] for message in bidirectional.came if message["event"] == "dtmf"]
    assert bidirectional.call.of(Dtmf) == [Dtmf(digit) for digit in expected]


def test_all_of_the_callers_audio_reaches_vapi_in_order(bidirectional: Replay) -> None:
    expected = audio([message for message in bidirectional.came if message["event"] == "media"])
    said = bidirectional.call.said
    # Silence may come before the start and where the recording pauses.
    assert said.replace(b"\xff", b"") == expected.replace(b"\xff", b"")
    assert len(said) - len(expected) in range(0, 801, 160)


def test_the_recorded_media_marks_and_clear_go_to_twilio_in_order(bidirectional: Replay) -> None:
    def shape(messages: list[dict[str, Any]]) -> list[str]:
        events = [message["event"] for message in messages]
        return [
            event for i, event in enumerate(events) if i == 0 or event != "media" or events[i - 1] != "media"
        ]

    texts = bidirectional.texts()
    assert shape(texts) == shape(bidirectional.sent)
    assert audio([text for text in texts if text["event"] == "media"]) == audio(
        [text for text in bidirectional.sent if text["event"] == "media"]
    )
    for text in texts:
        text.get("mark", {}).pop("name", None)
    shapes = {text["event"]: sorted(text) for text in texts}
    assert shapes == {text["event"]: sorted(text) for text in bidirectional.sent}
    assert {text["streamSid"] for text in texts} == {STREAM}


def test_the_recorded_barge_in_happens_once(bidirectional: Replay) -> None:
    assert len(bidirectional.call.of(BargeIn)) == 1


def test_the_recorded_stop_ends_the_call_once_and_both_legs(bidirectional: Replay) -> None:
    call = bidirectional.call
    assert call.ended is not None
    assert (call.ended.reason, call.ended.summary.call_id) == ("provider_stop", CALL)
    assert call.to_vapi[-2:] == [SendText(b'{"type":"end-call"}'), CloseSocket(1000)]
    assert call.to_provider[-1] == CloseSocket(1000)
    assert not any(isinstance(command, HttpCall) for command in call.to_provider)
    assert set(call.ended.summary.counters) <= {"stale_mark", "foreign_mark"}


def test_of_both_tracks_only_the_callers_reaches_vapi() -> None:
    replay = Replay("twilio_unidirectional_both_tracks.jsonl")
    call = replay.run()
    inbound = [m for m in replay.came if m["event"] == "media" and m["media"]["track"] == "inbound"]
    outbound = [m for m in replay.came if m["event"] == "media" and m["media"]["track"] == "outbound"]
    assert call.said.replace(b"\xff", b"") == audio(inbound).replace(b"\xff", b"")
    assert call.ended is not None
    assert call.ended.reason == "provider_stop"
    assert call.ended.summary.uplink is not None
    assert call.ended.summary.uplink.foreign == len(outbound)
    assert call.to_provider == [CloseSocket(1000)]


@pytest.mark.parametrize("name", ["twilio_bidirectional.jsonl", "twilio_unidirectional_both_tracks.jsonl"])
def test_a_bridge_that_feeds_the_paths_itself_sees_the_same_call(name: str) -> None:
    replay = Replay(name, carries_media=False)
    call, uplink = replay.call, bytearray()
    call.provider_opened()
    for command in call.vapi_opened().to_vapi:
        uplink += getattr(command, "data", b"")
    for line in replay.lines:
        if line["dir"] != "in" or line["kind"] != "text":
            continue
        message = line["wire"].encode()
        if call.session.state is State.LIVE and call.session.uplink.is_media(message):
            uplink += b"".join(call.session.uplink.feed(message, call.now_ns + line["t_ms"] * MS))
        else:
            call.text(message)
    inbound = [m for m in replay.came if m["event"] == "media" and m["media"]["track"] == "inbound"]
    assert bytes(uplink) == audio(inbound)
    assert call.ended is not None
    assert call.ended.reason == "provider_stop"


def test_when_vapi_ends_the_call_twilio_is_hung_up_by_rest() -> None:
    replay = Replay("twilio_bidirectional.jsonl")
    call = replay.call
    call.provider_opened()
    call.vapi_opened()
    for message in replay.came[:4]:
        call.text(json.dumps(message))
    call.vapi_text(ENDED)
    request, close = call.to_provider
    assert isinstance(request, HttpCall)
    assert (request.purpose, request.body) == ("hangup", b"Status=completed")
    assert CALL in request.url.reveal()
    assert close == CloseSocket(1000)


def start_message(stream_id: str = STREAM) -> str:
    media_format = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {"accountSid": ACCOUNT, "streamSid": stream_id, "callSid": CALL, "mediaFormat": media_format}
    return json.dumps({"event": "start", "start": start, "streamSid": stream_id})


def twilio(**settings: Any) -> Driver:
    call = Driver(TwilioDialect(TwilioSettings(auth=False)), **settings)
    call.provider_opened()
    call.vapi_opened()
    return call


def test_a_stream_id_longer_than_any_of_twilios_ends_the_call() -> None:
    call = twilio()
    call.text(start_message("M" * 300))
    assert call.ended is not None
    assert call.ended.reason == "protocol_error"


@pytest.mark.parametrize("carries_media", [True, False])
def test_media_that_is_no_base64_ends_the_call_after_a_while_with_1007(carries_media: bool) -> None:
    call = twilio(carries_media=carries_media)
    call.text(start_message())
    message = json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": "%%%%"}})
    for n in range(60):
        if call.ended is None:
            call.text(message)
            call.advance(20)
            assert call.ended is None or n >= 15
    assert call.ended is not None
    assert call.ended.reason == "protocol_error"
    assert CloseSocket(1007) in call.to_provider


@pytest.mark.parametrize("n_bad", [1, 15, 16, 30])
def test_whoever_carries_the_media_bad_payloads_are_judged_alike(n_bad: int) -> None:
    told = []
    for carries_media in (True, False):
        call = twilio(carries_media=carries_media)
        call.text(start_message())
        for _ in range(n_bad):
            call.text(json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": "%%%%"}}))
        summary = call.session.summary(call.now_ns)
        told.append((call.session.state, summary.counters, summary.uplink and summary.uplink.invalid))
    assert told[0] == told[1]
    assert told[0][1] == {"invalid_base64": min(n_bad, 16)}


def test_one_bad_payload_among_good_ones_is_counted_and_harmless() -> None:
    call = twilio()
    call.text(start_message())
    for n in range(200):
        payload = base64.b64encode(b"x" * 160).decode() if n % 10 == 0 else "%%%%"
        call.text(json.dumps({"event": "media", "streamSid": STREAM, "media": {"payload": payload}}))
        call.advance(20)
    assert call.ended is None
    summary = call.session.summary(call.now_ns)
    assert summary.uplink is not None
    assert (summary.uplink.messages_in, summary.counters) == (20, {"invalid_base64": 180})
