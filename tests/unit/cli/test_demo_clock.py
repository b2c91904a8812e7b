"""The demo's clock tells speech that came late from speech that was sent late, and who was held up."""

from __future__ import annotations

import pytest

from vapimedia.cli.demo_clock import Piece, Stall, due_ms, most_late_ms, stalls, waiting_since

MS = 1_000_000


def pieces(*starts_ms: float, ms: float = 50.0) -> list[Piece]:
    return [Piece(round(at * MS), index * ms, ms) for index, at in enumerate(starts_ms)]


def test_what_comes_as_it_was_sent_is_not_late() -> None:
    sent = pieces(0, 50, 250, 260)
    assert most_late_ms(sent, sent, 1.0) == 0.0


def test_lateness_is_measured_from_when_vapi_sent_it() -> None:
    sent = pieces(0, 50, 250, 260)
    assert most_late_ms(sent, pieces(40, 90, 290, 300), 1.0) == pytest.approx(40.0)
    assert most_late_ms(sent, pieces(0, 50, 250, 900), 1.0) == pytest.approx(600.0)


def test_what_came_at_once_is_played_one_after_the_other() -> None:
    silence_between = [Piece(0, 0.0, 50.0), Piece(0, 50.0, 200.0), Piece(0, 50.0, 50.0)]
    assert most_late_ms(pieces(0, 0), silence_between, 1.0) == pytest.approx(200.0)


def test_at_another_speed_audio_lasts_less() -> None:
    sent = pieces(0, 12.5, 25)
    assert most_late_ms(sent, sent, 4.0) == 0.0
    assert due_ms(sent, 30 * MS, 4.0) == pytest.approx(120.0)


def test_nothing_sent_or_nothing_come_is_not_late() -> None:
    assert most_late_ms([], pieces(5), 1.0) == most_late_ms(pieces(5), [], 1.0) == 0.0


def test_what_is_due_was_sent_and_had_time_to_be_played() -> None:
    sent = pieces(100, 150, 400)
    assert [due_ms(sent, at * MS, 1.0) for at in (50, 120, 300, 410, 900)] == [0.0, 20.0, 100.0, 110.0, 150.0]


def test_a_stall_is_where_ticks_are_far_apart() -> None:
    ticks = [at * MS for at in (0, 20, 45, 345, 346, 360)]
    assert stalls(ticks, 30.0) == [Stall(45 * MS, 345 * MS)]
    assert stalls([], 30.0) == []


def test_what_is_read_right_after_a_stall_may_have_waited_since_it_began() -> None:
    held_up = [Stall(45 * MS, 345 * MS), Stall(500 * MS, 600 * MS)]
    waited = {at: waiting_since(at * MS, held_up) // MS for at in (10, 100, 350, 400, 610, 700)}
    assert waited == {10: 10, 100: 45, 350: 45, 400: 400, 610: 500, 700: 700}
