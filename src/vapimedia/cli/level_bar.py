"""How loud something is, and how long ago, in few characters."""

from __future__ import annotations

from rich.text import Text

__all__ = ["QUIETEST_DBFS", "age", "level_bar"]

QUIETEST_DBFS = -60.0
_LOUD_DBFS = -6.0


def level_bar(level_dbfs: float | None, cells: int, *, is_ascii: bool) -> Text:
    """Return a bar of at most *cells* characters, from -60 dBFS up; an empty one for ``None``."""
    if level_dbfs is None:
        return Text("")
    share = min(1.0, max(0.0, 1 - level_dbfs / QUIETEST_DBFS))
    eighths = round(share * cells * 8)
    if is_ascii:
        bar = "#" * round(eighths / 8)
    else:
        bar = "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]
    return Text(bar, style="red" if level_dbfs > _LOUD_DBFS else "green")


def age(age_ms: float) -> str:
    """Return a time as 0:07 or 1:02:03."""
    minutes, seconds = divmod(int(age_ms // 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
