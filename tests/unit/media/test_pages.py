"""Queues take their memory from one pool, and give it back: a burst costs nothing once it is over."""

from __future__ import annotations

from threading import Thread

import pytest
from media_drivers import START
from media_laws import MS, MULAW, PCM_16K, loud

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import LivePath, PlayoutPath, PlayoutPolicy
from vapimedia.media._probe import spare_pages

PAGE = 2040
MOST = 512
PACED = PlayoutPolicy(lead_ms=0, prebuffer_ms=0)


def full(audio: bytes) -> PlayoutPath:
    """Return a path that holds all of *audio*: its provider is not there yet."""
    path = PlayoutPath(MULAW, MULAW, policy=PlayoutPolicy(early_ms=120_000))
    path.feed(audio, START)
    return path


def test_a_burst_gives_its_pages_back_for_the_next_of_any_call() -> None:
    audio = loud(MULAW, 60_000)
    n_pages = -(-len(audio) // PAGE)
    full(audio).clear()
    n_spare = spare_pages(full(b""))
    assert n_spare >= n_pages
    first = full(audio)
    assert spare_pages(first) == n_spare - n_pages
    first.clear()
    second = full(audio)
    assert spare_pages(second) == n_spare - n_pages
    assert b"".join(second.flush(START)) == audio
    assert spare_pages(second) == n_spare


def test_a_path_that_goes_gives_its_pages_back() -> None:
    full(loud(MULAW, 10_000)).clear()
    n_spare = spare_pages(full(b""))
    path = full(loud(MULAW, 10_000))
    assert spare_pages(path) < n_spare
    del path
    assert spare_pages(full(b"")) == n_spare


def test_an_empty_queue_holds_no_page() -> None:
    path = full(b"")
    path.open(START)
    path.feed(loud(MULAW, 140), START)
    n_spare = spare_pages(path)
    assert n_spare > 0
    for n in range(100):
        path.feed(loud(MULAW, 20), START + n * 20 * MS)
        assert spare_pages(path) == n_spare


def test_no_more_than_a_mebibyte_is_kept() -> None:
    paths = [full(loud(MULAW, 120_000)) for _ in range(2)]
    for path in paths:
        path.clear()
    assert spare_pages(paths[0]) == MOST


def test_threads_share_the_pool() -> None:
    """Each with a path of its own, as a path belongs to one thread at a time."""
    audio, wrong = loud(MULAW, 3000), []

    def burst(seed: int) -> None:
        for i in range(30):
            path = full(audio[seed * 8 :])
            if i % 2:
                path.clear()
            elif b"".join(path.flush(START)) != audio[seed * 8 :]:
                wrong.append(seed)

    threads = [Thread(target=burst, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert spare_pages(full(b"")) <= MOST


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (MULAW, AudioFormat("pcm_s16le", 48_000)),
        (AudioFormat("mulaw", 1000), AudioFormat("pcm_s16le", 192_000)),
        (AudioFormat("pcm_s16le", 192_000), AudioFormat("alaw", 1000)),
        (PCM_16K, MULAW),
    ],
    ids=str,
)
def test_whatever_the_rates_a_message_of_any_size_is_converted_whole(
    source: AudioFormat, target: AudioFormat
) -> None:
    audio = loud(source, 500)
    converter = Converter(source, target)
    for path in (LivePath(source, target), PlayoutPath(source, target, policy=PACED)):
        path.open(START)
        converted = b"".join(path.feed(audio, START) + path.flush(START))
        converter.reset()
        expected = converter.push(audio) + converter.flush()
        assert converted.startswith(expected)
        assert len(converted) - len(expected) < target.frame_bytes()
