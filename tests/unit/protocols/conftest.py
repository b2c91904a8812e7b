"""Recorded conversations and invented payloads, read from ``tests/data``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def twilio_call() -> list[dict[str, Any]]:
    """One whole bidirectional call, one entry per message or webhook."""
    return read_lines("twilio_bidirectional")


@pytest.fixture
def twilio_listen() -> list[dict[str, Any]]:
    """A unidirectional stream of both tracks."""
    return read_lines("twilio_unidirectional_both_tracks")


def read_lines(name: str) -> list[dict[str, Any]]:
    lines = (DATA / "twilio" / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]
