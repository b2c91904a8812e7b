"""``vapimedia top``: what is shown of a look at the admin port, in any width, and what it says when there is none."""

from __future__ import annotations

import io
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import msgspec
import pytest
from rich.console import Console

from vapimedia.cli import main, top_table
from vapimedia.io.admin import Status, WorkerStatus
from vapimedia.io.snapshot import CallFigures, MarkFigures
from vapimedia.media import HopStats, PathStats

HOP = HopStats(count=100, p50_us=35.2, p99_us=48_000.0, max_us=50_000.0)


def worker(number: int = 0, *, taken_ns: int = 0, cpu_s: float = 0.0) -> WorkerStatus:
    lag = HopStats(100, 50.0, 2200.0, 3000.0)
    return WorkerStatus(number, 100 + number, taken_ns, 1, 4, cpu_s, 50 << 20, lag)


def call(number: int, **changes: object) -> CallFigures:
    figures = CallFigures(
        call_id=f"CA{number:032}",
        vapi_call_id="",
        provider="twilio",
        created_ns=0,
        started_ns=0,
        ended_ns=None,
        duration_ms=65_000.0,
        end_reason=None,
        counters={},
        uplink=PathStats(send=HOP),
        downlink=PathStats(queued_ms=112.4, heard_ms=61_234.0, gaps=3, send=HOP),
        barge_ins=0,
        worker=1,
        age_ms=65_500.0,
        state="live",
        provider_format="mulaw/8000",
        vapi_format="mulaw/8000",
        caller_dbfs=-30.0,
        assistant_dbfs=None,
        marks=MarkFigures(0, "", ""),
        provider_backlog_bytes=0,
        vapi_backlog_bytes=0,
    )
    return msgspec.structs.replace(figures, **changes)


def status(*calls: CallFigures, workers: list[WorkerStatus] | None = None) -> Status:
    return Status("1.2.3", "avx2", workers or [worker()], {"hang_up": 3, "drain": 1}, list(calls))


def shown(what: Status, *, width: int = 140, height: int = 30, before: Status | None = None) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, highlight=False)
    console.print(top_table.page(what, before, console))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_a_call_is_one_row_with_every_figure() -> None:
    _, names, row = shown(status(call(7)))
    first, then = (
        "call provider w age state caller assist. queued heard gaps",
        "up p50 up p99 down p50 down p99",
    )
    assert names.split() == f"{first} {then}".split()
    bar = "███"
    assert row.split() == (
        f"0000000007 twilio 1 1:05 live {bar} 112 ms 1:01 3 35 us 48 ms 35 us 48 ms".split()
    )


@pytest.mark.parametrize("width", [80, 127, 128, 200])
def test_no_column_is_cut_short_where_the_terminal_is_narrow(width: int) -> None:
    figures = call(7, age_ms=36_000_000.0, state="connecting", caller_dbfs=0.0, assistant_dbfs=0.0)
    lines = shown(status(figures), width=width)
    assert all(len(line) <= width and "…" not in line for line in lines)
    assert "10:00:00" in lines[2] and "112 ms" in lines[2]


def test_as_many_calls_as_fit_are_shown_and_the_rest_is_counted() -> None:
    lines = shown(status(*(call(number) for number in range(40))), height=20)
    assert len(lines) <= 20
    assert lines[-1] == "and 25 more"
    assert sum("twilio" in line for line in lines) == 15


def test_the_head_tells_the_bridge_and_processor_time_once_there_are_two_looks() -> None:
    first = status(workers=[worker(0), worker(1)])
    later = status(
        workers=[worker(0, taken_ns=2 * 10**9, cpu_s=0.5), worker(1, taken_ns=2 * 10**9, cpu_s=0.1)]
    )
    assert shown(first)[0] == ("vapimedia 1.2.3  2 workers  0 calls  4 ended  loop lag p99 2.2 ms  100 MiB")
    assert "CPU 30%" in shown(later, before=first)[0]
    replaced = status(workers=[msgspec.structs.replace(worker(0, taken_ns=10**9, cpu_s=9.0), pid=999)])
    assert "CPU" not in shown(replaced, before=first)[0]
    assert shown(first)[1] == "no calls"


