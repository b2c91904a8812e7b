"""The browsers of the tests: one for all that speak into no microphone, and one for each that does."""

from __future__ import annotations

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
