"""The caller speaks over the assistant."""

import pytest
from session_fakes import FRAME, INTERRUPTED, Driver, FakeDialect, speech

from vapimedia.protocols.commands import SendText
from vapimedia.protocols.dialect import Caps
from vapimedia.session import BargeIn

CLEAR = SendText(b"clear")


def speaking(**settings: object) -> Driver:
    call = Driver(lead_ms=500, **settings).go_live()
    call.vapi_audio(2000)
    call.advance(200)
    call.forget()
    return call


def test_an_interruption_drops_the_queue_and_clears_the_provider_in_one_turn() -> None:
    call = speaking()
    call.vapi_text(INTERRUPTED)
    assert call.without_audio(call.to_provider) == [CLEAR]
    (barge_in,) = call.of(BargeIn)
    assert barge_in.heard_ms == pytest.approx(200, abs=1)
    assert barge_in.dropped_ms == pytest.approx(1800, abs=1)
    call.forget()
    call.advance(3000)
    assert not call.heard


def test_an_interruption_is_acted_upon_once() -> None:
    call = speaking()
    for _ in range(3):
        call.vapi_text(INTERRUPTED)
    assert len(call.of(BargeIn)) == 1
    assert call.to_provider.count(CLEAR) == 1
    assert call.session.summary(call.now_ns).barge_ins == 1


def test_with_nothing_to_drop_there_is_no_clear() -> None:
    call = Driver().go_live()
    call.vapi_text(INTERRUPTED)
    assert not call.to_provider
    assert not call.of(BargeIn)


def test_the_event_comes_before_what_it_causes() -> None:
    call = speaking()
    call.vapi_text(INTERRUPTED)
    assert [type(event).__name__ for event in call.events] == ["UserInterrupted", "BargeIn"]


def test_the_callers_speech_interrupts_only_by_policy() -> None:
    for policy, n_clears in (("user-interrupted", 0), ("speech-update", 1), ("off", 0)):
        call = speaking(barge_in=policy)
        call.vapi_text(speech("user", "started"))
        assert call.to_provider.count(CLEAR) == n_clears


def test_off_ignores_interruptions() -> None:
    call = speaking(barge_in="off")
    call.vapi_text(INTERRUPTED)
    assert CLEAR not in call.to_provider


def test_a_provider_without_clear_gets_none() -> None:
    caps = Caps(exact_frames=False, max_lead_ms=500, marks=False, clear=False)
    call = speaking(dialect=FakeDialect(caps))
    call.vapi_text(INTERRUPTED)
    assert not call.without_audio(call.to_provider)
    assert call.of(BargeIn)


def test_early_audio_is_dropped_without_a_clear() -> None:
    call = Driver()
    call.vapi_opened()
    call.vapi_audio(400)
    call.vapi_text(INTERRUPTED)
    call.provider_opened()
    call.text("start")
    call.advance(500)
    assert not call.to_provider


def test_audio_after_an_interruption_is_heard_unless_guarded() -> None:
    call = speaking()
    call.vapi_text(INTERRUPTED)
    call.vapi_message(FRAME, False)
    assert call.heard == FRAME


def test_the_guard_drops_audio_until_the_assistant_starts_anew() -> None:
    call = speaking(interrupt_guard_ms=1000)
    call.vapi_text(INTERRUPTED)
    call.vapi_message(FRAME, False)
    assert not call.heard
    call.vapi_text(speech("assistant", "started"))
    assert call.session.drop_downlink_until_ns == 0
    call.vapi_message(FRAME, False)
    assert call.heard == FRAME
    assert call.session.summary(call.now_ns).counters == {"guarded_message": 1}


def test_the_guard_expires() -> None:
    call = speaking(interrupt_guard_ms=1000)
    call.vapi_text(INTERRUPTED)
    assert call.session.drop_downlink_until_ns == call.now_ns + 1_000_000_000
    call.advance(1000)
    call.vapi_message(FRAME, False)
    assert call.heard == FRAME


