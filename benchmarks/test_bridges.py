"""Every bridge that is compared carries calls as they should be, and the yardstick is C without a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
from bridges.candidates import CANDIDATES, OURS, C, Candidate
from bridges.compile_epoll import CompilerMissingError, compile_epoll
from bridges.figures import cpu_us
from bridges.generator import Answer, Frames, run_generator
from bridges.rounds import Entry, Results, Scenario
from bridges.tables import damage_of_ours, sections
from peers import MissingPeerError

AUDIBLE = [candidate for candidate in CANDIDATES if candidate.carries_audio]


@pytest.mark.parametrize("candidate", AUDIBLE, ids=lambda candidate: candidate.name)
def test_two_calls_arrive_whole(candidate: Candidate) -> None:
    try:
        command = candidate.start()
    except MissingPeerError as missing:
        pytest.skip(str(missing))
    answer = run_generator(command, ["--calls", "2", "--seconds", "1"], timeout_s=50)
    assert answer.frames.received > 0
    assert answer.damage == {}


def test_the_bridge_in_c_compiles_without_a_warning(tmp_path: Path) -> None:
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"]
    try:
        assert compile_epoll(tmp_path, *warnings).exists()
    except CompilerMissingError as missing:
        pytest.skip(str(missing))


REAL_TIME = Scenario("real time", 50)


def entry(number: int, candidate: str, us: float | None = None, **damage: int) -> Entry:
    frames = Frames(sent=100, received=100, **damage)
    return Entry(number, REAL_TIME, candidate, Answer(frames=frames, cpu_us_per_frame=us))


def test_a_machine_that_gets_slower_changes_no_ratio() -> None:
    rounds = [(1, 10.0), (2, 30.0), (3, 20.0)]
    results = Results(
        "", [entry(i, name, us * share) for i, us in rounds for name, share in ((C, 1), (OURS, 1.2))]
    )
    ratio = results.ratio(REAL_TIME, OURS, cpu_us, to=C)
    assert ratio is not None
    assert ratio.shown() == "1.20 (1.20..1.20)"


def test_a_round_that_only_one_has_makes_no_ratio() -> None:
    results = Results("", [entry(1, OURS, 12.0), entry(2, C, 10.0)])
    assert results.ratio(REAL_TIME, OURS, cpu_us, to=C) is None


def test_damage_of_ours_is_told_and_that_of_others_is_in_the_table() -> None:
    results = Results("", [entry(1, OURS, 12.0), entry(1, C, 10.0, lost=3)])
    assert damage_of_ours(results) == []
    tables = {title: table for title, _, table in sections(results)}
    assert tables["Bridges: damage"][1:] == [
        ["C, epoll", "100", "50 calls: 3 lost", "none"],
        ["vapimedia serve", "100", "none", "none"],
    ]
    results.entries += [
        entry(2, OURS, 12.0, crossed=1),
        Entry(3, REAL_TIME, OURS, failed="no answer within 9 s"),
    ]
    assert damage_of_ours(results) == [
        "50 calls: 1 crossed",
        "50 calls: in 1 of 3 rounds, no answer within 9 s",
    ]


def test_results_come_back_from_their_file(tmp_path: Path) -> None:
    results = Results("somewhere", [entry(1, OURS, 12.0, lost=1)])
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results
