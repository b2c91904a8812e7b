"""What holds for every fault: nothing of the call is left, and no secret shows."""

from __future__ import annotations

import gc
import io
import logging
from collections.abc import Iterator

import pytest
from canaries import expect_no_canary


@pytest.fixture(autouse=True)
def shown(capfd: pytest.CaptureFixture[str]) -> Iterator[io.StringIO]:
    """Everything that is logged at all, with tracebacks. No canary may be in it, nor in what is printed."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    gc.freeze()  # only what the test leaves is looked through for what it may still tell
    yield text
    root.removeHandler(handler)
    root.setLevel(level)
    gc.collect()
    gc.unfreeze()
    printed = capfd.readouterr()
    expect_no_canary(text.getvalue(), printed.out, printed.err)
