"""The start of a call, its deadlines, and the two ways to carry media."""

import pytest
from session_fakes import FRAME, MS, MULAW, Driver, FakeDialect

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope
from vapimedia.protocols.commands import CloseSocket, SendBinary, SendText
from vapimedia.protocols.events import LegFormat
from vapimedia.protocols.vapi import StatusUpdate, UnknownEvent
from vapimedia.session import CallSession, CallStarted, SessionConfig, State


def test_a_call_goes_live_when_both_legs_are_ready_in_either_order() -> None:
    for order in (("text", "vapi_opened"), ("vapi_opened", "text")):
        call = Driver()
        assert call.session.state is State.WAITING
        call.provider_opened()
        assert call.session.state is State.CONNECTING
        for name in order:
            assert call.session.state is State.CONNECTING
            getattr(call, name)(*(["start"] if name == "text" else []))
        assert call.session.state is State.LIVE


def test_started_is_told_with_its_parameters() -> None:
    call = Driver()
    call.provider_opened()
    call.text("start")
    assert call.events == [CallStarted("call-1", "stream-1", {"plan": "gold"}, "fake")]
    assert "gold" not in repr(call.events)


def test_a_message_proves_that_its_socket_is_open() -> None:
    call = Driver()
    call.text("start")
    call.vapi_text(b'{"type":"hang"}')
    assert call.session.state is State.LIVE


def test_silence_runs_to_vapi_from_its_open_on() -> None:
    call = Driver()
    call.vapi_opened()
    call.advance(1000)
    assert len(call.said) == pytest.approx(8000, abs=480)
    assert set(call.said) == {0xFF}


def test_early_audio_is_kept_and_heard_after_start() -> None:
    call = Driver()
    call.provider_opened()
    call.vapi_opened()
    call.vapi_audio(400)
    assert call.heard == b""
    call.text("start")
    call.advance(100)
    assert call.heard == (FRAME * 21)[:3200]


def test_early_audio_is_bounded_and_the_rest_counted() -> None:
    call = Driver(early_media_ms=200)
    call.vapi_opened()
    call.vapi_audio(600)
    stats = call.session.summary(call.now_ns).downlink
    assert stats is not None
    assert stats.queued_ms <= 200
    assert stats.queued_ms + stats.dropped_overflow_ms == pytest.approx(600)


def test_media_goes_through_the_session_byte_for_byte() -> None:
    call = Driver().go_live()
    for _ in range(5):
        call.provider_message(FRAME, False)
        call.vapi_message(FRAME, False)
        call.advance(20)
    assert call.said == FRAME * 5
    assert call.heard == FRAME * 5


def test_media_that_only_the_dialect_can_read_reaches_vapi() -> None:
    for carries_media in (True, False):
        call = Driver(carries_media=carries_media).go_live()
        call.text("media " + "x" * 160)
        assert call.said == b"x" * 160


def test_without_media_the_next_tick_does_not_cover_the_paths() -> None:
    call = Driver(carries_media=False).go_live()
    assert call.session.uplink.next_due_ns is not None
    assert call.next_tick_ns is not None
    assert call.next_tick_ns - call.now_ns > 900 * MS


def test_with_media_the_next_tick_covers_the_paths() -> None:
    call = Driver().go_live()
    assert call.next_tick_ns == call.session.uplink.next_due_ns


def test_media_before_start_is_dropped_and_counted() -> None:
    call = Driver()
    call.provider_opened()
    for _ in range(40):
        call.provider_message(FRAME, False)
    call.text("media abc")
    assert call.ended is None
    assert call.session.summary(call.now_ns).counters == {"media_before_start": 41}


def test_a_second_start_changes_nothing() -> None:
    call = Driver().go_live()
    call.text("start")
    assert not call.events
    assert call.session.state is State.LIVE
    assert call.session.summary(call.now_ns).counters["second_start"] == 1


def test_another_format_than_expected_ends_the_call() -> None:
    dialect = FakeDialect()
    for announced in (LegFormat("opus", 48_000), LegFormat("mulaw", 16_000), LegFormat("mulaw", 5)):
        dialect.announced = announced
        call = Driver(dialect)
        call.provider_opened()
        call.text("start")
        assert call.ended is not None
        assert call.ended.reason == "unsupported_format"
        assert announced.codec in call.ended.detail
        assert CloseSocket(1003) in call.to_provider


def test_a_start_message_out_of_bounds_ends_the_call() -> None:
    class Unbounded(FakeDialect):
        def envelope_in(self) -> Envelope:
            raise ConfigError("too long")

    call = Driver(Unbounded())
    call.provider_opened()
    call.text("start")
    assert call.ended is not None
    assert call.ended.reason == "protocol_error"


def test_the_last_straw_that_is_also_fatal_ends_the_call_once() -> None:
    call = Driver().go_live()
    for _ in range(15):
        call.text("bad")
    call.text("fatal missing_field")
    assert call.ended is not None
    assert call.ended.detail == "missing_field"


def test_learning_of_vapis_call_moves_no_deadline() -> None:
    call = Driver(control=False)
    call.tick()
    assert call.session.set_vapi_call("vapi-1", "", {}).next_tick_ns == call.next_tick_ns is not None


def test_the_next_tick_is_never_in_the_past() -> None:
    call = Driver(lead_ms=100).go_live()
    call.vapi_audio(1000)
    call.now_ns += 500 * MS
    call.text("connected")
    assert call.next_tick_ns == call.now_ns


def test_a_dialect_that_no_kernel_reads_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="opus"):
        CallSession(
            FakeDialect(leg_format=LegFormat("opus", 48_000)), SessionConfig(vapi_format=MULAW), now_ns=0
        )


