"""Histogram: one duration counted, and one quantile read out."""

import pytest

from vapimedia.audio._kernels import Histogram


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
