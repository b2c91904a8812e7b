"""Caller to Vapi: continuous, in real time, never far ahead of it, and nothing lost that is not counted."""

from __future__ import annotations

import pytest
from media_drivers import START, Line
from media_laws import ALAW, MS, MULAW, PCM_16K, TEXT_IN, loud, missing_ms, silent, twilio

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import LivePath, LivePolicy


def test_nothing_leaves_before_open() -> None:
    line = Line()
    line.talk(100)
    assert line.out == []
    assert line.path.next_due_ns is None
    assert line.stats.queued_ms == 100


def test_open_sends_what_was_held() -> None:
    line = Line()
    audio = line.talk(500)
    line.open()
    assert line.take() == audio


def test_the_oldest_is_dropped_when_too_much_is_held() -> None:
    line = Line(policy=LivePolicy(max_backlog_ms=200))
    audio = line.talk(500)
    line.open()
    assert line.take() == audio[-1600:]
    assert line.stats.dropped_closed_ms == 300


def test_one_message_larger_than_what_is_held_leaves_its_end() -> None:
    line = Line(policy=LivePolicy(max_backlog_ms=100))
    audio = loud(MULAW, 7500)
    line.feed(audio)
    line.open()
    assert line.take() == audio[-800:]


def test_a_held_backlog_uses_up_no_room_of_later_bursts() -> None:
    line = Line()
    audio = line.talk(2000)
    line.open()
    audio += loud(MULAW, 1500)
    line.feed(audio[16_000:])
    assert line.take() == audio
    assert line.stats.dropped_flood_ms == 0


def test_silence_starts_at_open() -> None:
    line = Line().open()
    line.wait(1000)
    assert line.take() == silent(MULAW, 1000)
    assert line.stats.inserted_silence_ms == 1000


def test_open_twice_is_open_once() -> None:
    line = Line().open()
    line.wait(100)
    line.open()
    line.wait(100)
    assert len(line.take()) == 1600


def test_the_stream_is_continuous_while_media_flows() -> None:
    line = Line().open()
    audio = line.talk(400)
    assert line.take().removeprefix(silent(MULAW, 20)) == audio
    assert line.stats.inserted_silence_ms <= 20


def test_a_pause_is_filled_after_60_ms() -> None:
    line = Line()
    line.talk(20)
    line.open().talk(200)
    line.take()
    line.wait(59)
    assert line.take() == b""
    line.wait(1)
    filled = line.take()
    assert filled == silent(MULAW, 60)
    line.wait(1000)
    assert len(line.take()) == 8000


@pytest.mark.parametrize("chunk_ms", [20, 60, 100, 200])
def test_a_pause_is_twice_the_largest_chunk(chunk_ms: int) -> None:
    line = Line().open()
    line.talk(1000, chunk_ms=chunk_ms)
    line.take()
    gap_ms = max(60, 2 * chunk_ms)
    line.wait(gap_ms - 1)
    assert line.take() == b""
    line.wait(1)
    assert line.take()


def test_one_huge_message_does_not_stop_gaps_being_filled() -> None:
    line = Line().open()
    line.talk(200)
    line.feed(loud(MULAW, 1500))
    line.take()
    line.wait(3000)
    assert line.stats.inserted_silence_ms > 1000


@pytest.mark.parametrize("odd_ms", [100, 500])
def test_one_odd_chunk_is_forgotten_in_ten_seconds(odd_ms: int) -> None:
    line = Line().open()
    line.talk(200)
    line.feed(loud(MULAW, odd_ms))
    for _ in range(500):
        line.wait(20)
        line.feed(silent(MULAW, 20))
    line.wait(line.path.stats(line.now_ns).audio_out_ms - (line.now_ns - START) / MS)
    line.take()
    line.wait(61)
    assert line.take() == silent(MULAW, 60)


def test_a_chunk_that_comes_now_and_then_is_remembered() -> None:
    line = Line().open()
    for n in range(300):
        chunk_ms = 100 if n % 10 == 9 else 20
        line.wait(chunk_ms)
        line.feed(loud(MULAW, chunk_ms))
        if n == 9:
            learnt_ms = line.stats.inserted_silence_ms
    assert line.stats.inserted_silence_ms == learnt_ms


def test_an_empty_message_is_no_media() -> None:
    line = Line().open()
    for _ in range(50):
        line.wait(20)
        line.feed(b"")
    assert line.take() == silent(MULAW, 1000)


