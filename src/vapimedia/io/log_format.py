"""How a process of ours writes its log: one line a record, as text or as JSON."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from vapimedia.io.call_log import HidesWords, plain

__all__ = ["FORMATS", "JsonFormatter", "TextFormatter", "write_log"]

LogFormat = Literal["text", "json"]
FORMATS: tuple[LogFormat, ...] = ("text", "json")

_NAMES = ("call", "call_id", "vapi_call_id", "provider", "leg")
# What libraries log of exceptions may quote peers.
_LIBRARIES = (
    "asyncio",
    "aiohttp.access",
    "aiohttp.server",
    "aiohttp.web",
    "aiohttp.client",
    "aiohttp.internal",
)


class TextFormatter(logging.Formatter):
    """``time level logger: event name=value ...``. What goes on in another line is indented there."""

    def __init__(self, worker: int = 0) -> None:
        of = f"worker {worker} " if worker else ""
        super().__init__(f"%(asctime)s %(levelname)s {of}%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        lines = super().format(record).split("\n")
        return "\n    ".join(plain(line, 10_000) for line in lines)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: ``ts``, ``level``, ``event``, the call's names as far as they are known, the fields.

    A record that is no event of a call is the event ``message``.
    """

    def __init__(self, worker: int = 0) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        told: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": getattr(record, "event", "message"),
        }
        told |= {name: value for name in _NAMES if (value := getattr(record, name, ""))}
        if self._worker:
            told["worker"] = self._worker
        told["logger"] = record.name
        told |= {name: value for name, value in getattr(record, "fields", {}).items() if name not in told}
        message = getattr(record, "told", None)
        message = record.getMessage() if message is None else message
        if message:
            told["message"] = message
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, default=str)


def write_log(level: str, form: LogFormat = "text", *, worker: int = 0) -> None:
    """Write what is logged from *level* on to standard error, unless somebody has set up the log otherwise.

    May be called again, for another form or level.
    """
    formatter = JsonFormatter(worker) if form == "json" else TextFormatter(worker)
    root = logging.getLogger()
    ours = [one for one in root.handlers if isinstance(one.formatter, TextFormatter | JsonFormatter)]
    if root.handlers and not ours:
        return
    if not ours:
        ours = [logging.StreamHandler(sys.stderr)]
        root.addHandler(ours[0])
    ours[0].setFormatter(formatter)
    root.setLevel(level.upper())
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        if not any(isinstance(one, HidesWords) for one in logger.filters):
            logger.addFilter(HidesWords())
