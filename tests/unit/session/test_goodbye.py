"""The assistant ends the call: what it has said is still heard."""

import pytest
from session_fakes import END_CALL, ENDED, FRAME, HANGUP, MS, Driver, FakeDialect, speech

from vapimedia.protocols.commands import CloseSocket, SendText
from vapimedia.protocols.dialect import Caps
from vapimedia.session import State
from vapimedia.session.marks import MAX_OUTSTANDING

CLOSE = CloseSocket(1000)


def saying_goodbye(ms: int = 1000, **settings: object) -> Driver:
    call = Driver(**settings).go_live()
    call.vapi_audio(ms)
    call.vapi_text(ENDED)
    return call


def test_vapis_leg_closes_at_once_and_the_phone_leg_when_all_was_heard() -> None:
    call = saying_goodbye()
    assert call.session.state is State.ENDING
    assert call.without_audio(call.to_vapi) == [CLOSE]
    assert call.ended is None
    call.advance(900)
    assert HANGUP not in call.to_provider
    call.advance(700)
    assert call.ended is not None
    assert call.ended.reason == "vapi_ended"
    assert call.ended.detail == "assistant-ended-call"
    assert call.to_provider[-2:] == [HANGUP, CLOSE]
    assert len(call.heard) == 8000
    assert END_CALL not in call.to_vapi


def test_the_returned_last_mark_ends_the_call_at_once() -> None:
    call = saying_goodbye()
    call.advance(950)
    assert SendText(b"mark 0:1000") in call.to_provider
    call.text("mark 0:1000")
    assert call.ended is not None


def test_a_missing_last_mark_holds_the_call_for_half_a_second_only() -> None:
    call = saying_goodbye()
    call.advance(1400)
    assert call.ended is None
    call.advance(120)
    assert call.ended is not None


def test_without_marks_the_clock_decides() -> None:
    caps = Caps(exact_frames=False, max_lead_ms=60_000, marks=False, clear=True)
    call = saying_goodbye(dialect=FakeDialect(caps))
    call.advance(980)
    assert call.ended is None
    call.advance(40)
    assert call.ended is not None


def test_audio_beyond_the_lead_is_still_sent() -> None:
    call = saying_goodbye(3000, lead_ms=400)
    call.advance(5000)
    assert call.ended is not None
    assert call.heard == (FRAME * 151)[:24_000]


def test_a_partial_frame_is_sent_where_frames_are_exact() -> None:
    caps = Caps(exact_frames=True, max_lead_ms=20_000, marks=False, clear=True)
    call = Driver(FakeDialect(caps)).go_live()
    call.vapi_message(FRAME + FRAME[:50], False)
    call.vapi_text(ENDED)
    assert call.heard == FRAME + FRAME[:50] + b"\xff" * 110


def test_a_goodbye_is_bounded() -> None:
    call = saying_goodbye(60_000, goodbye_ms=2000)
    call.advance(1990)
    assert call.ended is None
    call.advance(20)
    assert call.ended is not None


def test_zero_cuts_the_goodbye() -> None:
    call = saying_goodbye(goodbye_ms=0)
    assert call.ended is not None


def test_with_nothing_queued_the_end_is_at_once() -> None:
    call = Driver().go_live()
    call.vapi_audio(100)
    call.advance(200)
    call.vapi_text(ENDED)
    assert call.ended is not None


def test_before_the_start_message_there_is_no_goodbye() -> None:
    call = Driver()
    call.vapi_opened()
    call.vapi_audio(400)
    call.vapi_text(ENDED)
    assert call.ended is not None


@pytest.mark.parametrize(("name", "argument"), [("text", "stop"), ("provider_closed", 1006)])
def test_a_caller_who_hangs_up_during_the_goodbye_is_not_hung_up(name: str, argument: object) -> None:
    call = saying_goodbye()
    getattr(call, name)(argument)
    assert call.ended is not None
    assert call.ended.reason == "vapi_ended"
    assert HANGUP not in call.to_provider


def test_hanging_up_cuts_the_goodbye() -> None:
    call = saying_goodbye()
    call.hang_up("now")
    assert call.ended is not None
    assert call.ended.reason == "vapi_ended"


def test_a_drain_during_the_goodbye_is_a_drain() -> None:
    call = saying_goodbye()
    call.hang_up("drain")
    assert call.ended is not None
    assert call.ended.reason == "drain"


