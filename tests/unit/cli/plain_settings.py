"""A place to run commands in, away from any settings of the machine, and from colours and narrow terminals."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def isolate(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Run in *folder*, with no variable of ours set."""
    for name in os.environ:
        if name.startswith(("VAPI", "TWILIO", "VONAGE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(folder)
