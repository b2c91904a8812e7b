"""Delay: what a streaming resampler holds back after each 20 ms frame. No time is taken here; the table follows."""

import peers
import pytest
from delay import PAIRS, follow

from vapimedia.audio import Resampler


@pytest.mark.parametrize(("from_hz", "to_hz"), PAIRS)
@pytest.mark.parametrize("name", peers.STREAMS)
def test_held_back(held, name, from_hz, to_hz):
    try:
        push = peers.STREAMS[name](from_hz, to_hz)
    except peers.MissingPeerError as missing:
        pytest.skip(str(missing))
    found = held[name, (from_hz, to_hz)] = follow(push, from_hz, to_hz)
    assert found.match > 0.9
    if name.startswith("vapimedia"):
        constant = Resampler(from_hz, to_hz, quality=name.split()[1]).latency_ms
        assert found.mean_ms == pytest.approx(constant, abs=0.05)
        assert found.worst_ms == pytest.approx(constant, abs=0.05)
        assert found.n_empty == 0
        assert found.match > 0.999
