"""The browsers of the tests, one for all that speak into no microphone and one for each that does; the log."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from chromium import chromium


@pytest.fixture(scope="session")
def browser() -> Iterator[str]:
    """A running Chromium whose microphone beeps: where to drive it."""
    with chromium() as url:
        yield url


@pytest.fixture
def browser_that_hears() -> Iterator[Callable[[Path], str]]:
    """Start a Chromium whose microphone plays a WAV file; where to drive it."""
    with ExitStack() as stack:
        yield lambda microphone: stack.enter_context(chromium(microphone))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged at all, formatted with tracebacks."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)
