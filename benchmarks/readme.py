"""What is written into ``README.md`` by the commands that measure: tables between markers."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["machine", "markdown", "write"]

_README = Path(__file__).with_name("README.md")


def machine(libraries: Iterable[str]) -> str:
    """Return what was measured, where and when, as one paragraph."""
    versions = []
    for library in libraries:
        try:
            versions.append(f"{library} {importlib.metadata.version(library)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    python = f"{platform.python_implementation()} {platform.python_version()}"
    today = datetime.datetime.now(datetime.UTC).date()
    return f"Measured on {today}: {processor()}, {platform.system()}, {python}, {', '.join(versions)}."


def processor() -> str:
    """Return the processor as Linux describes it in a file; elsewhere what Python knows."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines() if path.exists() else []
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    name = said.get("model name") or platform.processor() or platform.machine()
    # Sellers of virtual machines shorten names; what tells the generations apart is the family and the model.
    details = {"family": "cpu family", "model": "model", "stepping": "stepping"}
    parts = [f"{word} {said[key]}" for word, key in details.items() if key in said]
    parts += [f"{key} {said[key]}" for key in ("CPU implementer", "CPU part") if key in said]
    if "hypervisor" in said.get("flags", "").split():
        parts.append("a virtual machine")
    return f"{name} ({', '.join(parts)})" if parts else name


def markdown(table: Iterable[Sequence[str]]) -> str:
    """Return the table, its first row the head; a lone cell is a sentence."""
    rows = list(table)
    if len(rows) == 1 and len(rows[0]) == 1:
        return rows[0][0] + "\n"
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- " * len(rows[0]) + "|", *lines[1:]]) + "\n"


def write(name: str, text: str) -> None:
    """Put *text* between the markers of *name*; everything around them stays."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, rest = _README.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    _README.write_text(before + begin + text + end + after, encoding="utf-8")