def test_vapis_close_after_the_end_is_no_news() -> None:
    call = saying_goodbye()
    call.vapi_closed(1006)
    call.vapi_failed("late")
    call.vapi_audio(20)
    call.vapi_text(ENDED)
    assert call.ended is None
    assert call.session.summary(call.now_ns).counters == {"late_vapi_message": 2}


def test_during_the_goodbye_the_caller_is_not_streamed_to_vapi() -> None:
    call = saying_goodbye()
    call.forget()
    call.provider_message(FRAME, False)
    call.text("dtmf 5")
    call.advance(500)
    assert not call.to_vapi
    assert len(call.events) == 1


def test_a_bridge_that_feeds_the_paths_itself_gets_the_same_goodbye() -> None:
    call = Driver(carries_media=False).go_live()
    sent = call.session.downlink.feed(FRAME * 50, call.now_ns)
    assert b"".join(sent) == FRAME * 50
    call.vapi_text(ENDED)
    assert call.session.state is State.ENDING
    assert SendText(b"mark 0:1000") in call.to_provider
    call.advance(990)
    assert call.ended is None
    call.text("mark 0:1000")
    assert call.ended is not None


def test_the_end_of_speech_does_not_end_the_goodbye() -> None:
    call = Driver().go_live()
    call.vapi_audio(600)
    call.vapi_text(speech("assistant", "stopped"))
    call.vapi_text(ENDED)
    call.advance(300)
    assert call.ended is None
    call.now_ns += 400 * MS
    call.text("mark 0:600")
    assert call.ended is not None


def test_words_that_wait_for_a_stalled_phone_leg_are_heard_before_the_end() -> None:
    call = Driver().go_live()
    call.vapi_audio(500)
    call.session.downlink.set_stalled(True)
    call.vapi_audio(500)
    call.vapi_text(ENDED)
    call.advance(600)
    for mark in list(call.session._core.marks.outstanding):
        call.text(f"mark {mark}")
    assert call.ended is None
    call.session.downlink.set_stalled(False)
    call.advance(520)
    assert call.ended is None
    assert len(call.heard) == 8000
    call.text("mark 0:1000")
    assert call.ended is not None
    assert call.ended.summary.downlink is not None
    assert call.ended.summary.downlink.dropped_closed_ms == 0


def test_words_that_come_after_the_last_mark_are_heard_before_the_end() -> None:
    call = Driver(carries_media=False).go_live()
    call.session.downlink.feed(FRAME * 25, call.now_ns)
    call.vapi_text(ENDED)
    assert SendText(b"mark 0:500") in call.to_provider
    call.session.downlink.set_stalled(True)
    call.session.downlink.feed(FRAME * 25, call.now_ns)
    call.text("mark 0:500")
    assert call.ended is None
    call.session.downlink.set_stalled(False)
    call.session.downlink.due(call.now_ns)
    call.advance(20)
    call.text("mark 0:1000")
    assert call.ended is not None


def test_a_goodbye_to_a_phone_leg_that_stays_stalled_is_bounded() -> None:
    call = Driver(goodbye_ms=2000).go_live()
    call.session.downlink.set_stalled(True)
    call.vapi_audio(5000)
    call.vapi_text(ENDED)
    call.advance(1990)
    assert call.ended is None
    call.advance(20)
    assert call.ended is not None


def test_a_mark_in_the_middle_of_the_last_words_does_not_end_them() -> None:
    call = Driver(goodbye_ms=60_000).go_live()
    for _ in range(40):
        call.vapi_audio(500)
    call.vapi_text(ENDED)
    assert len(call.session._core.marks.outstanding) == MAX_OUTSTANDING
    call.text("mark 0:16000")
    assert call.ended is None
    call.text("mark 0:20000")
    assert call.ended is not None


def test_vapis_word_to_hang_up_lets_the_last_words_be_heard_and_ends_its_leg() -> None:
    call = Driver().go_live()
    call.vapi_audio(1000)
    call.hang_up_when_heard("phone-call-control")
    call.hang_up_when_heard("phone-call-control")  # nothing new
    assert call.session.state is State.ENDING
    assert call.without_audio(call.to_vapi) == [END_CALL, CLOSE]
    call.advance(1600)
    assert call.ended is not None
    assert (call.ended.reason, call.ended.detail) == ("vapi_ended", "phone-call-control")
    assert len(call.heard) == 8000 and call.to_provider[-2:] == [HANGUP, CLOSE]


def test_vapis_word_to_hang_up_ends_a_silent_call_at_once() -> None:
    call = Driver().go_live()
    call.hang_up_when_heard("phone-call-control")
    assert call.ended is not None and END_CALL in call.to_vapi
