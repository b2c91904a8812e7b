"""``vapimedia bench calls``: how many calls a bridge carries, and what it does to their audio."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from vapimedia.cli import report
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

if TYPE_CHECKING:
    from vapimedia.bench.load.report import LoadReport

__all__ = ["EPILOG", "calls"]

EPILOG = """
Linux only. Exit code 1 when frames were lost or damaged, or calls did not end on both legs.

Examples:

  vapimedia bench calls --calls 50 --seconds 10

  vapimedia bench calls --closed-loop --json

  vapimedia bench calls --bridge "python my_bridge.py --port {port} --vapi-url {vapi_url}"
"""
_WHICH, _HOW = "Which bridge", "How"


@report.ends_with_exit_code
def calls(
    *,
    calls: Annotated[
        int, typer.Option("--calls", help="Calls at a time, up to 1000.", rich_help_panel=_HOW)
    ] = 50,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.5, help="How long figures are taken.", rich_help_panel=_HOW)
    ] = 10.0,
    closed_loop: Annotated[
        bool,
        typer.Option("--closed-loop", metavar="", help="As fast as the bridge can.", rich_help_panel=_HOW),
    ] = False,
    window: Annotated[
        int,
        typer.Option(
            "--window",
            min=1,
            max=1000,
            help="With --closed-loop: frames under way per direction of a call.",
            rich_help_panel=_HOW,
        ),
    ] = 1,
    bridge: Annotated[
        str,
        typer.Option(
            "--bridge",
            help="Command that starts a bridge; {port} and {vapi_url} are filled in. Default: vapimedia serve.",
            show_default=False,
            rich_help_panel=_WHICH,
        ),
    ] = "",
    url: Annotated[
        str,
        typer.Option(
            "--url",
            help="Media socket of a bridge that runs already, ws://...",
            show_default=False,
            rich_help_panel=_WHICH,
        ),
    ] = "",
    vapi_port: Annotated[
        int,
        typer.Option(
            "--vapi-port",
            max=65535,
            help="Where the fake Vapi listens; needed with --url.",
            show_default=False,
            rich_help_panel=_WHICH,
        ),
    ] = 0,
    pid: Annotated[
        int,
        typer.Option(
            "--pid",
            help="With --url: its process, to know what it costs.",
            show_default=False,
            rich_help_panel=_WHICH,
        ),
    ] = 0,
    vapi_format: Annotated[
        str, typer.Option("--format", help="Vapi leg: pcm_s16le/16000 or mulaw/8000.", rich_help_panel=_WHICH)
    ] = "pcm_s16le/16000",
    serve_flags: Annotated[
        str,
        typer.Option(
            "--serve-flags",
            help="Further flags of vapimedia serve.",
            show_default=False,
            rich_help_panel=_WHICH,
        ),
    ] = "",
    find_max: Annotated[
        bool,
        typer.Option(
            "--find-max",
            metavar="",
            help="Search for the most calls at 80 % of a core, p99 under 20 ms, no damage; begin with --calls.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    idle: Annotated[
        bool,
        typer.Option(
            "--idle",
            metavar="",
            help="Memory per call: 50 and 250 nearly silent calls.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    stalled: Annotated[
        int,
        typer.Option(
            "--stalled",
            min=0,
            help="So many phones stop reading after a second; figures are the others'.",
            rich_help_panel=_HOW,
        ),
    ] = 0,
    stall_s: Annotated[
        float,
        typer.Option(
            "--stall-s",
            help="They read again after so long. Default: when figures are taken.",
            show_default=False,
            rich_help_panel=_HOW,
        ),
    ] = 0.0,
    barge_in: Annotated[
        bool,
        typer.Option(
            "--barge-in",
            metavar="",
            help="Interrupt every call once a second; time until its phone is told to clear.",
            rich_help_panel=_HOW,
        ),
    ] = False,
    pin: Annotated[
        bool,
        typer.Option(
            "--pin", metavar="", help="Bridge on processor 0, generator on 1.", rich_help_panel=_HOW
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object instead of a table.")
    ] = False,
) -> int:
    """Load a bridge with Twilio-shaped calls; count every frame, time its way, say how many calls a core carries."""
    if not sys.platform.startswith("linux"):
        raise ConfigError("bench calls runs on Linux only: it is built on epoll and /proc")
    from vapimedia.bench.load.modes import carry_out  # noqa: PLC0415  built on Linux only
    from vapimedia.bench.load.plan import LoadPlan  # noqa: PLC0415

    plan = LoadPlan(
        calls=calls,
        seconds=seconds,
        closed_loop=closed_loop,
        window=window,
        bridge=bridge,
        url=url,
        vapi_port=vapi_port,
        pid=pid,
        format=AudioFormat.parse(vapi_format),
        serve_flags=shlex.split(serve_flags),
        pin=pin,
        find_max=find_max,
        idle=idle,
        stalled=stalled,
        stall_s=stall_s,
        barge_in=barge_in,
    )
    with report.stderr().status(f"{plan.calls} calls, {plan.seconds:g} s"):
        found = carry_out(plan)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        report.stdout().print(_table(found))
    for note in found.notes:
        report.print_warning(note)
    if found.failed:
        report.print_error(_what_failed(found))
        return report.FAILED_EXIT
    return 0


def _what_failed(found: LoadReport) -> str:
    frames = [f"{found.frames[name]} {name}" for name in ("lost", "duplicated", "corrupted", "crossed")]
    ends = f"{found.ends.not_ended} calls did not end on both legs, {found.ends.died} legs ended early"
    return f"of {found.frames['sent']} frames: {', '.join(frames)}; {ends}"


def _table(found: LoadReport) -> Table:
    table = Table(title=escape(found.bridge), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    frames = found.frames
    rows = [
        ("calls", f"{found.calls}, {found.mode}, {found.seconds:g} s"),
        ("frames sent, received", f"{frames['sent']}, {frames['received']}"),
        ("lost, duplicated, corrupted, crossed", _counts(found)),
    ]
    for name in ("uplink", "downlink", "both"):
        figures = found.latency_us[name]
        text = " / ".join(_us(figures[key]) for key in ("p50", "p99", "p999", "max"))
        rows.append((f"latency {name}, p50 / p99 / p99.9 / max", f"{text} ms"))
    delays = found.codec_delay_ms
    rows.append(("codec delay up, down", f"{_plain(delays['uplink'])}, {_plain(delays['downlink'])} ms"))
    rows.append(("CPU per frame", f"{_plain(found.cpu_us_per_frame)} us"))
    rows.append(("CPU of the bridge", "-" if found.cpu_share is None else f"{found.cpu_share:.0%} of a core"))
    rows.append(("calls per core at 80 %", _plain(found.calls_per_core_80)))
    rows.append(("memory", ", ".join(f"{name} {_plain(value)} KB" for name, value in found.rss_kb.items())))
    rows += _special_rows(found)
    own = found.generator
    rows.append(("generator", f"{own['cpu_share']:.0%} of a core, late p99 {_us(own['late_p99_us'])} ms"))
    for row in rows:
        table.add_row(*row)
    return table


def _special_rows(found: LoadReport) -> list[tuple[str, str]]:
    rows = []
    if found.sustained_calls is not None:
        rows.append(("[bold]sustained calls[/]", f"[bold]{found.sustained_calls}[/]"))
        tried = (f"{step['calls']:g} {'well' if step['well'] else 'too many'}" for step in found.steps or [])
        rows.append(("tried", ", ".join(tried)))
    if found.barge_in_us is not None:
        text = " / ".join(_us(found.barge_in_us[key]) for key in ("p50", "p99", "max"))
        rows.append(("barge-in until clear, p50 / p99 / max", f"{text} ms"))
        counts = found.barge_in_us
        rows.append(
            ("interruptions, clears", f"{_plain(counts['interruptions'])}, {_plain(counts['clears'])}")
        )
    if found.stalled is not None:
        rows.append(("stalled calls: what came late", _pairs(found.stalled)))
    return rows


def _pairs(figures: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {_plain(value)}" for name, value in figures.items())


def _counts(found: LoadReport) -> str:
    text = ", ".join(str(found.frames[name]) for name in ("lost", "duplicated", "corrupted", "crossed"))
    return f"[bold red]{text}[/]" if found.damaged else f"[green]{text}[/]"


def _us(value: float | None) -> str:
    return "-" if value is None else f"{value / 1000:.2f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
