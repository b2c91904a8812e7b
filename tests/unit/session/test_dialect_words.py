"""What a dialect may do beside phone words: start without a message, pass events on, leave the call to others."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from session_fakes import ENDED, HANGUP, Driver, FakeDialect, speech

from vapimedia.protocols.commands import CloseSocket, HttpCall, SendText
from vapimedia.protocols.events import CallProgress, LegFormat, ProviderEvent, Started, Stopped
from vapimedia.protocols.vapi import StatusUpdate, Transcript, VapiEvent
from vapimedia.session import CallStarted, State

TRANSCRIPT = b'{"type":"transcript","role":"user","transcriptType":"final","transcript":"hello"}'
OUTCOMES = ["busy", "unanswered", "rejected", "cancelled", "failed"]


class Page(FakeDialect):
    """A peer that has no start message and reads what is said."""

    def opened(self) -> Sequence[ProviderEvent]:
        return [Started("page-1", "page-1", LegFormat("mulaw", 8000))]

    def relay(self, event: VapiEvent) -> SendText | None:
        match event:
            case Transcript(transcript=text):
                return SendText(f"heard {text}".encode())
            case StatusUpdate(status=status):
                return SendText(f"status {status}".encode())
        return None


class Patient(FakeDialect):
    """A provider whose API closes the socket."""

    def hangup(self) -> list[HttpCall | CloseSocket]:  # type: ignore[override]
        return [HANGUP, CloseSocket(1000, grace_ms=2000)]


def test_an_open_socket_starts_the_call_where_no_message_does() -> None:
    call = Driver(Page())
    call.vapi_opened()
    call.provider_opened()
    assert [event.call_id for event in call.of(CallStarted)] == ["page-1"]
    assert call.session.state is State.LIVE
    call.provider_opened()
    call.provider_message(b"\xff" * 160, False)
    assert len(call.of(CallStarted)) == 1


def test_events_are_passed_on_to_a_peer_that_reads_them() -> None:
    call = Driver(Page()).go_live()
    call.vapi_text(TRANSCRIPT)
    call.vapi_text(speech("assistant", "started"))
    assert call.without_audio(call.to_provider) == [SendText(b"heard hello")]


def test_the_last_event_is_passed_on_before_the_socket_closes() -> None:
    call = Driver(Page()).go_live()
    call.vapi_text(ENDED)
    assert call.without_audio(call.to_provider) == [SendText(b"status ended"), HANGUP, CloseSocket(1000)]


def test_nothing_is_passed_on_before_the_start() -> None:
    call = Driver(FakeDialect())
    call.dialect.relay = Page().relay
    call.provider_opened()
    call.vapi_opened()
    call.vapi_text(TRANSCRIPT)
    assert call.without_audio(call.to_provider) == []


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_call_that_never_came_about_ends_by_its_outcome(outcome: str) -> None:
    call = Driver()
    call.provider_events([CallProgress("ringing"), Stopped("word", outcome)])  # type: ignore[arg-type]
    call.provider_events([Stopped("word", outcome)])  # type: ignore[arg-type]
    assert call.ended is not None
    assert (call.ended.reason, call.ended.detail) == (outcome, "word")
    assert call.of(CallProgress) == [CallProgress("ringing")]
    assert call.to_provider == []


def test_a_call_that_was_live_is_not_busy_afterwards() -> None:
    call = Driver().go_live()
    call.provider_events([Stopped("failed", "failed")])
    assert call.ended is not None
    assert call.ended.reason == "provider_stop"


def test_a_foreign_format_leaves_the_call_to_the_provider() -> None:
    dialect = FakeDialect()
    dialect.announced = LegFormat("pcm_s16le", 44100)
    call = Driver(dialect)
    call.provider_opened()
    call.text("start")
    assert call.ended is not None
    assert call.ended.reason == "unsupported_format"
    assert call.to_provider == [CloseSocket(1003)]


def test_a_close_code_keeps_the_grace_of_the_plan() -> None:
    call = Driver(Patient()).go_live()
    call.hang_up("drain")
    assert call.without_audio(call.to_provider) == [HANGUP, CloseSocket(1001, grace_ms=2000)]


def test_a_call_that_rings_longer_waits_longer_for_its_media() -> None:
    call = Driver(ring_ms=60_000)
    call.advance(74_000)
    assert call.ended is None
    call.advance(1_100)
    assert call.ended is not None
    assert call.ended.reason == "media_timeout"


def test_a_call_that_was_answered_waits_for_its_media_no_longer_than_others() -> None:
    call = Driver(ring_ms=60_000)
    call.advance(5_000)
    call.provider_events([CallProgress("ringing"), CallProgress("answered")])
    call.advance(14_000)
    assert call.ended is None
    call.advance(1_100)
    assert call.ended is not None
    assert call.ended.reason == "media_timeout"


def test_an_answer_that_is_told_after_the_media_came_expects_no_other() -> None:
    call = Driver(ring_ms=60_000).go_live()
    call.provider_events([CallProgress("answered")])
    for _ in range(20):
        call.provider_message(b"\xff" * 160, False)
        call.advance(1_000)
    assert call.ended is None
