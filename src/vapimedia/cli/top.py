"""``vapimedia top``: the live calls of a running bridge, in the terminal."""

from __future__ import annotations

import contextlib
import http.client
import os
import select
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

import msgspec
import typer
from rich.live import Live

from vapimedia.cli import report, top_table
from vapimedia.errors import ConfigError, VapimediaError

if TYPE_CHECKING:
    from vapimedia.io.admin import Status

__all__ = ["top"]

_TIMEOUT_S = 5.0
_PIPE_WIDTH = 160  # a file has no width: every column


class NoAnswerError(VapimediaError):
    """Nobody answered, or nobody that we know."""


@report.ends_with_exit_code
def top(
    url: Annotated[
        str, typer.Argument(metavar="ADMIN_URL", help="The bridge's admin port.", show_default=True)
    ] = "http://127.0.0.1:8081",
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, max=60.0, help="Seconds between two looks.")
    ] = 1.0,
    once: Annotated[bool, typer.Option("--once", metavar="", help="Print one table and end.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print what the bridge answers once, and end.")
    ] = False,
) -> int:
    """Show the live calls of a running bridge: levels, what is queued and heard, gaps, latencies. q quits.

    Where the output is no terminal, one table is printed.
    """
    address = _address(url)
    if as_json:
        typer.echo(_get(address, url).decode())
        return 0
    status = _look(address, url)
    console = report.stdout()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPE_WIDTH
    if once or not console.is_terminal:
        for line in top_table.lines(status, None, console, max_calls=None):
            console.print(line)
        return 0
    _watch(address, url, status, interval)
    return 0


def _watch(address: tuple[str, int], url: str, status: Status, interval_s: float) -> None:
    console, before, trouble = report.stdout(), None, ""
    with Live(console=console, screen=True, auto_refresh=False) as live, _keys():
        while True:
            live.update(top_table.page(status, before, console, trouble), refresh=True)
            if _quits_within(interval_s):
                return
            try:
                before, status, trouble = status, _look(address, url), ""
            except NoAnswerError as error:
                trouble = str(error)


def _address(url: str) -> tuple[str, int]:
    """Return where to connect to. Raises ``ConfigError``."""
    parts = urlsplit(url if "//" in url else f"http://{url}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if parts.scheme != "http" or not host:
        raise ConfigError(f"{url!r} is no admin port; write it like http://127.0.0.1:8081")
    return host, port or 8081


def _look(address: tuple[str, int], url: str) -> Status:
    from vapimedia.io.admin import Status  # noqa: PLC0415  loads aiohttp

    try:
        return msgspec.json.decode(_get(address, url), type=Status)
    except msgspec.DecodeError as error:
        raise NoAnswerError(f"{url} is not the admin port of such a bridge as this: {error}") from None


def _get(address: tuple[str, int], url: str) -> bytes:
    connection = http.client.HTTPConnection(*address, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/status")
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or error or type(error).__name__
        raise NoAnswerError(
            f"no bridge answers at {url} ({why}); start one with vapimedia serve, or pass what its --admin says"
        ) from None
    finally:
        connection.close()
    if answer.status != 200:
        raise NoAnswerError(f"{url} answered {answer.status}; it is not the admin port of a bridge")
    return body


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Get keys as they are pressed, where there is somebody to press them."""
    if not sys.stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415  not on Windows
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _quits_within(wait_s: float) -> bool:
    """Wait, or return at once that q was pressed."""
    until = time.monotonic() + wait_s
    if not sys.stdin.isatty():
        time.sleep(wait_s)
        return False
    while (left_s := until - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left_s)[0]:
            keys = os.read(sys.stdin.fileno(), 64)
            if not keys or b"q" in keys.lower():
                return True
    return False
