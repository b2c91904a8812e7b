"""What a path's histograms count: messages that came from somewhere, and nothing of our own."""

from __future__ import annotations

from media_drivers import Line
from media_laws import MULAW, loud

from vapimedia.media import MediaPath


def test_inserted_silence_is_in_no_histogram() -> None:
    line = Line().open()
    line.talk(200)
    before = line.stats.queue
    line.wait(1000)
    assert line.stats.inserted_silence_ms >= 900
    assert before is not None and line.stats.queue == before and before.count == 10


def test_a_hop_counts_from_the_arrival_of_the_oldest_audio_in_a_message() -> None:
    path = MediaPath(MULAW, MULAW)
    path.feed(loud(MULAW, 15), 1_000_000)
    assert len(path.feed(loud(MULAW, 15), 16_000_000)) == 1
    queue = path.stats().queue
    assert queue is not None and (queue.count, queue.max_us) == (1, 15_000)
