"""The laws of the parsers of text, over what fuzzing began with and found, and what hypothesis makes of it.

``VAPIMEDIA_FUZZ_EXAMPLES`` says how much hypothesis tries of each; ``tools/sanitize.sh --parsers`` asks for much.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("aiohttp")  # some of the parsers belong to the bridge
from parsers import CORPUS, TARGETS

N_EXAMPLES = int(os.environ.get("VAPIMEDIA_FUZZ_EXAMPLES", "12"))
# What parsers stumble over.
PIECES = [
    b"\0",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"null",
    b"-1e999",
    b"\\ud800",
    b"\xff",
    b"\r\n",
    b"&",
    b"%00",
]

every_target = pytest.mark.parametrize("name", TARGETS)


def corpus(name: str) -> list[bytes]:
    return [file.read_bytes() for file in sorted((CORPUS / name).iterdir())]


@st.composite
def broken(draw: Callable[..., Any], known: list[bytes]) -> bytes:
    """One of *known* with a few pieces cut out, doubled or replaced by what does not belong there."""
    data = draw(st.sampled_from(known))
    for _ in range(draw(st.integers(0, 4))):
        start, end = sorted(draw(st.integers(0, len(data))) for _ in range(2))
        other = draw(st.sampled_from(known))
        piece = draw(st.sampled_from([*PIECES, data[start:end], other]) | st.binary(max_size=8))
        data = data[:start] + piece + data[draw(st.sampled_from([start, end])) :]
    return data[:8192]


@every_target
def test_no_law_is_broken_by_what_was_found_before(name: str) -> None:
    for data in corpus(name):
        TARGETS[name](data)


@every_target
def test_no_law_is_broken_by_what_is_almost_a_message(name: str) -> None:
    known = corpus(name)

    @settings(max_examples=N_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
    @given(broken(known) | st.binary(max_size=64))
    def run(data: bytes) -> None:
        TARGETS[name](data)

    run()
