"""What is counted of one direction of one call is exact."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

flow = pytest.importorskip("vapimedia.bench.load.flow", reason="the load generator is built on Linux only")
from vapimedia.bench.load.marks import mark_frame  # noqa: E402

UP = 0
N_FRAMES = 40
FRAME_NS = 20_000_000
LATENCY_NS = 300_000


def frame(number: int, call: int = 7) -> bytes:
    return mark_frame(call, UP, number, sample_rate=8000, mulaw=True)


def account_of(heard: Iterable[bytes], n_sent: int = N_FRAMES) -> dict[str, float | None]:
    """Send numbered frames, then hear *heard* as one stream."""
    account = flow.Account(call=7, direction=UP, mulaw=True)
    for i in range(n_sent):
        account.send(i * FRAME_NS)
    for one in heard:
        account.hear(one, n_sent * FRAME_NS)
    counts: dict[str, float | None] = account.counts()
    return counts


def damage(counts: dict[str, float | None]) -> tuple[float | None, ...]:
    return tuple(counts[name] for name in ("lost", "duplicated", "corrupted", "crossed"))


def test_what_comes_as_it_was_sent_is_all_received_and_on_time() -> None:
    account = flow.Account(call=7, direction=UP, mulaw=True)
    for i in range(N_FRAMES):
        assert account.send(i * FRAME_NS) == i
        account.hear(frame(i), i * FRAME_NS + LATENCY_NS)
    counts = account.counts()
    assert (counts["sent"], counts["received"], counts["delay_ms"]) == (N_FRAMES, N_FRAMES, 0)
    assert damage(counts) == (0, 0, 0, 0)
    latency = account.latency_ns()
    assert latency["max"] == LATENCY_NS
    assert latency["p50"] == pytest.approx(LATENCY_NS, rel=0.004)


@settings(max_examples=50)
@given(st.sets(st.integers(3, N_FRAMES - 5), max_size=8), st.data())
def test_each_kind_of_damage_is_counted_once_a_frame(at: set[int], data: st.DataObject) -> None:
    # Two in a row may look like one longer damage: where a reader finds its way again is told by marks.
    apart = sorted(n for n in at if n - 1 not in at and n - 2 not in at)
    kinds = {
        n: data.draw(st.sampled_from(["lost", "duplicated", "corrupted", "crossed"]), label=str(n))
        for n in apart
    }
    heard = []
    for i in range(N_FRAMES):
        kind = kinds.get(i)
        heard += {
            None: [frame(i)],
            "lost": [],
            "duplicated": [frame(i), frame(i)],
            "corrupted": [bytes(random.Random(i).choices(range(0, 100), k=160))],
            "crossed": [frame(i, call=8)],
        }[kind]
    counts = account_of(heard)
    expected = {
        name: list(kinds.values()).count(name) for name in ("lost", "duplicated", "corrupted", "crossed")
    }
    expected["lost"] += expected["crossed"]  # it is heard elsewhere, and missing here
    assert dict(zip(expected, damage(counts), strict=True)) == expected
    assert counts["received"] == N_FRAMES - expected["lost"] - expected["corrupted"]


def test_frames_that_change_places_are_no_loss_but_seen() -> None:
    counts = account_of(frame(i) for i in [0, 1, 2, 3, 5, 4, *range(6, N_FRAMES)])
    assert damage(counts) == (0, 0, 0, 0)
    assert counts["reordered"] == 1


def test_another_direction_s_mark_is_crossed() -> None:
    echo = mark_frame(7, 1, 9, sample_rate=8000, mulaw=True)
    assert (
        account_of([*(frame(i) for i in range(9)), echo, *(frame(i) for i in range(10, 20))])["crossed"] == 1
    )


def test_frame_numbers_come_round() -> None:
    account = flow.Account(call=7, direction=UP, mulaw=True)
    n_frames = 16384 + 500
    for i in range(n_frames):
        number = account.send(i * FRAME_NS)
        if i != 16384 + 100:
            account.hear(frame(number), i * FRAME_NS)
    counts = account.counts()
    assert (counts["received"], *damage(counts)) == (n_frames - 1, 1, 0, 0, 0)


def test_silence_gives_no_frame_back_to_a_closed_loop() -> None:
    account = flow.Account(call=7, direction=UP, mulaw=True)
    for i in range(3):
        account.send(i)
    account.hear(b"\xff" * 1600, 5)
    assert account.in_flight == 3
    account.hear(frame(0), 6)
    assert account.in_flight == 2


def test_what_a_codec_holds_of_a_frame_does_not_hold_a_closed_loop() -> None:
    account = flow.Account(call=7, direction=UP, mulaw=True)
    account.send(0)
    account.hear(b"\xff" * 32 + frame(0)[:128], 1)  # 4 ms later than whole
    assert account.in_flight == 0
    assert account.counts()["received"] == 0  # its mark is not whole yet


def test_after_an_interruption_what_was_under_way_may_be_lost() -> None:
    account = flow.Account(call=7, direction=UP, mulaw=True)
    for _ in range(20):
        account.send(0)
    for i in range(10):
        account.hear(frame(i), 0)
    account.hear(frame(10)[:77], 0)
    account.forgive()
    for _ in range(20, 30):
        account.hear(frame(account.send(0)), 0)
    counts = account.counts()
    assert (counts["cleared"], *damage(counts)) == (10, 0, 0, 0, 0)


def test_frames_outside_the_figures_count_as_nothing() -> None:
    account = flow.Account(call=7, direction=UP, mulaw=True)
    for i in range(10):
        account.send(0, counted=False)
        if i % 3:
            account.hear(frame(i) * 2, 0)
    counts = account.counts()
    assert (counts["sent"], counts["received"], counts["lost"], counts["duplicated"]) == (0, 0, 0, 0)
    assert account.latency_ns()["p50"] is None