def test_late_audio_of_an_interrupted_turn_is_guarded_even_if_nothing_was_queued() -> None:
    call = Driver(interrupt_guard_ms=1000).go_live()
    call.vapi_text(INTERRUPTED)
    call.vapi_message(FRAME, False)
    assert not call.heard


def test_a_turn_that_interrupts_nothing_is_not_guarded() -> None:
    call = Driver(interrupt_guard_ms=1000, barge_in="speech-update").go_live()
    call.vapi_text(speech("user", "started"))
    assert call.session.drop_downlink_until_ns == 0


def test_a_storm_of_interruptions_is_counted_exactly() -> None:
    call = Driver().go_live()
    for _ in range(100):
        call.vapi_audio(60)
        call.vapi_text(INTERRUPTED)
        call.advance(10)
    assert call.to_provider.count(CLEAR) == 100
    summary = call.session.summary(call.now_ns)
    assert summary.barge_ins == 100
    assert summary.downlink is not None
    assert summary.downlink.cleared_ms + summary.downlink.heard_ms == pytest.approx(6000)


def test_an_interruption_and_the_callers_speech_are_one() -> None:
    """Vapi tells both, one shortly after the other: there is nothing left for the second to clear."""
    call = speaking(barge_in="speech-update")
    call.vapi_text(speech("user", "started"))
    call.advance(50)
    call.vapi_text(INTERRUPTED)
    assert call.to_provider.count(CLEAR) == 1
    assert len(call.of(BargeIn)) == 1


def test_what_comes_between_the_two_of_them_is_guarded() -> None:
    call = speaking(barge_in="speech-update", interrupt_guard_ms=1000)
    call.vapi_text(speech("user", "started"))
    call.vapi_message(FRAME, False)
    call.vapi_text(INTERRUPTED)
    call.vapi_message(FRAME, False)
    assert call.to_provider.count(CLEAR) == 1
    assert not call.heard
    assert call.session.summary(call.now_ns).counters["guarded_message"] == 2


def test_an_owner_that_feeds_the_paths_is_told_until_when_to_drop() -> None:
    call = speaking(interrupt_guard_ms=500, carries_media=False)
    call.session.downlink.feed(FRAME, call.now_ns)
    call.vapi_text(INTERRUPTED)
    assert call.session.drop_downlink_until_ns == call.now_ns + 500_000_000


def test_what_was_heard_is_what_a_mark_says() -> None:
    call = Driver().go_live()
    call.vapi_audio(2000)
    call.advance(700)
    call.text("mark 0:500")
    call.advance(100)
    call.vapi_text(INTERRUPTED)
    (barge_in,) = call.of(BargeIn)
    assert (barge_in.heard_ms, barge_in.dropped_ms) == (600, 1400)


def test_what_our_socket_still_holds_was_not_heard_and_is_dropped() -> None:
    call = Driver().go_live()
    call.vapi_audio(1000)
    call.advance(900)
    call.session.downlink.set_backlog(400 * 8)
    call.vapi_text(INTERRUPTED)
    (barge_in,) = call.of(BargeIn)
    assert (barge_in.heard_ms, barge_in.dropped_ms) == (600, 400)


def test_an_interruption_of_a_leg_that_does_not_read_clears_it_at_once() -> None:
    call = speaking()
    call.session.downlink.set_stalled(True)
    call.vapi_audio(500)
    call.vapi_text(INTERRUPTED)
    assert call.without_audio(call.to_provider) == [CLEAR]
    assert call.session.downlink.unsent_ms == 0


def test_the_next_turn_starts_with_its_own_cushion() -> None:
    call = Driver(prebuffer_ms=40).go_live()
    call.vapi_audio(2000)
    call.vapi_text(INTERRUPTED)
    call.forget()
    call.vapi_message(FRAME, False)
    call.advance(30)
    assert not call.heard
    call.advance(10)
    assert call.heard == FRAME