@pytest.mark.parametrize(
    ("inputs", "reason", "after_ms"),
    [([], "media_timeout", 15_000), (["provider_opened"], "start_timeout", 10_000)],
)
def test_what_does_not_come_in_time_ends_the_call(inputs: list[str], reason: str, after_ms: int) -> None:
    call = Driver()
    call.tick()
    for name in inputs:
        getattr(call, name)()
    call.advance(after_ms - 1)
    assert call.ended is None
    call.advance(1)
    assert call.ended is not None
    assert call.ended.reason == reason


def test_a_provider_that_says_nothing_for_the_idle_time_ends_the_call() -> None:
    call = Driver(carries_media=False).go_live()
    for _ in range(40):
        call.session.uplink.feed(FRAME, call.now_ns)
        call.advance(1000)
    assert call.ended is None
    call.advance(28_000)
    assert call.ended is None
    call.advance(4_000)
    assert call.ended is not None
    assert call.ended.reason == "idle_timeout"


def test_zero_switches_a_timeout_off() -> None:
    call = Driver(media_timeout_ms=0)
    call.tick()
    assert call.next_tick_ns is None
    call = Driver(idle_timeout_ms=0, carries_media=False).go_live()
    call.advance(100_000)
    assert call.ended is None


def test_unreadable_messages_in_a_row_end_the_call_with_1007() -> None:
    call = Driver().go_live()
    for _ in range(15):
        call.text("bad")
    call.text("connected")
    for _ in range(15):
        call.text("bad")
    assert call.ended is None
    call.text("bad")
    assert call.ended is not None
    assert call.ended.reason == "protocol_error"
    assert CloseSocket(1007) in call.to_provider
    assert call.ended.summary.counters["invalid_json"] == 31


def test_media_that_passed_the_session_by_breaks_a_row_of_unreadable_messages() -> None:
    call = Driver(carries_media=False).go_live()
    for _ in range(40):
        call.text("bad")
        call.session.uplink.feed(FRAME, call.now_ns)
    assert call.ended is None


def test_readable_messages_out_of_place_never_end_a_call() -> None:
    call = Driver().go_live()
    for _ in range(100):
        call.text("odd")
        call.text("news")
    assert call.ended is None
    assert call.session.summary(call.now_ns).counters == {"wrong_stream": 100, "unknown_message": 100}


def test_unreadable_messages_of_vapi_end_the_call_with_1007_on_its_leg() -> None:
    call = Driver().go_live()
    for _ in range(16):
        call.vapi_text(b"{")
    assert call.ended is not None
    assert call.to_vapi[-1] == CloseSocket(1007)
    assert call.to_provider[-1] == CloseSocket(1000)


def test_vapi_events_of_an_unexpected_shape_never_end_a_call() -> None:
    call = Driver().go_live()
    for _ in range(40):
        call.vapi_text(b'{"type":"speech-update","status":7}')
    assert call.ended is None
    assert not call.events
    assert call.session.summary(call.now_ns).counters == {"vapi_malformed": 40}


def test_vapi_events_reach_the_user_as_they_are() -> None:
    call = Driver().go_live()
    call.vapi_text(b'{"type":"status-update","status":"in-progress"}')
    call.vapi_text(b'{"type":"brand-new","x":1}')
    assert call.events == [
        StatusUpdate(status="in-progress"),
        UnknownEvent("brand-new", b'{"type":"brand-new","x":1}'),
    ]
    assert call.session.summary(call.now_ns).counters == {"vapi_unknown": 1}


def test_messages_for_the_assistant_wait_for_its_socket_in_order_and_in_bounds() -> None:
    call = Driver()
    for i in range(40):
        call.send_to_vapi(b"%d" % i)
    assert not call.to_vapi
    call.vapi_opened()
    assert call.without_audio(call.to_vapi) == [SendText(b"%d" % i) for i in range(32)]
    assert call.session.summary(call.now_ns).counters == {"vapi_text_dropped": 8}


def test_the_lead_is_the_smaller_of_setting_and_dialect() -> None:
    for lead_ms, expected in ((None, 60_000), (200, 200), (90_000, 60_000)):
        call = Driver(lead_ms=lead_ms).go_live()
        call.vapi_audio(70_000)
        assert call.session.downlink.sent_ms == pytest.approx(expected, abs=120)


def test_transcoding_sends_whole_frames_of_the_other_format() -> None:
    call = Driver(vapi_format=AudioFormat("pcm_s16le", 16_000)).go_live()
    for _ in range(10):
        call.provider_message(FRAME, False)
        call.advance(20)
    assert {len(command.data) for command in call.to_vapi if isinstance(command, SendBinary)} == {640}


def test_the_summary_counts_from_start_to_end() -> None:
    call = Driver().go_live()
    call.provider_message(FRAME, False)
    call.advance(2000)
    call.hang_up("done")
    call.now_ns += 5 * MS
    summary = call.session.summary(call.now_ns)
    assert call.ended is not None
    assert summary is call.ended.summary
    assert (summary.call_id, summary.vapi_call_id, summary.provider) == ("call-1", "vapi-1", "fake")
    assert summary.duration_ms == pytest.approx(2000, abs=1)
    assert summary.end_reason == "hang_up"
    assert summary.uplink is not None
    assert summary.uplink.messages_in == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"media_timeout_ms": -1},
        {"prebuffer_ms": 300},
        {"lead_ms": 0},
        {"max_bad_in_a_row": 0},
        {"mark_interval_ms": 0},
    ],
)
def test_a_setting_without_sense_names_itself(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        SessionConfig(vapi_format=MULAW, **wrong)
