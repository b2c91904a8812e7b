"""How every command talks to its user: one line for an error, an exit code for each kind of end."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import typer
from rich.console import Console
from rich.markup import escape

from vapimedia.errors import ConfigError, VapimediaError

__all__ = ["CONFIG_EXIT", "FAILED_EXIT", "INTERRUPTED_EXIT", "check_writable", "ends_with_exit_code"]
__all__ += ["fail", "print_error", "print_warning", "stderr", "stdout"]

FAILED_EXIT = 1
CONFIG_EXIT = 2
INTERRUPTED_EXIT = 130  # what a shell reports for SIGINT: 128 + 2

P = ParamSpec("P")


def stdout() -> Console:
    """Return a console on the current standard output. Made anew, as tests and pipes replace the stream."""
    return Console(highlight=False)


def stderr() -> Console:
    """Return a console on the current standard error."""
    return Console(stderr=True, highlight=False)


def print_error(text: str) -> None:
    """Print one line, whatever *text* holds."""
    line = " ".join(str(text).split())
    stderr().print(f"[bold red]error:[/] {escape(line)}", soft_wrap=True)


def print_warning(text: str) -> None:
    stderr().print(f"[bold yellow]warning:[/] {escape(text)}", soft_wrap=True)


def check_writable(file: Path) -> None:
    """Raise ``ConfigError`` when *file* could not be written. Leaves no trace."""
    try:
        if file.exists():
            with file.open("ab"):
                pass
        else:
            with tempfile.TemporaryFile(dir=file.parent):
                pass
    except OSError as error:
        raise ConfigError(f"--out: cannot write {file}: {error.strerror or error}") from None


def fail(text: str, code: int = FAILED_EXIT) -> typer.Exit:
    """Print *text* as an error and return the exception to raise."""
    print_error(text)
    return typer.Exit(code)


def ends_with_exit_code(command: Callable[P, int | None]) -> Callable[P, None]:
    """Make a command of a function that returns an exit code (``None`` is 0) and may raise our errors."""

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = command(*args, **kwargs)
        except ConfigError as error:
            raise fail(str(error), CONFIG_EXIT) from None
        except VapimediaError as error:
            raise fail(str(error)) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED_EXIT) from None
        raise typer.Exit(code or 0)

    return wrapped
