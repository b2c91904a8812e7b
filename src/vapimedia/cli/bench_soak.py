"""``vapimedia bench soak``: what a bridge holds while calls come and go for a long time."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape
from rich.table import Table

from vapimedia.cli import report
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

if TYPE_CHECKING:
    from vapimedia.bench.soak import SoakReport
    from vapimedia.bench.soak_figures import Growth, Sample

__all__ = ["EPILOG", "soak"]

EPILOG = """
Linux only. Exit code 1 when memory or descriptors grew beyond their bounds, frames were lost or damaged, or calls did
not end on both legs.

Examples:

  vapimedia bench soak --minutes 30 --plot soak.svg

  vapimedia bench soak --calls 50 --churn 10 --json

  vapimedia bench soak --bridge "python my_bridge.py --port {port} --vapi-url {vapi_url}"
"""
_WHICH, _HOW = "Which bridge", "How"


@report.ends_with_exit_code
def soak(
    *,
    minutes: Annotated[
        float, typer.Option("--minutes", min=0.05, help="How long.", rich_help_panel=_HOW)
    ] = 10.0,
    calls: Annotated[
        int, typer.Option("--calls", help="Calls at a time, up to 1000.", rich_help_panel=_HOW)
    ] = 20,
    churn: Annotated[
        float,
        typer.Option(
            "--churn",
            help="Calls a second that end, in every way in turn, and are replaced.",
            rich_help_panel=_HOW,
        ),
    ] = 8.0,
    rss_mib: Annotated[
        float,
        typer.Option(
            "--rss-mib",
            min=0,
            help="Bound: resident memory at the end, less what it was at minute 3; the allocators' in proportion.",
            rich_help_panel=_HOW,
        ),
    ] = 1.0,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", help="Draw it all into this .svg or .html.", show_default=False),
    ] = None,
    bridge: Annotated[
        str,
        typer.Option(
            "--bridge",
            help="Command that starts a bridge; {port} and {vapi_url} are filled in. Default: vapimedia serve.",
            show_default=False,
            rich_help_panel=_WHICH,
        ),
    ] = "",
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
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object instead of a table.")
    ] = False,
) -> int:
    """Let calls come and go for a long time; say whether memory, descriptors or latency grow."""
    if not sys.platform.startswith("linux"):
        raise ConfigError("bench soak runs on Linux only: it is built on epoll and /proc")
    from vapimedia.bench import soak_plot  # noqa: PLC0415
    from vapimedia.bench.soak import SoakPlan  # noqa: PLC0415  built on Linux only
    from vapimedia.bench.soak import soak as carry_out  # noqa: PLC0415
    from vapimedia.bench.soak_figures import Bounds  # noqa: PLC0415

    if plot is not None:
        soak_plot.check_plot(plot)
        report.check_writable(plot)
    plan = SoakPlan(
        calls=calls,
        seconds=60 * minutes,
        churn=churn,
        bounds=Bounds.of(rss_mib),
        bridge=bridge,
        format=AudioFormat.parse(vapi_format),
        serve_flags=shlex.split(serve_flags),
    )
    with report.stderr().status(f"{plan.calls} calls, {minutes:g} min") as status:
        found = carry_out(plan, lambda sample: status.update(_progress(sample, plan.seconds)))
    if plot is not None:
        title = f"{found.bridge}: {found.calls} calls, {found.churn:g} a second replaced"
        soak_plot.write_plot(plot, title, found.samples, found.baseline_s)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        report.stdout().print(_table(found))
    for note in found.notes:
        report.print_warning(note)
    if found.faults:
        report.print_error("; ".join(found.faults))
        return report.FAILED_EXIT
    return 0


def _progress(sample: Sample, seconds: float) -> str:
    words = [f"{sample.at_s / 60:.1f} of {seconds / 60:g} min", f"{sample.calls} calls"]
    if sample.rss_kb is not None:
        words.append(f"RSS {sample.rss_kb / 1024:.1f} MiB")
    if sample.p99_us is not None:
        words.append(f"p99 {sample.p99_us / 1000:.1f} ms")
    return ", ".join(words)


def _table(found: SoakReport) -> Table:
    from vapimedia.bench.soak_plot import sparkline  # noqa: PLC0415

    table = Table(title=escape(found.bridge), title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    churned = found.churned
    n_ended = sum(churned.ended.values())
    table.add_row("calls", f"{found.calls} at a time, {n_ended} ended, {found.seconds / 60:.1f} min")
    for name, figure, text in (
        ("resident memory", "rss_kb", _mib),
        ("C library's allocator", "allocated_kb", _mib),
        ("Python's allocator", "python_blocks", _blocks),
        ("descriptors", "descriptors", _count),
    ):
        growth = found.growth[figure]
        line = sparkline([getattr(sample, figure) for sample in found.samples])
        table.add_row(name, "-" if growth is None else f"{text(growth)}\n{line}")
    p99s = [found.p99_us[f"quarter_{i}"] for i in range(1, 5)]
    quarters = " / ".join("-" if one is None else f"{one / 1000:.2f}" for one in p99s)
    line = sparkline([sample.p99_us for sample in found.samples])
    table.add_row("latency p99, each quarter", f"{quarters} ms\n{line}")
    before, after = found.descriptors_before, found.descriptors_after
    table.add_row("descriptors before and after", f"{_plain(before)}, {_plain(after)}")
    ends = " / ".join(_plain(found.end_ms[name]) for name in ("p50", "p99", "max"))
    table.add_row("to end both legs, p50 / p99 / max", f"{ends} ms")
    ways = ", ".join(f"{way} {count}" for way, count in sorted(churned.ended.items()))
    table.add_row("ended by", ways)
    frames = churned.frames
    damage = ", ".join(f"{frames[name]} {name}" for name in ("lost", "duplicated", "corrupted", "crossed"))
    table.add_row("frames", f"{frames['sent']} sent, {damage}")
    table.add_row("verdict", "[bold red]grows or breaks[/]" if found.faults else "[green]holds[/]")
    return table


def _mib(growth: Growth) -> str:
    figures = (growth.baseline / 1024, growth.end / 1024, growth.growth / 1024, growth.per_h / 1024)
    return _told(*figures, "MiB")


def _blocks(growth: Growth) -> str:
    figures = (growth.baseline / 1000, growth.end / 1000, growth.growth / 1000, growth.per_h / 1000)
    return _told(*figures, "thousand blocks")


def _count(growth: Growth) -> str:
    return _told(growth.baseline, growth.end, growth.growth, growth.per_h, "open")


def _told(baseline: float, end: float, more: float, per_h: float, unit: str) -> str:
    return f"{baseline:.2f} -> {end:.2f} {unit} ({more:+.2f}), slope {per_h:+.2f} an hour"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