def test_chunks_in_base64_count_as_one_message() -> None:
    path = LivePath(MULAW, MULAW, unwrap=TEXT_IN)
    path.open(START)
    path.feed(twilio(loud(MULAW, 200)), START)
    assert path.next_due_ns == START + 400 * MS


def test_audio_that_waits_for_its_frame_goes_out_before_the_silence() -> None:
    line = Line().open()
    audio = line.talk(100, chunk_ms=10) + loud(MULAW, 10, seed=1)
    line.wait(10)
    line.feed(audio[-80:])
    line.take()
    line.wait(100)
    assert line.take().startswith(audio[-80:] + silent(MULAW, 10))
    assert missing_ms(line.stats) == 0


def test_a_burst_after_a_pause_is_kept_whole() -> None:
    line = Line().open()
    line.talk(200)
    line.wait(1000)
    line.take()
    audio = loud(MULAW, 1000, seed=1)
    line.feed(audio)
    assert line.take() == audio


def test_silent_frames_repay_inserted_silence_and_only_they() -> None:
    line = Line().open()
    line.talk(200)
    line.wait(1000)
    inserted_ms = line.stats.inserted_silence_ms
    line.feed(loud(MULAW, 1000))
    assert line.stats.repaid_silence_ms == 0
    line.take()
    for _ in range(100):
        line.wait(20)
        line.feed(silent(MULAW, 20))
    # All that is ahead but two frames of slack.
    assert 900 <= line.stats.repaid_silence_ms <= inserted_ms
    line.take()
    speech = line.talk(500, seed=2)
    assert line.take() == speech


def test_silence_is_not_left_out_while_nothing_is_ahead() -> None:
    line = Line().open()
    line.wait(1000)
    for _ in range(100):
        line.wait(20)
        line.feed(silent(MULAW, 20))
    assert line.stats.repaid_silence_ms == 0


def test_silence_is_not_left_out_without_a_debt() -> None:
    line = Line()
    line.feed(loud(MULAW, 20))
    line.open()
    line.feed(silent(MULAW, 1000))
    assert line.stats.repaid_silence_ms == 0
    assert len(line.take()) == 8160


@pytest.mark.parametrize(
    ("target", "quiet", "heard"), [(MULAW, 0xFF ^ 8, 0xFF ^ 9), (ALAW, 0x55 ^ 4, 0x55 ^ 5)], ids=str
)
def test_what_counts_as_silence(target: AudioFormat, quiet: int, heard: int) -> None:
    for code, is_repaid in ((quiet, True), (quiet ^ 0x80, True), (heard, False), (heard ^ 0x80, False)):
        line = Line(source=target, target=target).open()
        line.wait(1000)
        line.feed(bytes([code]) * 8000)
        assert (line.stats.repaid_silence_ms > 0) is is_repaid


@pytest.mark.parametrize(("sample", "is_repaid"), [(64, True), (-64, True), (65, False), (-65, False)])
def test_what_counts_as_silence_in_pcm(sample: int, is_repaid: bool) -> None:
    line = Line(source=PCM_16K, target=PCM_16K).open()
    line.wait(1000)
    line.feed(sample.to_bytes(2, "little", signed=True) * 16_000)
    assert (line.stats.repaid_silence_ms > 0) is is_repaid


def test_a_flood_is_cut_at_two_seconds_ahead() -> None:
    line = Line().open()
    audio = loud(MULAW, 7500)
    line.feed(audio)
    assert line.take() == audio[:16_000]
    assert line.stats.dropped_flood_ms == 5500


def test_a_lasting_flood_leaves_real_time() -> None:
    line = Line().open()
    for _ in range(500):
        line.wait(20)
        line.feed(loud(MULAW, 40))
    assert len(line.take()) / 8 == pytest.approx(10_000 + 2000, abs=100)
    assert missing_ms(line.stats) == 0


def test_stalls_of_ours_use_up_no_room_of_later_bursts() -> None:
    line = Line().open()
    line.talk(100)
    n_in = 0
    line.take()
    for turn in range(30):
        line.sleep(1000)
        for _ in range(50):
            line.feed(loud(MULAW, 20, seed=turn))
        n_in += 8000
        line.talk(200)
        n_in += 1600
    assert len(line.take()) == n_in
    assert line.stats.dropped_flood_ms == 0


def test_a_fast_clock_is_never_a_flood() -> None:
    line = Line().open()
    for _ in range(50_000):  # 1000 s; 2.5 s more than real time
        line.sleep(19.95)
        line.feed(loud(MULAW, 20))
    assert line.stats.dropped_flood_ms == 0


