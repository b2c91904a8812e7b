"""A soak as one SVG, drawn by hand: memory, descriptors and latency over time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from vapimedia.bench.soak_figures import Sample
from vapimedia.errors import ConfigError

__all__ = ["check_plot", "sparkline", "svg_of", "write_plot"]

_WIDTH, _HEIGHT = 900, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 90, 16, 28, 26
_STEPS = "▁▂▃▄▅▆▇█"
_STYLE = (
    "svg{background:#fff;font:12px sans-serif}"
    ".line{fill:none;stroke:#0b62c4;stroke-width:1.5}"
    ".grid{stroke:#ddd}.settled{stroke:#c40b2b;stroke-dasharray:4 3}.name{font-weight:bold}"
)


class _Panel(NamedTuple):
    name: str
    figure: Callable[[Sample], float | None]
    per_unit: float
    """How many of the sample's units one of the axis is."""


_PANELS = (
    _Panel("resident memory, MiB", lambda one: one.rss_kb, 1024),
    _Panel("given out by the C library's allocator, MiB", lambda one: one.allocated_kb, 1024),
    _Panel("given out by Python's allocator, thousand blocks", lambda one: one.python_blocks, 1000),
    _Panel("descriptors", lambda one: one.descriptors, 1),
    _Panel("latency p99, ms", lambda one: one.p99_us, 1000),
)


def check_plot(file: Path) -> None:
    """Raise ``ConfigError`` for a file that is neither ``.svg`` nor ``.html``."""
    if file.suffix not in (".svg", ".html"):
        raise ConfigError(f"--plot writes .svg or .html, not {file.name!r}")


def write_plot(file: Path, title: str, samples: Sequence[Sample], settled_s: float) -> None:
    """Write the picture, for ``.html`` as a page that needs nothing else. Raises ``OSError``."""
    drawn = svg_of(title, samples, settled_s)
    if file.suffix == ".html":
        drawn = f'<!doctype html>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n{drawn}'
    file.write_text(drawn, encoding="utf-8")


def svg_of(title: str, samples: Sequence[Sample], settled_s: float) -> str:
    """Return one panel for each figure that the samples have; a dashed line is where figures are taken from."""
    shown = [panel for panel in _PANELS if any(panel.figure(one) is not None for one in samples)]
    height = _TOP + len(shown) * _HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        f"<style>{_STYLE}</style>",
        f'<text class="name" x="{_LEFT}" y="18">{escape(title)}</text>',
    ]
    for i, panel in enumerate(shown):
        parts += _panel(panel, samples, settled_s, _TOP + i * _HEIGHT)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: _Panel, samples: Sequence[Sample], settled_s: float, top: int) -> list[str]:
    points = [
        (one.at_s, value / panel.per_unit) for one in samples if (value := panel.figure(one)) is not None
    ]
    last_s = max(points[-1][0], 1e-9)
    low, high = min(value for _, value in points), max(value for _, value in points)
    if high - low < 1e-9:  # a flat line lies in the middle
        low, high = low - 1, high + 1
    floor = top + _HEIGHT - _BOTTOM

    def x(at_s: float) -> float:
        return round(_LEFT + (_WIDTH - _LEFT - _RIGHT) * at_s / last_s, 1)

    def y(value: float) -> float:
        return round(floor - (_HEIGHT - _TOP - _BOTTOM) * (value - low) / (high - low), 1)

    parts = [f'<text x="{_LEFT}" y="{top + 18}">{escape(panel.name)}</text>']
    for value in (low, high):
        at = y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{at}" x2="{_WIDTH - _RIGHT}" y2="{at}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4}" text-anchor="end">{value:.6g}</text>')
    for at_s in (0.0, last_s / 2, last_s):
        text = f"{at_s / 60:.1f} min"
        parts.append(f'<text x="{x(at_s)}" y="{floor + 16}" text-anchor="middle">{text}</text>')
    at = x(min(settled_s, last_s))
    parts.append(f'<line class="settled" x1="{at}" y1="{top + _TOP}" x2="{at}" y2="{floor}"/>')
    line = " ".join(f"{x(at_s)},{y(value)}" for at_s, value in points)
    return [*parts, f'<polyline class="line" points="{line}"/>']


def sparkline(values: Sequence[float | None], width: int = 40) -> str:
    """Return *values* as a line of blocks, at most *width* of them; the lowest is the lowest block."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    n = min(width, len(known))
    means = [_mean(known[i * len(known) // n : (i + 1) * len(known) // n]) for i in range(n)]
    low, high = min(means), max(means)
    scale = (len(_STEPS) - 1) / (high - low) if high > low else 0.0
    return "".join(_STEPS[round((value - low) * scale)] for value in means)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
