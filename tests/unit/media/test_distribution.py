"""Histograms read out: parts added up are the whole, whoever counted and however they were split."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.audio._kernels import Histogram
from vapimedia.formats import AudioFormat
from vapimedia.media import Distribution, PlayoutPath
from vapimedia.media.distribution import counts_up_to, hop_of, merge, quantile
from vapimedia.media.tally import BUCKET_MIDDLES, Tally

durations = st.lists(st.integers(0, (1 << 36) - 1) | st.integers(0, 5000), max_size=40)


def read(values: list[int]) -> Distribution:
    tally = Tally()
    for value in values:
        tally.add(value)
    return tally.read()


@settings(max_examples=50)
@given(st.lists(durations, max_size=5))
def test_parts_merged_are_the_whole(parts: list[list[int]]) -> None:
    assert merge(read(part) for part in parts) == read([value for part in parts for value in part])


@settings(max_examples=50)
@given(durations, durations, durations)
def test_merging_is_associative_and_in_any_order(a: list[int], b: list[int], c: list[int]) -> None:
    x, y, z = read(a), read(b), read(c)
    assert merge([merge([x, y]), z]) == merge([x, merge([y, z])]) == merge([z, y, x])
    assert merge([x, Distribution()]) == x


@settings(max_examples=100)
@given(durations.filter(bool), durations, st.floats(0, 1))
def test_a_merged_quantile_is_within_a_sixteenth(a: list[int], b: list[int], q: float) -> None:
    values = sorted(a + b)
    exact = values[max(1, math.ceil(q * len(values))) - 1]
    assert abs(quantile(merge([read(a), read(b)]), q) - exact) <= max(exact / 16, 512)


@settings(max_examples=100)
@given(durations, st.floats(0, 1))
def test_python_and_c_tell_the_same_quantile(values: list[int], q: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    assert quantile(read(values), q) == histogram.quantile(q)


@settings(max_examples=50)
@given(durations, durations, st.lists(st.integers(0, 1 << 36), min_size=1, max_size=8, unique=True))
def test_counts_up_to_bounds_grow_with_the_bound_and_with_time(
    before: list[int], later: list[int], bounds: list[int]
) -> None:
    bounds.sort()
    first, second = (counts_up_to(read(values), bounds) for values in (before, before + later))
    assert all(a <= b for a, b in pairwise(first))
    assert all(a <= b for a, b in zip(first, second, strict=True))
    assert second[-1] <= len(before) + len(later)
    for bound, count in zip(bounds, second, strict=True):
        values = before + later
        assert sum(value <= bound * 15 / 16 - 512 for value in values) <= count
        assert count <= sum(value <= bound * 16 / 15 + 512 for value in values)


def test_the_middles_grow_and_cover_microseconds_to_a_minute() -> None:
    assert all(a < b for a, b in pairwise(BUCKET_MIDDLES))
    assert BUCKET_MIDDLES[0] == 512 and 60e9 < BUCKET_MIDDLES[-1] < 69e9


@given(durations)
@settings(max_examples=20)
def test_a_distribution_survives_the_wire(values: list[int]) -> None:
    whole = read(values)
    for coder in (msgspec.msgpack, msgspec.json):
        assert coder.decode(coder.encode(whole), type=Distribution) == whole


def test_a_copy_of_a_tally_counts_on_its_own() -> None:
    tally = Tally()
    tally.add(5_000)
    copied = tally.copy()
    copied.add(7_000)
    assert (tally.read().count, copied.read().count) == (1, 2)


def test_paths_add_their_hops_to_the_tallies_of_all() -> None:
    mulaw = AudioFormat("mulaw", 8000)
    tallies = [Tally(), Tally(), Tally()]
    waited_ms = (50, 70, 300)  # longer than the cushion that starts an utterance
    for after_ms in waited_ms:
        path = PlayoutPath(mulaw, mulaw)
        path.open(0)
        path.feed(b"\x10" * 160, 0)
        assert len(path.due(after_ms * 1_000_000)) == 1
        path.add_hops(*tallies)
    convert, queue, send = (tally.read() for tally in tallies)
    assert (convert, send) == (Distribution(), Distribution())  # nobody but a pump has a clock for these
    assert (queue.count, queue.sum, queue.max) == (3, sum(waited_ms) * 1_000_000, 300_000_000)


def test_nothing_has_no_quantiles() -> None:
    assert hop_of(Distribution()) is None
    assert quantile(Distribution(), 0.5) == 0
    assert counts_up_to(Distribution(), [1.0, 2.0]) == [0, 0]
