"""Every bridge that is compared carries calls as they should be, and the yardstick is C without a warning."""

from __future__ import annotations

from pathlib import Path

import pytest
from bridges.candidates import CANDIDATES, Candidate
from bridges.compile_epoll import CompilerMissingError, compile_epoll
from bridges.generator import run_generator
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
