"""Tools answered over HTTP while calls stream: in the order asked, in time, in all three spellings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tools_beside_media.py"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the load generator runs on Linux only")
def test_tools_are_answered_in_order_and_in_time_beside_fifty_calls() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--print", "--rounds", "1", "--seconds", "3"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "none wrong, late or out of order" in done.stdout
