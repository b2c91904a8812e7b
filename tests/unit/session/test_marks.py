"""Playout marks: when they are sent, and what a returned one is worth."""

import pytest
from session_fakes import INTERRUPTED, Driver, FakeDialect, speech

from vapimedia.protocols.commands import SendText
from vapimedia.protocols.dialect import Caps
from vapimedia.session.marks import MAX_OUTSTANDING


def marks(call: Driver) -> list[str]:
    texts = [command.data.decode() for command in call.to_provider if isinstance(command, SendText)]
    return [text.removeprefix("mark ") for text in texts if text.startswith("mark ")]


def test_a_mark_follows_every_interval_of_audio() -> None:
    call = Driver().go_live()
    for _ in range(100):
        call.vapi_audio(20)
        call.advance(20)
    assert marks(call) == ["0:500", "0:1000", "0:1500", "0:2000"]


def test_a_mark_follows_the_end_of_speech() -> None:
    call = Driver().go_live()
    call.vapi_audio(130)
    call.vapi_text(speech("assistant", "stopped"))
    call.vapi_text(speech("assistant", "stopped"))
    assert marks(call) == ["0:130"]


def test_a_position_is_exact_to_the_sample() -> None:
    call = Driver().go_live()
    call.vapi_message(b"\x01" * 1001, False)
    call.vapi_text(speech("assistant", "stopped"))
    assert marks(call) == ["0:125.125"]


def test_a_bridge_that_feeds_the_paths_asks_for_its_marks() -> None:
    call = Driver(carries_media=False).go_live()
    assert call.session.mark_due(call.now_ns) is None
    call.session.downlink.feed(b"\x01" * 4000, call.now_ns)
    assert call.session.mark_due(call.now_ns) == SendText(b"mark 0:500")
    assert call.session.mark_due(call.now_ns) is None


def test_a_played_mark_corrects_the_ledger() -> None:
    call = Driver().go_live()
    call.vapi_audio(2000)
    call.vapi_text(speech("assistant", "stopped"))
    call.vapi_audio(500)
    call.advance(1000)
    name = marks(call)[0]
    call.text(f"mark {name}")
    assert call.session.downlink.queued_ms(call.now_ns) == pytest.approx(2500 - float(name[2:]))
    assert not call.session.summary(call.now_ns).counters


def test_a_mark_that_a_clear_returned_is_not_taken_for_playout() -> None:
    call = Driver().go_live()
    call.vapi_audio(1000)
    call.vapi_text(INTERRUPTED)
    call.vapi_audio(400)
    queued_ms = call.session.downlink.queued_ms(call.now_ns)
    for name in marks(call):
        call.text(f"mark {name}")
    assert call.session.downlink.queued_ms(call.now_ns) == queued_ms
    assert call.session.summary(call.now_ns).counters["stale_mark"] == 1


@pytest.mark.parametrize("name", ["", "greeting:end", "0:500", "0:1e9", "9" * 50 + ":1", "0:-1", "٣:٥"])
def test_a_mark_that_was_never_sent_is_counted_and_ignored(name: str) -> None:
    call = Driver().go_live()
    call.vapi_audio(100)
    call.text(f"mark {name}")
    assert call.session.summary(call.now_ns).counters == {"foreign_mark": 1}


def test_a_mark_returned_twice_counts_once() -> None:
    call = Driver().go_live()
    call.vapi_audio(600)
    (name,) = marks(call)
    call.advance(600)
    for _ in range(2):
        call.text(f"mark {name}")
    assert call.session.summary(call.now_ns).counters == {"foreign_mark": 1}


def test_a_provider_that_returns_no_marks_gets_a_bounded_number() -> None:
    call = Driver(mark_interval_ms=20, idle_timeout_ms=0).go_live()
    for _ in range(200):
        call.vapi_audio(20)
        call.advance(20)
    assert len(marks(call)) == MAX_OUTSTANDING


def test_cleared_marks_that_never_return_give_their_places_back() -> None:
    call = Driver(mark_interval_ms=20, idle_timeout_ms=0).go_live()
    for _ in range(200):
        call.vapi_audio(40)
        call.vapi_text(INTERRUPTED)
        call.advance(20)
    assert len(marks(call)) == 200


def test_a_provider_without_marks_gets_none() -> None:
    caps = Caps(exact_frames=False, max_lead_ms=60_000, marks=False, clear=True)
    call = Driver(FakeDialect(caps)).go_live()
    call.vapi_audio(2000)
    call.vapi_text(speech("assistant", "stopped"))
    assert marks(call) == []


def test_the_newest_mark_sent_and_the_newest_played_are_known() -> None:
    call = Driver().go_live()
    for _ in range(60):
        call.vapi_audio(20)
        call.advance(20)
    marks = call.session.marks
    assert (marks.last_sent, marks.last_played) == ("0:1000", "")
    call.text("mark 0:500")
    assert (marks.last_sent, marks.last_played) == ("0:1000", "0:500")
    assert list(marks.outstanding) == ["0:1000"]
