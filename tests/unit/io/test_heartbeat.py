"""When a peer is pinged, and what its silence means, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.io.heartbeat import Beat, Heartbeat

MS = 1_000_000
NONE, PING, LATE, GONE = Beat.BEAT_NONE, Beat.BEAT_PING, Beat.BEAT_LATE, Beat.BEAT_GONE


def started(interval_s: float = 20.0) -> Heartbeat:
    heart = Heartbeat(interval_s)
    heart.start(MS)
    return heart


def beats(heart: Heartbeat, from_ms: int, to_ms: int, *, hears: bool = True) -> list[tuple[int, Beat]]:
    """What it says, asked every 10 ms, of a peer that sends something all the time (or nothing)."""
    said = []
    for at_ms in range(from_ms, to_ms, 10):
        if hears:
            heart.heard(at_ms * MS)
        beat = heart.beat(at_ms * MS)
        if beat != NONE:
            said.append((at_ms, beat))
    return said


def test_a_peer_is_pinged_at_once_to_learn_whether_it_answers() -> None:
    assert started().beat(2 * MS) == PING


def test_a_peer_that_answers_is_pinged_every_two_seconds() -> None:
    heart, pings = started(), []
    for at_ms in range(10, 10_000, 10):
        heart.heard(at_ms * MS)
        if heart.beat(at_ms * MS) == PING:
            pings.append(at_ms)
            heart.echo(heart.pinged_ns)
    assert [round(one / 1000, 1) for one in pings] == [0.0, 2.0, 4.0, 6.0, 8.0]


def test_a_peer_that_never_answers_a_ping_but_sends_is_neither_late_nor_gone() -> None:
    assert beats(started(), 10, 60_000) == [(10, PING)]


def test_an_echo_that_is_a_second_old_makes_a_peer_late_and_its_coming_ends_that() -> None:
    heart = started()
    heart.beat(2 * MS)
    heart.echo(heart.pinged_ns)
    ((pinged_ms, first), (late_ms, second)) = beats(heart, 10, 8000)
    assert (first, second) == (PING, LATE) and 1000 <= late_ms - pinged_ms <= 1100
    assert heart.is_late
    assert heart.echo(heart.pinged_ns)
    assert not heart.is_late


@pytest.mark.parametrize("interval_s", [0.1, 1.0, 20.0])
def test_a_silent_peer_is_pinged_and_gone_within_the_interval(interval_s: float) -> None:
    heart = started(interval_s)
    heart.beat(2 * MS)
    heart.echo(heart.pinged_ns)
    said = beats(heart, 10, 40_000, hears=False)
    (gone_ms,) = [at_ms for at_ms, beat in said if beat == GONE]
    assert interval_s * 900 <= gone_ms <= interval_s * 1000 + 1
    assert any(at_ms <= interval_s * 700 + 110 for at_ms, beat in said if beat == PING)
    assert beats(heart, 40_000, 50_000, hears=False) == []


def test_without_an_interval_nobody_is_pinged() -> None:
    assert beats(started(0.0), 10, 60_000, hears=False) == []


@given(st.lists(st.integers(-1, 2**62), max_size=5))
def test_a_pong_that_nobody_asked_for_means_nothing(pongs: list[int]) -> None:
    heart = started()
    for pong in pongs:
        assert not heart.echo(pong)
    assert heart.beat(2 * MS) == PING
    pinged_ns = heart.pinged_ns
    for pong in pongs:
        heart.echo(pong if pong != pinged_ns else 0)
    assert heart.pinged_ns == pinged_ns
