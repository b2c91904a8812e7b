"""Clocks that differ by 200 ppm for an hour, 720 ms in all: the queue stays below 310 ms and is no longer in the second
half of the hour than in the first, no word is cut, and where silence is left out nothing clicks. Where audio comes
slower than it is played, what is missing is missing: a hole of the cushion's length every 200 s."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from media_drivers import START, Line
from media_laws import MS, MULAW, loud, silent
from media_sims import BYTES_PER_MS, WORDS, Downlink, Stall, speech, words_in

from vapimedia.audio import mulaw_decode, mulaw_encode
from vapimedia.media import PlayoutPolicy

HOUR = 3_600_000
ANY = PlayoutPolicy()
CLICK = 128
"""Twice the largest sample of what counts as silence (-48 dBFS): more than that is no joint of two silences."""


@pytest.mark.parametrize(
    "settings",
    [{"vapi_ppm": 200}, pytest.param({"phone_ppm": 200, "mark_ms": 500}, marks=pytest.mark.slow)],
    ids=str,
)
def test_what_comes_faster_than_it_is_played_does_not_add_up(settings: dict[str, Any]) -> None:
    audio = speech(HOUR)
    downlink = Downlink(audio, ANY, chunk_ms=100, **settings)
    half = len(downlink.queued_ms) // 2
    assert max(downlink.queued_ms) < 310
    assert max(downlink.queued_ms[half:]) <= max(downlink.queued_ms[:half]) + 1
    assert downlink.phone.delay_ms(downlink.ended_ms) < 310 + 40
    assert downlink.phone.n_gaps == 0
    assert words_in(b"".join(downlink.heard)) == words_in(audio)
    assert 400 <= downlink.stats.caught_up_ms <= 720


@pytest.mark.parametrize("settings", [{"vapi_ppm": -200}, {"phone_ppm": -200, "mark_ms": 500}], ids=str)
def test_what_comes_slower_than_it_is_played_costs_what_is_missing(settings: dict[str, Any]) -> None:
    audio = speech(HOUR)
    downlink = Downlink(audio, ANY, chunk_ms=100, **settings)
    assert max(downlink.queued_ms) <= 41
    assert downlink.phone.gap_ms < 720 + 1
    assert b"".join(downlink.heard) == audio


def test_where_nobody_ever_pauses_the_drift_stays_as_it_is_and_nothing_is_cut() -> None:
    audio = WORDS * (HOUR // 2000)
    downlink = Downlink(audio, ANY, vapi_ppm=200, chunk_ms=100)
    assert downlink.queued_ms[-1] == pytest.approx(40 + 720, abs=2)
    assert b"".join(downlink.heard) == audio


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_caller_s_clock_leaves_the_uplink_in_real_time(ppm: int) -> None:
    line = Line().open()
    line.wait(20)
    frames = [loud(MULAW, 20, seed=seed) for seed in range(50)] + [silent(MULAW, 20)] * 50
    ahead_ms = []
    for n in range(HOUR // 20):
        line.sleep(20 / (1 + ppm / 1e6))
        line.feed(frames[n % 100])
        if n % 500 == 499:
            line.out.clear()
            ahead_ms.append(line.stats.audio_out_ms - (line.now_ns - START) / MS)
    assert max(map(abs, ahead_ms)) < 80 + 0.2 * HOUR / 1000  # what the clock itself says
    stats = line.stats
    assert stats.dropped_flood_ms == 0
    assert stats.inserted_silence_ms + stats.repaid_silence_ms <= 40


def voice(ms: int) -> bytes:
    """Return sines that swell and fade, and between them the noise of a quiet room."""
    n = ms * BYTES_PER_MS
    time = np.arange(n) / 8000
    swell = np.clip(np.sin(2 * np.pi * time / 2), 0, 1)
    noise = np.random.default_rng(1).integers(-40, 41, n)
    return mulaw_encode((8000 * swell * np.sin(2 * np.pi * 200 * time) + noise).astype("<i2").tobytes())


def largest_step(mulaw: bytes) -> int:
    return int(np.abs(np.diff(np.frombuffer(mulaw_decode(mulaw), "<i2").astype(int))).max())


def test_where_silence_is_left_out_nothing_clicks() -> None:
    audio = voice(60_000)
    # What an hour does one by one, a stall does in a minute: silence is left out a hundred times.
    downlink = Downlink(audio, ANY, vapi_stall=Stall(10_000, 12_000))
    heard = b"".join(downlink.heard)
    n_left_out = len(audio) - len(heard)
    assert n_left_out == pytest.approx(1900 * BYTES_PER_MS, abs=400)
    step = largest_step(heard)
    assert step <= largest_step(audio)
    # And no joint stands out from the room's own noise: each place where the two differ is a quiet one.
    pcm, at_heard, at, n_joints = np.frombuffer(mulaw_decode(heard), "<i2").astype(int), 0, 0, 0
    while at_heard < len(heard):
        n = 160
        while audio[at : at + n] != heard[at_heard : at_heard + n]:  # a frame was left out here
            at += 160
            n_joints += at_heard > 0
            if at_heard > 0:
                assert abs(pcm[at_heard] - pcm[at_heard - 1]) <= CLICK
        at += n
        at_heard += n
    assert n_joints >= 90
