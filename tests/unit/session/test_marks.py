"""Playout marks: when they are sent, and what a returned one is worth."""

import base64

import pytest
from session_fakes import INTERRUPTED, MULAW, Driver, FakeDialect, speech

from vapimedia.media import Envelope, PlayoutPath
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


def test_the_marks_of_a_burst_stand_where_their_positions_are() -> None:
    call = Driver().go_live()
    call.vapi_audio(1730)
    sent_ms = 0.0
    for command in call.to_provider:
        if isinstance(command, SendText):
            assert command.data == f"mark 0:{sent_ms:g}".encode()
        else:
            sent_ms += len(command.data) / 8
    assert marks(call) == ["0:500", "0:1000", "0:1500"]
    call.vapi_text(speech("assistant", "stopped"))
    assert marks(call)[3:] == ["0:1730"]


@pytest.mark.parametrize("carries_media", [False, True])
def test_early_audio_has_its_marks_within_it(carries_media: bool) -> None:
    call = Driver(carries_media=carries_media)
    call.vapi_opened()
    call.session.downlink.feed(b"\x01" * 9600, call.now_ns)
    call.provider_opened()
    call.text("start")
    kinds = ["mark" if isinstance(command, SendText) else "audio" for command in call.to_provider]
    assert kinds == [*["audio"] * 5, "mark", *["audio"] * 5, "mark", "audio", "audio"]
    assert marks(call) == ["0:500", "0:1000"]


def test_a_mark_within_a_burst_tells_how_far_it_is_played() -> None:
    call = Driver().go_live()
    call.vapi_audio(2000)
    call.advance(800)
    call.text("mark 0:500")  # 300 ms later than the clock had it
    assert call.session.downlink.heard_ms(call.now_ns) == 500
    call.text("mark 0:1000")
    assert call.session.downlink.heard_ms(call.now_ns) == 1000


def test_a_long_burst_has_as_many_marks_as_may_be_under_way() -> None:
    call = Driver(lead_ms=50_000).go_live()
    call.vapi_audio(40_000)
    assert marks(call) == [f"0:{500 * n}" for n in range(1, MAX_OUTSTANDING + 1)]
    call.text("mark 0:500")
    call.vapi_text(speech("assistant", "stopped"))
    assert marks(call)[-1] == "0:40000"


@pytest.mark.parametrize("n", [0, 1, 2, 3, 160, 161, 162])
def test_a_message_tells_how_much_audio_it_holds(n: int) -> None:
    raw, text = (
        PlayoutPath(MULAW, MULAW, wrap=wrap)
        for wrap in (Envelope(text=False), Envelope(text=True, prefix=b'{"p":"', suffix=b'"}'))
    )
    assert raw.message_ms(b"=" * n) == n / 8
    assert text.message_ms(b'{"p":"' + base64.b64encode(b"\xff" * n) + b'"}') == n / 8
    assert text.message_ms(b"") == 0


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
    assert call.session.summary(call.now_ns).counters["stale_mark"] == 2


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
