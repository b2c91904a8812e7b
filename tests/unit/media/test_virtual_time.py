"""Calls of a minute on a fabricated clock: late wake-ups and stalls."""

from __future__ import annotations

import random

import pytest
from media_drivers import START, Line
from media_laws import MS, MULAW, missing_from_ledger_ms
from media_sims import BYTES_PER_MS, Downlink, Phone, Stall, late_ms, speech, words_in

from vapimedia.media import PlayoutPath, PlayoutPolicy

SEEDS = range(30)
MINUTE = 60_000
ANY, EXACT = PlayoutPolicy(), PlayoutPolicy(exact_frames=True, lead_ms=19_800)
POLICIES = pytest.mark.parametrize("policy", [ANY, EXACT], ids=["any size", "exact"])

# --- wake-ups: 0.5 ms late on average, one in 250 by 60 ms ---------------------------------------


def rebasing_pacer(audio: bytes, dice: random.Random) -> Phone:
    """Send a frame and sleep for 20 ms, as many bridges do: what a wake-up is late by is lost for good."""
    phone, now_ms = Phone(), 0.0
    for _ in range(0, len(audio), 160):
        phone.take(160, now_ms)
        now_ms += 20 + late_ms(dice)
    return phone


def ledger(audio: bytes, dice: random.Random, *, tick_ms: float) -> Phone:
    """Send what is due whenever a timer of *tick_ms* wakes up (0: one that is set for the moment)."""
    path, phone, now_ms = PlayoutPath(MULAW, MULAW, policy=PlayoutPolicy(lead_ms=100)), Phone(), 0.0
    messages = path.open(START) + path.feed(audio, START)
    while True:
        for message in messages:
            phone.take(len(message), now_ms)
        due_ns = path.next_due_ns
        if due_ns is None:
            return phone
        due_ms = (due_ns - START) / MS
        if tick_ms:
            due_ms = -(-due_ms // tick_ms) * tick_ms
        now_ms = max(due_ms, now_ms) + late_ms(dice)
        messages = path.due(START + round(now_ms * MS))


@pytest.mark.parametrize("tick_ms", [0, 10])
def test_late_wake_ups_leave_no_gap_with_100_ms_ahead(tick_ms: float) -> None:
    audio = speech(MINUTE)
    phones = [ledger(audio, random.Random(seed), tick_ms=tick_ms) for seed in SEEDS]
    assert [phone.n_gaps for phone in phones] == [0] * len(SEEDS)
    assert {phone.n_bytes for phone in phones} == {len(audio)}


def test_a_pacer_that_starts_anew_from_each_wake_up_leaves_dozens() -> None:
    audio = speech(MINUTE)
    phones = [rebasing_pacer(audio, random.Random(seed)) for seed in SEEDS]
    assert min(phone.n_gaps for phone in phones) >= 24
    assert sum(phone.gap_ms for phone in phones) / len(phones) > 1000  # in a minute


def test_late_reads_leave_no_gap_with_a_cushion_of_100_ms() -> None:
    """Where Vapi sends no faster than it speaks there is nothing to send ahead, but a cushion."""
    audio = speech(MINUTE)
    for seed in SEEDS:
        downlink = Downlink(audio, PlayoutPolicy(prebuffer_ms=100), seed=seed)
        assert downlink.phone.n_gaps == 0
        assert b"".join(downlink.heard) == audio


# --- stalls of 2 s -------------------------------------------------------------------------------

STALL = Stall(10_005, 12_005)


@POLICIES
@pytest.mark.parametrize("cause", ["vapi_stall", "sleep"])
def test_audio_that_comes_late_in_a_burst_leaves_no_delay_and_costs_no_word(
    policy: PlayoutPolicy, cause: str
) -> None:
    audio = speech(MINUTE)
    downlink = Downlink(audio, policy, **{cause: STALL})
    assert downlink.queued_ms[13_000 // 40] > 1500
    # Five seconds to be sure, then as many pauses as it takes.
    assert all(queued_ms <= 100 for queued_ms in downlink.queued_ms[30_000 // 40 :])
    assert words_in(b"".join(downlink.heard)) == words_in(audio)
    stats = downlink.stats
    assert stats.caught_up_ms == pytest.approx(1900, abs=40)
    assert stats.dropped_late_ms == stats.dropped_overflow_ms == 0
    assert missing_from_ledger_ms(stats) == pytest.approx(0, abs=1e-6)


@POLICIES
def test_a_provider_that_does_not_read_costs_what_is_late_and_leaves_no_delay(policy: PlayoutPolicy) -> None:
    audio = speech(MINUTE)
    downlink = Downlink(audio, policy, phone_stall=STALL)
    stats = downlink.stats
    assert 2000 - 300 <= stats.dropped_late_ms <= 2000 - 200
    assert downlink.queued_ms[13_000 // 40] <= 200 + 60 + 1
    assert all(queued_ms <= 100 for queued_ms in downlink.queued_ms[15_000 // 40 :])  # after the next pause
    # But for what was late, every word is there: some 5 ms of noise in 8 is.
    n_lost = len(words_in(audio)) - len(words_in(b"".join(downlink.heard)))
    assert 0 < n_lost <= stats.dropped_late_ms * BYTES_PER_MS
    assert missing_from_ledger_ms(stats) == pytest.approx(0, abs=1e-6)


def test_a_stall_while_there_is_enough_ahead_costs_nothing() -> None:
    audio = speech(MINUTE)
    path = PlayoutPath(MULAW, MULAW, policy=PlayoutPolicy(lead_ms=3000))
    heard = path.open(START) + path.feed(audio, START)
    for at_ms in range(0, 2 * MINUTE, 10):
        path.set_stalled(STALL.from_ms <= at_ms < STALL.to_ms)
        heard += path.due(START + at_ms * MS)
    assert b"".join(heard) == audio
    assert path.stats().caught_up_ms == 0


def test_a_caller_s_audio_that_comes_late_in_a_burst_leaves_no_delay_and_costs_no_word() -> None:
    line, audio = Line().open(), speech(MINUTE)
    ahead_ms = []
    for at_ms in range(0, MINUTE, 20):
        line.wait((START - line.now_ns) / MS + STALL.delayed(at_ms))
        line.feed(audio[at_ms * BYTES_PER_MS :][:160])
        ahead_ms.append(line.stats.audio_out_ms - (line.now_ns - START) / MS)
    assert max(ahead_ms) >= 1200  # Vapi has had 2 s of silence, and now the words that were meant to be there
    assert all(ms <= 60 for ms in ahead_ms[20_000 // 20 :])
    assert words_in(line.take()) == words_in(audio)
    assert line.stats.repaid_silence_ms >= 1900


def test_vapi_not_reading_costs_the_caller_s_words_but_the_last_200_ms() -> None:
    line, audio = Line().open(), speech(MINUTE)
    for at_ms in range(0, MINUTE, 20):
        line.wait(20)
        line.path.set_stalled(STALL.from_ms <= at_ms < STALL.to_ms)
        line.feed(audio[at_ms * BYTES_PER_MS :][:160])
        if at_ms > STALL.to_ms:
            assert -60 <= line.stats.audio_out_ms + line.stats.dropped_closed_ms - at_ms - 20 <= 60
    assert line.stats.dropped_closed_ms == pytest.approx(2000 - 200, abs=20)
    assert line.stats.repaid_silence_ms <= 40


@pytest.mark.parametrize("burst_ms", [2_000, 10_000])
def test_speech_that_is_sent_ahead_is_left_as_it_is(burst_ms: int) -> None:
    """A queue of minutes, for minutes: no delay, as nothing that is said now waits for it."""
    audio = speech(MINUTE)
    path = PlayoutPath(MULAW, MULAW)
    heard = path.open(START)
    n_burst, now_ms = burst_ms * BYTES_PER_MS, 0.0
    for at in range(0, len(audio), n_burst):
        heard += path.feed(audio[at : at + n_burst], START + round(now_ms * MS))
        now_ms += burst_ms * 0.9
    assert b"".join(heard) == audio