def test_a_slow_clock_saves_up_no_credit() -> None:
    line = Line().open()
    line.talk(100)
    for _ in range(50_000):  # 1000 s; 2.5 s less than real time
        line.sleep(20.05)
        line.feed(loud(MULAW, 20))
    line.take()
    line.feed(loud(MULAW, 7500))
    assert len(line.take()) / 8 <= 2000 + 60 + 20
    assert line.stats.inserted_silence_ms <= 20


def test_a_long_sleep_is_not_made_up_for_whole() -> None:
    line = Line().open()
    line.sleep(3_600_000)
    line.out += line.path.due(line.now_ns)
    assert len(line.take()) / 8 == 2000
    line.wait(100)
    assert len(line.take()) / 8 == 100


def test_a_late_tick_sends_all_that_was_due() -> None:
    line = Line().open()
    line.sleep(330)
    line.out += line.path.due(line.now_ns)
    assert len(line.take()) / 8 == 320
    line.wait(10)
    assert len(line.take()) / 8 == 20


def test_a_stalled_path_keeps_the_newest_200_ms() -> None:
    line = Line().open()
    line.talk(100)
    line.take()
    line.path.set_stalled(True)
    audio = line.talk(1000)
    assert line.take() == b""
    assert line.stats.queued_ms == 200
    line.path.set_stalled(False)
    audio += line.talk(100, seed=1)
    assert line.take() == audio[-2400:]
    assert line.stats.dropped_closed_ms == 800
    assert line.stats.inserted_silence_ms <= 20


def test_what_waited_for_a_stall_goes_on_when_it_ends_however_far_ahead_the_stream_is() -> None:
    line = Line().open()
    burst, rest = loud(MULAW, 1000), loud(MULAW, 100, seed=1)
    line.feed(burst)
    line.path.set_stalled(True)
    line.feed(rest)
    line.wait(20)
    assert line.take() == burst
    line.path.set_stalled(False)
    line.wait(0)
    assert line.take() == rest


def test_a_burst_that_meets_a_short_stall_is_kept_and_one_that_meets_a_long_stall_is_not() -> None:
    """The kernel takes a burst in portions: that is no far side that does not read."""
    for stall_ms, kept_ms in ((170, 1000), (190, 60)):
        line = Line().open()
        line.path.set_stalled(True)
        audio = loud(MULAW, 1000)
        for at in range(0, len(audio), 160):
            line.feed(audio[at : at + 160])
        line.wait(stall_ms)
        line.path.set_stalled(False)
        line.wait(0)
        assert line.take().replace(MULAW.silence, b"") == audio[-kept_ms * 8 :]
        assert line.stats.dropped_closed_ms == 1000 - kept_ms


def test_a_flood_that_meets_a_stall_leaves_no_more_than_two_seconds() -> None:
    """It is not old yet: but it must not fill memory, nor hold the loop up when it is."""
    line = Line().open()
    line.path.set_stalled(True)
    audio = loud(MULAW, 10_000)
    for at in range(0, len(audio), 8000):
        line.feed(audio[at : at + 8000])
        assert line.stats.queued_ms <= 2000
    line.path.set_stalled(False)
    line.wait(0)
    assert line.take() == audio[-16_000:]
    assert line.stats.dropped_closed_ms == 8000


def test_silence_is_not_saved_up_during_a_stall() -> None:
    line = Line().open()
    line.wait(100)
    line.path.set_stalled(True)
    line.wait(5000)
    line.path.set_stalled(False)
    line.take()
    line.wait(20)
    assert len(line.take()) <= 160


def test_a_closed_path_wants_no_tick() -> None:
    line = Line().open()
    line.path.close()
    assert line.path.next_due_ns is None
    assert line.path.due(line.now_ns + 1000 * MS) == []


def test_flush_sends_the_rest_padded() -> None:
    line = Line(target=PCM_16K).open()
    audio = line.talk(50, chunk_ms=10)
    sent = line.take() + b"".join(line.path.flush(line.now_ns))
    converter = Converter(MULAW, PCM_16K)
    assert converter.push(audio) + converter.flush() in sent
    assert len(sent) % 640 == 0


def test_an_unpaced_path_sends_what_comes_and_nothing_else() -> None:
    line = Line(policy=LivePolicy(paced=False)).open()
    assert line.path.next_due_ns is None
    line.sleep(1000)
    assert line.path.due(line.now_ns) == []
    audio = loud(MULAW, 60_000)
    line.feed(audio)
    line.feed(silent(MULAW, 1000))
    assert line.take() == audio + silent(MULAW, 1000)
