"""What a listenUrl's messages become, with time as an argument."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.audio import mulaw_decode
from vapimedia.errors import ConfigError
from vapimedia.io.listen_intake import Intake
from vapimedia.io.listen_items import (
    AudioChunk,
    ItemQueue,
    ListenEnded,
    ListenItem,
    ListenStarted,
    ListenStats,
    Reconnected,
)

RATE = 16000
FRAME = bytes(range(1, 65)) * 10  # 20 ms, mono


class Heard:
    """An intake, and what it put."""

    def __init__(self, channels: int = 1) -> None:
        self.items: list[ListenItem] = []
        self.stats = ListenStats()
        self.intake = Intake(RATE, channels, self.items.append, self.stats)
        self.intake.connected()

    @property
    def chunks(self) -> list[AudioChunk]:
        return [item for item in self.items if isinstance(item, AudioChunk)]

    def streams(self, n: int, from_s: float) -> None:
        """*n* chunks of 20 ms in real time."""
        for i in range(n):
            self.intake.audio(FRAME, from_s + i * 0.02)


@given(
    channels=st.integers(1, 2),
    encoding=st.sampled_from(["linear16", "mulaw"]),
    data=st.binary(max_size=300),
    cuts=st.lists(st.integers(0, 300), max_size=8),
)
def test_the_boundaries_of_messages_never_matter(
    channels: int, encoding: str, data: bytes, cuts: list[int]
) -> None:
    heard = Heard()
    heard.intake.text(json.dumps({"type": "start", "channels": channels, "encoding": encoding}))
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        heard.intake.audio(data[start:end], 0.0)
    heard.intake.disconnected()
    width = channels * (2 if encoding == "linear16" else 1)
    whole = data[: len(data) // width * width]
    assert b"".join(chunk.pcm for chunk in heard.chunks) == (
        whole if encoding == "linear16" else mulaw_decode(whole)
    )
    at_sample = 0
    for chunk in heard.chunks:
        assert (chunk.at_sample, chunk.channels) == (at_sample, channels)
        at_sample += chunk.n_samples
    assert heard.stats.split_bytes == len(data) % width


def test_audio_without_a_format_has_that_of_the_settings_and_a_told_one_wins() -> None:
    heard = Heard(channels=2)
    heard.intake.audio(FRAME, 0.0)
    heard.intake.text('{"type":"start","sampleRate":8000,"channels":1}')
    heard.intake.audio(FRAME, 0.04)
    heard.intake.text('{"type":"start","sampleRate":8000,"channels":1}')
    assert [item for item in heard.items if not isinstance(item, AudioChunk)] == [
        ListenStarted(16000, 2, told=False),
        ListenStarted(8000, 1, told=True),
    ]
    first, second = heard.chunks
    assert (first.at_sample, first.n_samples, first.duration_ms) == (0, 160, 10)
    assert (second.at_sample, second.at_ms) == (80, 10)  # the same place, in the new rate's samples
    np.testing.assert_array_equal(first.samples(), np.frombuffer(FRAME, "<i2").reshape(-1, 2))


def test_half_a_sample_of_one_format_is_no_part_of_the_next() -> None:
    heard = Heard()
    heard.intake.audio(FRAME + b"\1", 0.0)
    heard.intake.text('{"type":"start","sampleRate":16000,"channels":2}')
    heard.intake.audio(FRAME, 0.02)
    assert heard.chunks[-1].pcm == FRAME
    assert heard.stats.split_bytes == 1


@pytest.mark.parametrize("ppm", [-200, 200])
def test_in_an_hour_of_another_clock_a_stuck_network_is_no_gap_and_a_pause_is_its_own_length(
    ppm: int,
) -> None:
    heard = Heard()
    late_s = [0.0, 0.09, 0.03, 0.0, 0.11, 0.02, 0.25]
    second_s = 1 + ppm / 1e6
    for i in range(3600 * 5):
        heard.intake.audio(FRAME * 10, i * 0.2 * second_s + late_s[i % 7])
    for _ in range(4):  # 0.8 s that come at once
        heard.intake.audio(FRAME * 10, 3600.6 * second_s)
    heard.intake.settle()
    assert heard.stats.gap_ms == 0
    assert heard.chunks[-1].at_sample == (3600 * 5 + 3) * 3200
    heard.intake.audio(FRAME * 10, 3603.6 * second_s)
    heard.intake.settle()
    assert heard.stats.gap_ms == pytest.approx(2800, abs=50)


def test_after_a_lost_connection_audio_stands_where_the_clock_says() -> None:
    heard = Heard()
    heard.streams(10, from_s=100.0)
    heard.intake.disconnected()
    heard.intake.connected()
    assert heard.intake.audio(FRAME, 101.5)  # to be settled
    heard.intake.audio(FRAME, 101.52)
    assert len(heard.chunks) == 10
    heard.intake.settle()
    (back,) = [item for item in heard.items if isinstance(item, Reconnected)]
    assert back.gap_ms == pytest.approx(1300, abs=1)
    assert heard.chunks[10].at_ms == pytest.approx(1500, abs=1)
    assert heard.chunks[11].at_ms == heard.chunks[10].at_ms + 20
    assert heard.items.index(back) == heard.items.index(heard.chunks[10]) - 1
    assert heard.stats.gap_ms == back.gap_ms


def test_a_pause_is_a_gap_and_a_stuck_network_is_none() -> None:
    heard = Heard()
    heard.streams(10, from_s=0.0)
    assert heard.intake.audio(FRAME, 3.0)  # nothing was sent for 2.8 s
    heard.intake.settle()
    assert heard.chunks[-1].at_ms == pytest.approx(3000, abs=1)
    heard.streams(10, from_s=3.02)
    before = heard.chunks[-1]
    burst = [heard.intake.audio(FRAME, 5.5) for _ in range(100)]  # two seconds that come at once
    assert burst == [True] + [False] * 99
    heard.intake.settle()
    assert heard.chunks[-100].at_sample == before.at_sample + before.n_samples
    assert heard.stats.gap_ms == pytest.approx(2800, abs=1)


def test_the_pace_tells_a_wrong_number_of_channels() -> None:
    heard = Heard(channels=1)
    for i in range(200):
        heard.intake.audio(FRAME * 2, i * 0.02)  # two channels, really
    assert heard.intake.pace == pytest.approx(2, rel=0.02)


def test_what_no_message_should_hold_is_counted() -> None:
    heard = Heard()
    heard.intake.text("listening")
    heard.intake.text('{"type":"status-update","status":"ended"}')
    assert (heard.stats.events, heard.stats.malformed, heard.intake.told_ended) == (2, 1, True)
    with pytest.raises(ConfigError):
        Heard(channels=3)


def test_a_slow_consumer_loses_the_oldest_and_never_the_end() -> None:
    stats = ListenStats()
    queue = ItemQueue(1.0, stats)
    queue.put(ListenStarted(RATE, 1, told=True))
    for i in range(100):
        queue.put(AudioChunk(FRAME, RATE, 1, i * 320))
    queue.put(ListenEnded("ended"))
    left = [queue.take() for _ in range(len(queue))]
    assert len(left) == 51
    assert isinstance(left[0], AudioChunk)
    assert left[0].at_sample == 50 * 320
    assert left[-1] == ListenEnded("ended")
    assert (round(stats.dropped_ms), stats.dropped_events) == (1000, 1)
