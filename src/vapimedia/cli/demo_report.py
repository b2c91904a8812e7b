"""The demo on the screen: a timeline while it runs, a table when it is done."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vapimedia.cli.demo_compare import Direction
from vapimedia.cli.demo_judge import Figures
from vapimedia.cli.demo_lines import Moment
from vapimedia.media import HopStats

__all__ = ["Timeline", "figures_table", "hops_table"]

_STYLES = {"caller": "cyan", "assistant": "green"}
_IN_PASSING = frozenset({"partial", "is quiet", "status"})


class Timeline:
    """Print each moment as it comes, with seconds since the first."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._start_ns = 0

    def __call__(self, moment: Moment) -> None:
        self._start_ns = self._start_ns or moment.t_ns
        seconds = (moment.t_ns - self._start_ns) / 1e9
        style = _STYLES.get(moment.who, "yellow")
        if moment.what in _IN_PASSING:
            style = f"dim {style}"
        line = f"{seconds:7.2f}  [{style}]{moment.who:<10} {moment.what:<10} {escape(moment.text)}[/]"
        self._console.print(line, soft_wrap=True)


def figures_table(figures: Figures) -> Table:
    """Return what became of the frames, and the delays that a person would notice."""
    table = Table(title="Frames of 20 ms", title_justify="left", title_style="bold")
    table.add_column("")
    for name in ("caller to Vapi", "Vapi to caller"):
        table.add_column(name, justify="right")
    rows = {
        "compared": "expected",
        "lost": "lost",
        "duplicated": "duplicated",
        "corrupted": "corrupted",
        "silence inserted": "silence_inserted",
        "silence left out": "silence_left_out",
    }
    for label, field in rows.items():
        table.add_row(label, *(_count(leg, field) for leg in (figures.uplink, figures.downlink)))
    if figures.max_messages_ahead is not None:
        table.add_row("filled up with silence", "", str(figures.downlink.padded))
        table.add_row("the same, inside speech", "", str(figures.downlink.padded_inside))
        table.add_row("messages of a wrong size", "", _bad(figures.wrong_size_messages))
        table.add_row("messages ahead of playout, most", "", str(figures.max_messages_ahead))
    table.add_section()
    barge_in = "never" if figures.barge_in_ms is None else f"{figures.barge_in_ms:.1f} ms"
    table.add_row("barge-in to silence", "", barge_in)
    table.add_row("dropped by barge-in", "", f"{figures.cleared_ms:.0f} ms")
    gaps = "gaps heard inside speech"
    if figures.speed != 1.0:
        gaps = "gaps heard (--fast: no cushion)"  # unpaced, the bridge prebuffers nothing
    table.add_row(gaps, "", str(figures.gaps_heard))
    table.add_row("codec delay, one way", "", f"{figures.codec_delay_ms:.2f} ms")
    table.add_row("CPU per frame, bridge process", "", f"{figures.cpu_us_per_frame:.1f} us")
    return table


def hops_table(figures: Figures) -> Table:
    """Return the latency of every hop. ``queue`` holds the cushion that starts each utterance."""
    table = Table(title="Latency, received to ...", title_justify="left", title_style="bold")
    table.add_column("hop")
    for name in ("p50", "p99", "max"):
        table.add_column(name, justify="right")
    for direction, hops in figures.hops.items():
        for hop, stats in hops.items():
            if stats is not None and stats.count:
                table.add_row(f"{direction} {hop}", *_latencies(stats))
    if figures.loop_lag is not None:
        table.add_row(f"{figures.loop} timer late by", *_latencies(figures.loop_lag))
    return table


def _count(leg: Direction, field: str) -> str:
    count = getattr(leg, field)
    return _bad(count) if field in {"lost", "duplicated", "corrupted"} else str(count)


def _bad(count: int) -> str:
    """Return *count*, in red unless it is 0."""
    return f"[bold red]{count}[/]" if count else "0"


def _latencies(stats: HopStats) -> list[str]:
    return [_duration(value) for value in (stats.p50_us, stats.p99_us, stats.max_us)]


def _duration(value_us: float) -> str:
    return f"{value_us / 1000:.1f} ms" if value_us >= 1000 else f"{value_us:.1f} us"
