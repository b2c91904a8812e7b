"""The log-bucket histogram: what is exact is exact, and quantiles are within 1/16, or half a microsecond."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.audio._kernels import Histogram

TOP = 1 << 36  # the last bucket's end
LOW = 512  # the middle of the first, which ends at 1024
EDGES = [0, 1, 511, 512, 513, TOP - 1] + [(1 << e) + d for e in range(10, 36) for d in (-1, 0, 1)]
durations = st.integers(0, TOP - 1) | st.integers(0, 36).map(lambda e: (1 << e) - 1) | st.integers(0, 1000)


def histogram_of(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@settings(max_examples=50)
@given(st.lists(st.integers(0, (1 << 50) - 1), min_size=1))
def test_count_sum_and_maximum_are_exact(values):
    histogram = histogram_of(values)
    assert (histogram.count, histogram.sum, histogram.max) == (len(values), sum(values), max(values))


@settings(max_examples=100)
@given(st.lists(durations, min_size=1, max_size=60), st.floats(0, 1))
def test_a_quantile_is_within_a_sixteenth_of_the_value(values, q):
    rank = max(1, math.ceil(q * len(values)))
    exact = sorted(values)[rank - 1]
    assert abs(histogram_of(values).quantile(q) - exact) <= max(exact / 16, LOW)


@pytest.mark.parametrize("value", EDGES)
def test_a_quantile_is_within_a_sixteenth_at_a_buckets_edges(value):
    # The greater one keeps the maximum from standing in for the bucket's middle.
    assert abs(histogram_of([value, TOP - 1]).quantile(0.5) - value) <= max(value / 16, LOW)


def test_less_than_a_microsecond_is_told_as_half_of_one_or_as_the_maximum():
    for value in (0, 1, 600, 1023):
        assert histogram_of([value, TOP]).quantile(0.5) == LOW
        assert histogram_of([value]).quantile(0.5) == min(value, LOW)


@pytest.mark.slow
def test_a_bucket_counts_further_than_sixteen_bits():
    histogram = histogram_of([100_000] * ((1 << 16) + 5) + [200_000] * ((1 << 16) + 4))
    assert abs(histogram.quantile(0.5) - 100_000) <= 100_000 / 16
    assert abs(histogram.quantile(0.50001) - 200_000) <= 200_000 / 16


@settings(max_examples=50)
@given(st.lists(durations, min_size=1, max_size=60), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_grow_with_the_share_up_to_the_maximum(values, p, q):
    histogram = histogram_of(values)
    assert histogram.quantile(min(p, q)) <= histogram.quantile(max(p, q)) <= max(values)


def test_values_beyond_the_last_bucket_land_in_it():
    histogram = histogram_of([TOP, 1 << 60])
    assert (histogram.count, histogram.sum, histogram.max) == (2, TOP + (1 << 60), 1 << 60)
    assert TOP * 15 // 16 <= histogram.quantile(0.5) == histogram.quantile(1) < TOP


def test_an_empty_histogram_is_all_zero():
    histogram = histogram_of([5, 70])
    histogram.reset()
    for empty in (histogram, Histogram()):
        assert (empty.count, empty.sum, empty.max, empty.quantile(0.5)) == (0, 0, 0, 0)
