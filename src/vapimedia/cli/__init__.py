"""The command ``vapimedia``: argv in, tables and exit codes out.

Exit codes: 0 done, 1 it ran and failed, 2 wrong usage or settings (nothing was started), 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    try:
        import rich  # noqa: F401, PLC0415  part of the bridge extra
        import typer  # noqa: F401, PLC0415
    except ImportError:
        print(
            "vapimedia: the command line is not installed; run: pip install 'vapimedia[bridge]'",
            file=sys.stderr,
        )
        return 1
    from vapimedia.cli.app import app  # noqa: PLC0415  needs typer

    try:
        app(args=list(argv) if argv is not None else None, prog_name="vapimedia")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0
