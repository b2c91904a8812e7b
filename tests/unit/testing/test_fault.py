"""Faults as they are spelled on the command line."""

from __future__ import annotations

import pytest

from vapimedia.errors import ConfigError
from vapimedia.testing import Fault, parse_fault


@pytest.mark.parametrize(
    "text,fault",
    [
        ("latency=40ms", Fault("latency", 0.0, 0.04)),
        ("stall=2s@5s", Fault("stall", 5.0, 2.0)),
        ("stall@1.5s:down", Fault("stall", 1.5, None, "down")),
        ("reset", Fault("reset")),
        ("reset@12s:up", Fault("reset", 12.0, None, "up")),
        ("half-open@10s", Fault("half-open", 10.0)),
        ("cut@800ms", Fault("cut", 0.8)),
        ("slice=1", Fault("slice", 0.0, 1)),
        ("rate=1234567", Fault("rate", 0.0, 1234567)),
        ("rate=16000:both", Fault("rate", 0.0, 16000)),
        ("refuse", Fault("refuse")),
    ],
)
def test_a_fault_is_read_and_written_as_it_is_spelled(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault
    assert parse_fault(str(fault)) == fault


WRONG = (
    " resett reset=3s reset@12 latency latency=40 latency=0x3ms slice=0 slice=a "
    "refuse@3s cut@8s:up stall=2s@ rate=-3 reset@1s:left Reset@1s"
)


@pytest.mark.parametrize("text", WRONG.split(" "))
def test_a_wrong_spelling_is_one_sentence_with_the_right_ones(text: str) -> None:
    with pytest.raises(ConfigError, match=r"spelled wrong; there are latency=40ms, .*refuse \(") as caught:
        parse_fault(text)
    assert repr(text) in str(caught.value) and "\n" not in str(caught.value)
