"""Histogram: one duration counted, one quantile read out, and all that is recorded of a frame."""

import pytest

from vapimedia.audio._kernels import Histogram
from vapimedia.formats import AudioFormat
from vapimedia.media import MediaPath
from vapimedia.media._probe import read_clock, record_frames


@pytest.mark.benchmark(group="histogram add")
def test_add(benchmark):
    histogram = Histogram()
    benchmark(histogram.add, 12_345)
    assert histogram.count > 0
    assert histogram.sum == 12_345 * histogram.count


@pytest.mark.benchmark(group="histogram quantile")
def test_quantile(benchmark):
    histogram = Histogram()
    for value in range(1000, 101_000, 1000):
        histogram.add(value)
    assert abs(benchmark(histogram.quantile, 0.99) - 99_000) <= 99_000 / 16


@pytest.mark.benchmark(group="records of 1000 frames: us are ns a frame")
@pytest.mark.parametrize("target", ["mulaw/8000", "pcm_s16le/16000"])
def test_records_of_a_frame(benchmark, target):
    fmt = AudioFormat.parse(target)
    path = MediaPath(fmt, fmt)
    benchmark(record_frames, path, fmt.silence * (fmt.sample_rate // 50), 1000)
    stats = path.stats()
    assert stats.send.count == stats.queue.count == 4 * stats.convert.count > 0


@pytest.mark.benchmark(group="records of 1000 frames: us are ns a frame")
def test_one_reading_of_the_clock(benchmark):
    """What the records cannot cost less than: 1.25 of these a frame."""
    assert benchmark(read_clock, 1000) > 0
