"""What holds for the whole layer: it loads little, and what it exports exists."""

from __future__ import annotations

import subprocess
import sys

import vapimedia.protocols
import vapimedia.protocols.vapi


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_reading_events_loads_neither_a_dialect_nor_the_media_layer() -> None:
    loaded = loaded_by("from vapimedia.protocols import Started, get_dialect")
    assert "vapimedia.protocols.twilio" not in loaded
    assert "vapimedia.media" not in loaded


def test_the_layer_loads_nothing_that_does_input_or_output() -> None:
    loaded = loaded_by(
        "import vapimedia.protocols.twilio, vapimedia.protocols.token, vapimedia.protocols.vapi"
    )
    assert not loaded & {"asyncio", "picows", "uvloop", "aiohttp", "typer", "rich"}


def test_every_exported_name_exists() -> None:
    for package in (vapimedia.protocols, vapimedia.protocols.vapi):
        assert [name for name in package.__all__ if not hasattr(package, name)] == []
