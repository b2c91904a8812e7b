"""The instruction sets to judge: each that this machine has, in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vapimedia.audio import dispatch


@pytest.fixture(params=dispatch.available)
def simd(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once with each instruction set, whatever ``VAPIMEDIA_SIMD`` chose at import."""
    before = dispatch.force_simd(request.param)
    yield request.param
    dispatch.force_simd(before)
