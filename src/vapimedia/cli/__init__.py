"""The command ``vapimedia``: argv in, tables and exit codes out.

Exit codes: 0 done, 1 it ran and failed, 2 wrong usage or settings (nothing was started), 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    _open_standard_files()
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


def _open_standard_files() -> None:
    """Put the null device where standard input, output or error is closed.

    Otherwise the first socket or pipe gets its number, and the event loop aborts on it.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number is taken, which is this one.
            os.open(os.devnull, os.O_RDWR)
            if getattr(sys, name) is None:
                mode = "r" if fd == 0 else "w"
                setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  it stays
