"""How live calls look in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from vapimedia.cli.level_bar import age, level_bar

if TYPE_CHECKING:
    from vapimedia.io.admin import Status, WorkerStatus
    from vapimedia.io.snapshot import CallFigures

__all__ = ["head", "lines", "page"]

_BAR_CELLS = 6
_ID_CHARACTERS = 10
_LINES_AROUND = 5  # head, table head with its rule, what is left out, and one to breathe
_WIDE = 128  # columns of the terminal for all of ours; fewer show the vital ones
_STATE_STYLES = {"live": "green", "ending": "yellow"}


def page(status: Status, before: Status | None, console: Console, trouble: str = "") -> RenderableType:
    """Return a screenful. *before* is an earlier look, for figures that are differences."""
    room = max(1, console.size.height - _LINES_AROUND - bool(trouble))
    shown = lines(status, before, console, max_calls=room)
    if trouble:
        shown.insert(1, Text(trouble, style="bold red", no_wrap=True, overflow="ellipsis"))
    return Group(*shown)


def lines(
    status: Status, before: Status | None, console: Console, *, max_calls: int | None
) -> list[RenderableType]:
    """Return the head, the table of the oldest *max_calls* calls, and how many more there are."""
    calls = status.calls if max_calls is None else status.calls[:max_calls]
    shown: list[RenderableType] = [head(status, before)]
    shown.append(_table(calls, console) if calls else Text("no calls"))
    if len(calls) < len(status.calls):
        shown.append(Text(f"and {len(status.calls) - len(calls)} more"))
    return shown


def head(status: Status, before: Status | None) -> Text:
    """Return the line about the whole bridge."""
    workers = status.workers
    words = [f"vapimedia {status.version}"]
    if len(workers) > 1:
        words.append(f"{len(workers)} workers")
    words += [f"{len(status.calls)} calls", f"{sum(status.ended.values())} ended"]
    lags = [worker.loop_lag.p99_us for worker in workers if worker.loop_lag is not None]
    if lags:
        words.append(f"loop lag p99 {_duration(max(lags))}")
    share = _cpu_share(workers, before.workers if before is not None else [])
    if share is not None:
        words.append(f"CPU {share:.0%}")
    memory = [worker.memory_bytes for worker in workers if worker.memory_bytes is not None]
    if memory:
        words.append(f"{sum(memory) / 2**20:.0f} MiB")
    return Text("  ".join(words), style="bold")


def _cpu_share(now: list[WorkerStatus], before: list[WorkerStatus]) -> float | None:
    """Return the processor time per time of all workers since *before*: 1.0 is one core."""
    known = {(worker.worker, worker.pid): worker for worker in before}
    shares = []
    for worker in now:
        earlier = known.get((worker.worker, worker.pid))
        if earlier is not None and worker.taken_ns > earlier.taken_ns:
            shares.append((worker.cpu_s - earlier.cpu_s) / ((worker.taken_ns - earlier.taken_ns) / 1e9))
    return sum(shares) if shares else None


def _table(calls: list[CallFigures], console: Console) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold cyan")
    columns = [one for one in _COLUMNS if one.is_vital or console.width >= _WIDE]
    for column in columns:
        table.add_column(column.name, justify=column.justify, no_wrap=True)
    is_ascii = console.options.ascii_only
    for call in calls:
        table.add_row(*(column.cell(call, is_ascii) for column in columns))
    return table


class _Column(NamedTuple):
    name: str
    cell: Callable[[CallFigures, bool], RenderableType]
    justify: Literal["left", "right"] = "right"
    is_vital: bool = True


def _hop(path: str, quantile: str) -> Callable[[CallFigures, bool], str]:
    def cell(call: CallFigures, _is_ascii: bool) -> str:
        stats = getattr(call, path)
        return "" if stats is None or stats.send is None else _duration(getattr(stats.send, quantile))

    return cell


def _playout(field: str) -> Callable[[CallFigures, bool], str]:
    def cell(call: CallFigures, _is_ascii: bool) -> str:
        return "" if call.downlink is None else _duration(getattr(call.downlink, field) * 1e3)

    return cell


def _gaps(call: CallFigures, _is_ascii: bool) -> Text:
    gaps = call.downlink.gaps if call.downlink is not None else 0
    return Text(str(gaps), style="bold red" if gaps else "")


_COLUMNS = (
    _Column("call", lambda call, _: escape(_short(call.call_id or call.vapi_call_id)), "left"),
    _Column("provider", lambda call, _: escape(call.provider), "left", is_vital=False),
    _Column("w", lambda call, _: str(call.worker), is_vital=False),
    _Column("age", lambda call, _: age(call.age_ms)),
    _Column(
        "state",
        lambda call, _: Text(call.state, style=_STATE_STYLES.get(call.state, "")),
        "left",
        is_vital=False,
    ),
    _Column(
        "caller", lambda call, is_ascii: level_bar(call.caller_dbfs, _BAR_CELLS, is_ascii=is_ascii), "left"
    ),
    _Column(
        "assist.",
        lambda call, is_ascii: level_bar(call.assistant_dbfs, _BAR_CELLS, is_ascii=is_ascii),
        "left",
    ),
    _Column("queued", _playout("queued_ms")),
    _Column("heard", _playout("heard_ms")),
    _Column("gaps", _gaps),
    _Column("up p50", _hop("uplink", "p50_us"), is_vital=False),
    _Column("up p99", _hop("uplink", "p99_us")),
    _Column("down p50", _hop("downlink", "p50_us"), is_vital=False),
    _Column("down p99", _hop("downlink", "p99_us")),
)


def _short(call_id: str) -> str:
    """Return the end of an id: the beginning is often the same for all."""
    return call_id[-_ID_CHARACTERS:] or "(new)"


def _duration(us: float) -> str:
    """Return a duration with three digits at most, and its unit."""
    for limit, size, unit in ((1e3, 1.0, "us"), (1e6, 1e3, "ms"), (60e6, 1e6, "s")):
        if us < limit * 0.9995:
            value = us / size
            return f"{value:.1f} {unit}" if value < 10 and unit != "us" else f"{value:.0f} {unit}"
    return age(us / 1e3)