def test_a_call_without_a_leg_yet_shows_blanks() -> None:
    early = call(1, call_id="", uplink=None, downlink=None, caller_dbfs=None, state="waiting")
    assert shown(status(early))[2].split() == ["(new)", "twilio", "1", "1:05", "waiting", "0"]


def test_what_peers_named_is_no_markup() -> None:
    assert "[red]x[/]" in shown(status(call(1, call_id="[red]x[/]")))[2]


@pytest.mark.parametrize(
    ("us", "text"),
    [
        *(
            (0, "0 us"),
            (0.5, "0 us"),
            (999.4, "999 us"),
            (999.9, "1.0 ms"),
            (9940, "9.9 ms"),
            (47_960, "48 ms"),
        ),
        *((999_900, "1.0 s"), (59_000_000, "59 s"), (61_000_000, "1:01"), (3_700_000_000, "1:01:40")),
    ],
)
def test_durations_have_three_digits_and_a_unit(us: float, text: str) -> None:
    lines = shown(status(call(1, uplink=PathStats(send=HopStats(1, us, us, us)))))
    assert f" {text} " in lines[2]


# --- the command ---------------------------------------------------------------------------------


@contextmanager
def answering(body: bytes, code: int = 200) -> Iterator[str]:
    """An HTTP server that says *body* to everything."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_once_prints_every_call_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    what = status(*(call(number) for number in range(90)))
    with answering(msgspec.json.encode(what)) as url:
        assert main(["top", url, "--once"]) == 0
        out = capsys.readouterr().out
        assert main(["top", url]) == 0  # no terminal: the same
        assert capsys.readouterr().out == out
    assert "\x1b" not in out and len(out.splitlines()) == 92 and "more" not in out


def test_json_is_what_the_bridge_answers(capsys: pytest.CaptureFixture[str]) -> None:
    what = status(call(1))
    with answering(msgspec.json.encode(what)) as url:
        assert main(["top", url, "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Status) == what


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"no", 404, "answered 404"),
        (b"[]", 200, "not the admin port"),
        (b"<html>", 200, "not the admin port"),
    ],
)
def test_another_server_is_told_in_one_line(
    body: bytes, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(body, code) as url:
        assert main(["top", url, "--once"]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert words in line


def test_nobody_there_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:  # bound, but it does not listen
        nobody.bind(("127.0.0.1", 0))
        assert main(["top", f"127.0.0.1:{nobody.getsockname()[1]}"]) == 1
    [line] = capsys.readouterr().err.strip().splitlines()
    assert "no bridge answers" in line and "vapimedia serve" in line


@pytest.mark.parametrize("url", ["https://x", "http://", "http://x:port", "ftp://x:1"])
def test_what_is_no_admin_port_is_a_wrong_setting(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", url]) == 2
    assert "http://127.0.0.1:8081" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("key", [b"xq", None], ids=["q", "SIGINT"])
def test_a_terminal_shows_the_table_until_it_is_told_to_stop_and_is_left_as_it_was(key: bytes | None) -> None:
    import pty
    import termios

    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    before = termios.tcgetattr(theirs)
    shown = b""

    def read() -> None:
        nonlocal shown
        if select.select([ours], [], [], 0.05)[0]:
            shown += os.read(ours, 65536)

    with answering(msgspec.json.encode(status(*(call(number) for number in range(40))))) as url:
        process = subprocess.Popen(
            [sys.executable, "-m", "vapimedia", "top", url, "--interval", "0.1"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "150", "LINES": "12"},
        )
        while b"and 33 more" not in shown:
            read()
        if key is None:
            process.send_signal(signal.SIGINT)
        else:
            os.write(ours, key)
        while process.poll() is None:
            read()
    read()
    assert process.returncode == (130 if key is None else 0)
    assert b"0000000000" in shown and b"0000000030" not in shown
    assert shown.rstrip().endswith(b"\x1b[?1049l"), "the screen from before is back"
    assert termios.tcgetattr(theirs) == before
    os.close(ours)
    os.close(theirs)
