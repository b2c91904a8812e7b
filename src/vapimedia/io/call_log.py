"""Lines of the log about one call: an event, the call's names, and fields. See docs/logging.md.

Each line is an ordinary record of the logger ``vapimedia.call``. Its text is ``event name=value ...``; the same
stands on the record as ``event``, ``call``, ``call_id``, ``vapi_call_id``, ``provider``, ``leg`` and ``fields``.
"""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vapimedia.io.hooks import Call

__all__ = ["NOBODY", "CallLog", "CallNames", "HidesWords"]
__all__ += ["about", "plain", "told_of", "without_numbers", "word_of"]

_log = logging.getLogger("vapimedia.call")

_MAX_TEXT = 200
_MAX_FRAMES = 8
_BARE = re.compile(r"[A-Za-z0-9_.:/@+-]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
# Digits in a row, as people write numbers too, are somebody's.
_DIGITS = re.compile(r"\d(?:[\s()./-]{0,3}\d){6,}")


class CallNames(NamedTuple):
    """What a call is known by: ``call`` is ours, for the log alone; the others are empty until they are known."""

    call: str = ""
    call_id: str = ""
    vapi_call_id: str = ""
    provider: str = ""


class CallLog:
    """Writes lines about the call that *names* tells of, and its *leg* if it is about one."""

    def __init__(self, names: Callable[[], CallNames], leg: str = "") -> None:
        self._names = names
        self._leg = leg

    @property
    def names(self) -> CallNames:
        """What the call is known by now."""
        return self._names()

    def of_leg(self, leg: str) -> CallLog:
        """Return what writes about one leg of the same call."""
        return CallLog(self._names, leg)

    def detail(self, event: str, message: str = "", /, *args: object, **fields: object) -> None:
        """Write what only somebody who looks for something wants to know."""
        self._write(logging.DEBUG, event, message, args, fields)

    def note(self, event: str, message: str = "", /, *args: object, **fields: object) -> None:
        """Write what every call has: a handful of lines."""
        self._write(logging.INFO, event, message, args, fields)

    def trouble(self, event: str, message: str = "", /, *args: object, **fields: object) -> None:
        """Write that something is not as it should be, and the call goes on or ends as it must."""
        self._write(logging.WARNING, event, message, args, fields)

    def fault(self, event: str, message: str = "", /, *args: object, **fields: object) -> None:
        """Write what somebody has to mend."""
        self._write(logging.ERROR, event, message, args, fields)

    def broke(self, event: str, error: BaseException, **fields: object) -> None:
        """Write that *error* came where none should: its type and its place, not its words."""
        self._write(logging.ERROR, event, "", (), fields | {"error": told_of(error)})

    def _write(
        self, level: int, event: str, message: str, args: tuple[object, ...], fields: Mapping[str, object]
    ) -> None:
        if not _log.isEnabledFor(level):
            return
        names = self._names()._asdict()
        if self._leg:
            names["leg"] = self._leg
        told = {name: value for name, value in {**names, **fields}.items() if value != ""}
        text = " ".join([event, *(f"{name}={_value(value)}" for name, value in told.items())])
        if message:
            message = message % args if args else message
            text = f"{text}: {message}"
        extra = {"event": event, "leg": "", **names, "fields": dict(fields), "told": message}
        _log.log(level, "%s", text, extra=extra, stacklevel=3)


NOBODY = CallLog(CallNames)
"""Writes lines about no call that is known."""


def about(call: Call | CallNames | None) -> CallLog:
    """Return what writes about *call*, or the one of these names."""
    if isinstance(call, CallNames):
        return CallLog(lambda: call)
    return NOBODY if call is None else call.log


class HidesWords(logging.Filter):
    """For loggers of libraries: of an exception, type and place stay. Its words may be what a peer sent."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change *record*, and let it pass."""
        if record.exc_info and record.exc_info[1] is not None:
            # asyncio shows the exception again in further lines, and a callback's arguments in parentheses.
            said = record.getMessage().partition("\n")[0].partition("(")[0].rstrip()
            record.msg = f"{plain(said)}: {told_of(record.exc_info[1])}"
            record.args, record.exc_info, record.exc_text = (), None, None
        return True


def told_of(error: BaseException) -> str:
    """Return the type of *error* and where it was raised, innermost first. Nothing in it came from outside."""
    frames = traceback.extract_tb(error.__traceback__)[-_MAX_FRAMES:]
    places = [f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames)]
    return f"{type(error).__name__} at {' < '.join(places)}" if places else type(error).__name__


def plain(text: str, max_chars: int = _MAX_TEXT) -> str:
    """Return *text* on one line, without what is not printable, and not long."""
    short = text if len(text) <= max_chars else f"{text[:max_chars]}..."
    return "".join(char if char.isprintable() else "?" for char in short)


def without_numbers(text: str) -> str:
    """Return *text* without what may be a phone number."""
    return _DIGITS.sub("...", text)


def word_of(text: str) -> str:
    """Return a peer's *text* if it is a word such as programs use, else how long it is."""
    is_word = _NAME.fullmatch(text) is not None and _DIGITS.search(text) is None
    return text if is_word else f"({len(text)} characters)"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"
    text = plain(str(value))
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
