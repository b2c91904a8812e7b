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
