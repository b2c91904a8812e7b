"""Recorded Vonage calls through dialect and session."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_fakes import ENDED, INTERRUPTED, MS, Driver, speech

from vapimedia.formats import AudioFormat
from vapimedia.protocols.commands import CloseSocket, HttpCall, SendBinary, SendText
from vapimedia.protocols.dialect import WebhookRequest
from vapimedia.protocols.events import Dtmf
from vapimedia.protocols.vonage import VonageDialect, VonageSettings
from vapimedia.session import BargeIn, CallStarted

DATA = Path(__file__).parents[2] / "data" / "vonage"
CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
RATES = [8000, 16000, 24000]
# Vapi's messages have sizes of their own, never those of a frame.
CHUNK_BYTES = 743 * 2


def lines(name: str) -> list[dict[str, Any]]:
    with (DATA / name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def audio(entries: list[dict[str, Any]]) -> bytes:
    return b"".join(base64.b64decode(entry["b64"]) for entry in entries)


def loud(pcm: bytes) -> list[int]:
    """The samples that are not silent."""
    samples = np.frombuffer(pcm, "<i2")
    return samples[samples != 0].tolist()


class Replay:
    """Plays what Vonage sent; Vapi says at the same moments what makes us send what was recorded."""

    def __init__(self, rate: int, vapi: AudioFormat | None = None, *, pem: str = "", **settings: Any) -> None:
        self.rate, self.frame_bytes = rate, rate // 50 * 2
        known = VonageSettings(application_id="app-1" if pem else "", private_key=pem, sample_rate=rate)
        dialect = VonageDialect(known, call_id=CALL)
        self.vapi = vapi or AudioFormat("pcm_s16le", rate)
        self.call = Driver(dialect, vapi_format=self.vapi, mark_interval_ms=10_000, **settings)
        self.lines = lines(f"vonage_{rate // 1000}k.jsonl")
        self.came = [line for line in self.lines if (line["dir"], line["kind"]) == ("in", "binary")]
        self.sent = [line for line in self.lines if (line["dir"], line["kind"]) == ("out", "binary")]

    def run(self) -> Driver:
        call = self.call
        zero_ns = call.now_ns
        spoken = b""
        for line in self.lines:
            if line["t_ms"] > 0:
                call.advance((zero_ns + line["t_ms"] * MS - call.now_ns) / MS)
            match line["kind"], line["dir"]:
                case "ws-open", _:
                    call.provider_opened()
                    call.vapi_opened()
                case "ws-close", _:
                    call.provider_closed(line["code"])
                case "binary", "in":
                    call.provider_message(base64.b64decode(line["b64"]), False)
                case "binary", "out":
                    spoken += base64.b64decode(line["b64"])
                case "text", "out":
                    self.vapi_says(json.loads(line["wire"]), spoken)
                    spoken = b""
                case "text", "in":
                    self.vonage_says(json.loads(line["wire"]))
                case "http", "out" if line.get("method") == "PUT":
                    call.hang_up("done")
        return call

    def vapi_says(self, message: dict[str, Any], spoken: bytes) -> None:
        if message["action"] == "clear":
            self.call.vapi_text(INTERRUPTED)
            return
        for at in range(0, len(spoken), CHUNK_BYTES):
            self.call.vapi_message(spoken[at : at + CHUNK_BYTES], False)
        self.call.vapi_text(speech("assistant", "stopped"))

    def vonage_says(self, message: dict[str, Any]) -> None:
        if message["event"] == "websocket:notify":
            # Names are ours to choose: return the one that stands at the same place.
            message["payload"]["name"] = [text for text in self.texts() if text["action"] == "notify"][-1][
                "payload"
            ]["name"]
        self.call.text(json.dumps(message))

    def texts(self) -> list[dict[str, Any]]:
        return [
            json.loads(command.data) for command in self.call.to_provider if isinstance(command, SendText)
        ]

    def before_hang_up(self) -> list[dict[str, Any]]:
        at = next(i for i, line in enumerate(self.lines) if line.get("method") == "PUT")
        return [line for line in self.came if self.lines.index(line) < at]


@pytest.fixture(scope="module", params=RATES)
def replay(request: pytest.FixtureRequest) -> Replay:
    replay = Replay(request.param)
    replay.run()
    return replay


def test_the_stream_starts_with_the_recorded_call_and_parameters(replay: Replay) -> None:
    (started,) = replay.call.of(CallStarted)
    assert (started.call_id, started.provider) == (CALL, "vonage")
    assert started.parameters == {"caller-id": "14155550100"}


def test_the_recorded_key_press_is_told(replay: Replay) -> None:
    assert replay.call.of(Dtmf) == [Dtmf("5", 260)]


def test_every_message_of_audio_to_vonage_is_one_frame(replay: Replay) -> None:
    sizes = {len(c.data) for c in replay.call.to_provider if isinstance(c, SendBinary)}
    assert sizes == {replay.frame_bytes}


def test_the_recorded_audio_marks_and_clear_go_to_vonage_in_order(replay: Replay) -> None:
    def shape(words: list[str]) -> list[str]:
        return [word for i, word in enumerate(words) if i == 0 or word != "audio" or words[i - 1] != "audio"]

    ours = [
        "audio" if isinstance(command, SendBinary) else json.loads(command.data)["action"]
        for command in replay.call.to_provider
        if isinstance(command, SendBinary | SendText)
    ]
    theirs = [
        "audio" if line["kind"] == "binary" else json.loads(line["wire"])["action"]
        for line in replay.lines
        if line["dir"] == "out" and line["kind"] in ("binary", "text")
    ]
    assert shape(ours) == shape(theirs)
    assert replay.call.heard == audio(replay.sent)


def test_what_we_write_is_of_the_recorded_shape(replay: Replay) -> None:
    for text in replay.texts():
        assert text == {"action": "clear"} or (
            sorted(text) == ["action", "payload"] and sorted(text["payload"]) == ["name"]
        )


def test_all_of_the_callers_audio_reaches_vapi_in_order(replay: Replay) -> None:
    expected, said = audio(replay.before_hang_up()), replay.call.said
    # Silence may come before the start and where the recording pauses.
    assert loud(said) == loud(expected)
    assert len(said) - len(expected) in range(0, 5 * replay.frame_bytes + 1, replay.frame_bytes)


def test_the_recorded_barge_in_happens_once(replay: Replay) -> None:
    assert len(replay.call.of(BargeIn)) == 1


def test_nothing_is_counted_as_wrong_but_late_marks(replay: Replay) -> None:
    assert replay.call.ended is not None
    assert set(replay.call.ended.summary.counters) <= {"stale_mark", "foreign_mark"}


def test_a_hang_up_without_the_applications_key_closes_the_socket(replay: Replay) -> None:
    assert replay.call.ended is not None
    assert (replay.call.ended.reason, replay.call.ended.summary.call_id) == ("hang_up", CALL)
    assert replay.call.to_vapi[-2:] == [SendText(b'{"type":"end-call"}'), CloseSocket(1000)]
    assert replay.call.to_provider[-1] == CloseSocket(1000)


@pytest.mark.parametrize("rate", RATES)
def test_a_hang_up_with_the_key_is_the_recorded_one_and_lets_vonage_close_first(
    rate: int, vonage_pem: str
) -> None:
    replay = Replay(rate, pem=vonage_pem)
    *_, hangup, close = replay.run().to_provider
    recorded = next(line for line in replay.lines if line.get("method") == "PUT")
    assert isinstance(hangup, HttpCall)
    told = (hangup.method, hangup.url, hangup.body.decode())
    assert told == (recorded["method"], recorded["url"], recorded["wire"])
    assert close == CloseSocket(1000, grace_ms=2000)


def test_when_vapi_ends_the_call_vonage_is_hung_up_by_rest(vonage_pem: str) -> None:
    call = Replay(16000, pem=vonage_pem).call
    call.provider_opened()
    call.vapi_opened()
    call.vapi_text(ENDED)
    request, close = call.to_provider
    assert isinstance(request, HttpCall)
    assert (request.purpose, request.body) == ("hangup", b'{"action":"hangup"}')
    assert close == CloseSocket(1000, grace_ms=2000)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("vapi", [AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16000)])
def test_in_another_format_of_vapis_no_audio_is_lost_and_frames_stay_whole(
    rate: int, vapi: AudioFormat
) -> None:
    replay = Replay(rate, vapi)
    call = replay.run()
    assert {len(c.data) for c in call.to_provider if isinstance(c, SendBinary)} == {replay.frame_bytes}
    assert call.ended is not None
    up = call.ended.summary.uplink
    assert up is not None
    assert up.audio_in_ms == 20 * len(replay.before_hang_up())
    assert up.dropped_flood_ms == up.dropped_overflow_ms == 0
    assert len(call.said) * 1000 == up.audio_out_ms * vapi.frame_bytes(20) * 50
    whole = up.audio_in_ms + up.inserted_silence_ms - up.repaid_silence_ms
    assert abs(whole - up.audio_out_ms - up.dropped_closed_ms) <= 20


@pytest.mark.parametrize("carries_media", [True, False])
def test_the_socket_closing_ends_the_call_as_closed(carries_media: bool) -> None:
    call = Replay(16000, carries_media=carries_media).call
    call.provider_opened()
    call.vapi_opened()
    call.provider_closed(1000)
    assert call.ended is not None
    assert call.ended.reason == "provider_closed"
    assert not any(isinstance(command, HttpCall) for command in call.to_provider)


def test_a_rate_other_than_asked_for_leaves_the_call_to_vonage(vonage_pem: str) -> None:
    call = Replay(16000, pem=vonage_pem).call
    call.provider_opened()
    call.text('{"event":"websocket:connected","content-type":"audio/l16;rate=8000"}')
    assert call.ended is not None
    assert call.ended.reason == "unsupported_format"
    assert call.to_provider == [CloseSocket(1003)]


def test_a_socket_that_vonage_cannot_reach_ends_the_call_and_leaves_the_caller_to_vonage(
    vonage_pem: str,
) -> None:
    *_, event, _answer = lines("vonage_unanswered_fallback.jsonl")
    call = Replay(16000, pem=vonage_pem).call
    request = WebhookRequest("POST", "/vonage/event", {}, event["wire"].encode())
    report = call.dialect.read_status_webhook(request)
    call.provider_events(report.events)
    assert call.ended is not None
    assert (call.ended.reason, report.media_lost) == ("media_lost", "unanswered")
    assert call.to_provider == []


@pytest.fixture(scope="module")
def vonage_pem() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
