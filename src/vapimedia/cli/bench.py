"""``vapimedia bench``: what one frame costs on this machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.table import Table
from typer.core import TyperGroup

from vapimedia.cli import bench_calls, bench_soak, report
from vapimedia.errors import ConfigError

if TYPE_CHECKING:
    from vapimedia.bench import Timing

__all__ = ["app"]

_DEFAULT = "frames"


class _FramesUnlessNamed(TyperGroup):
    """``bench`` alone, its flags and its file mean ``bench frames``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        wants_help = any(arg in ctx.help_option_names for arg in args[:1])
        if not wants_help and (not args or args[0] not in self.commands):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_FramesUnlessNamed,
    rich_markup_mode="rich",
    help="Time one 20 ms frame, or load a bridge with [bold]calls[/], for long with [bold]soak[/]."
    " [bold]vapimedia bench[/] alone is [bold]vapimedia bench frames[/] and takes its flags: --only, --calls, --json,"
    " --budget with a TOML file whose \\[budget_us] replaces limits.",
)
app.command("calls", epilog=bench_calls.EPILOG)(bench_calls.calls)
app.command("soak", epilog=bench_soak.EPILOG)(bench_soak.soak)


@app.command(_DEFAULT)
@report.ends_with_exit_code
def frames(
    file: Annotated[
        Path | None,
        typer.Argument(help="With --budget: a TOML file whose \\[budget_us] replaces limits, case by case."),
    ] = None,
    budget: Annotated[
        bool,
        typer.Option("--budget", metavar="", help="End with exit code 1 when a median is over its budget."),
    ] = False,
    only: Annotated[str, typer.Option("--only", help="Run the cases whose name holds this text.")] = "",
    calls: Annotated[int, typer.Option("--calls", min=10, help="Timed calls per case.")] = 3000,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object instead of a table.")
    ] = False,
) -> int:
    """Time the kernels and the media path, one 20 ms frame at a time. No network.

    Examples: vapimedia bench, vapimedia bench --budget, vapimedia bench --budget limits.toml --json
    """
    from vapimedia import bench as cases  # noqa: PLC0415  loads the compiled kernels

    if file is not None and not budget:
        raise ConfigError("a file of budgets goes with --budget")
    limits = cases.load_budgets(file) if file else {}
    chosen = [case for case in cases.CASES if only in case.name]
    if not chosen:
        raise ConfigError(f"no case holds {only!r} in its name")
    timings = []
    with report.stderr().status("measuring") as status:
        for case in chosen:
            status.update(f"measuring {case.name}")
            timings += cases.measure_all([case], n_calls=calls, budgets=limits)
    over = [timing.name for timing in timings if timing.over]
    if as_json:
        typer.echo(_as_json(timings))
    else:
        report.stdout().print(_table(timings))
    if budget and over:
        report.print_error(f"over budget: {', '.join(over)}")
        return report.FAILED_EXIT
    return 0


def _table(timings: list[Timing]) -> Table:
    table = Table(title="One 20 ms frame, microseconds", title_justify="left")
    table.add_column("case", no_wrap=True)
    for name in ("median", "p99", "budget"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for timing in timings:
        verdict = "[bold red]over[/]" if timing.over else "[green]ok[/]"
        figures = (timing.median_us, timing.p99_us, timing.budget_us)
        table.add_row(timing.name, *(f"{figure:.2f}" for figure in figures), verdict)
    return table


def _as_json(timings: list[Timing]) -> str:
    from vapimedia import audio  # noqa: PLC0415  loads the compiled kernels

    return msgspec.json.encode(
        {
            "machine": {
                "python": platform.python_version(),
                "architecture": platform.machine(),
                "cpus": os.cpu_count(),
                "simd": audio.simd,
            },
            "cases": [msgspec.to_builtins(timing) | {"over": timing.over} for timing in timings],
            "over": [timing.name for timing in timings if timing.over],
        }
    ).decode()
