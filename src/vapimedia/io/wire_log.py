"""The wire log: a line for each message and request, with its structure and without its contents. For debugging.

Nothing of it runs, and nothing is asked for it on the way of media, unless ``wire_log`` names a file. Media is told of
as sums once a second.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeVar

from vapimedia.errors import ConfigError
from vapimedia.io.call_log import NOBODY, CallLog
from vapimedia.io.elided import MAX_BYTES, elided, type_of
from vapimedia.media import PathStats
from vapimedia.protocols.commands import CloseSocket, Command, SendBinary, SendText
from vapimedia.session import CallSession

__all__ = ["CallWire", "WireLog", "WiredRequest", "regarding", "regarding_call"]

_PERIOD_S: Final = 1.0
_T = TypeVar("_T")
_Direction = Literal["in", "out"]
_regarded: ContextVar[CallLog] = ContextVar("vapimedia_call", default=NOBODY)


def regarding(log: CallLog) -> None:
    """Say which call the requests of this task are about, from here on."""
    _regarded.set(log)


async def regarding_call(log: CallLog, work: Coroutine[Any, Any, _T]) -> _T:
    """Do *work*, whose requests are about the call of *log*."""
    regarding(log)
    return await work


class WireLog:
    """One file, to which lines of JSON are appended. Raises ``ConfigError`` if it cannot be written."""

    def __init__(self, path: str) -> None:
        try:  # it is nobody else's to read
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise ConfigError(f"wire_log: {path!r} cannot be written: {error.strerror}") from None
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)
        self._calls: set[CallWire] = set()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Tell of media once a second from now on."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def of(self, log: CallLog, session: CallSession) -> CallWire:
        """Return what tells of one call."""
        call = CallWire(self, log, session)
        self._calls.add(call)
        return call

    def begin(self, direction: _Direction, method: str, to: str, n_sent: int) -> WiredRequest:
        """Return what tells of an HTTP request at its end. *to*: a host or a route, without what may be a secret."""
        return WiredRequest(self, direction, method, to, n_sent)

    def write(self, log: CallLog, leg: str, direction: str, kind: str, told: Mapping[str, object]) -> None:
        """Write a line."""
        if self._file.closed:
            return
        names = {name: value for name, value in log.names._asdict().items() if value}
        line: dict[str, object] = {"ts": datetime.now(UTC).isoformat(timespec="milliseconds"), **names}
        line |= {"leg": leg} if leg else {}
        line |= {"dir": direction, "kind": kind, **told}
        try:
            self._file.write(f"{json.dumps(line)}\n")
        except OSError as error:  # the disk is full: the calls go on
            self.close()
            log.fault("wire_log_ended", "nothing more is written to it: %s", error.strerror)

    def left(self, call: CallWire) -> None:
        """The call is over."""
        self._calls.discard(call)

    def close(self) -> None:
        """Write nothing more."""
        if self._task is not None:
            self._task.cancel()
        try:
            self._file.close()
        except OSError:
            return

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD_S)
            for call in list(self._calls):
                call.tell_media()


class WiredRequest:
    """One request. ``status`` is 0 until there is an answer."""

    def __init__(self, wire: WireLog, direction: _Direction, method: str, to: str, n_sent: int) -> None:
        self._wire, self._direction = wire, direction
        self._told = {"method": method, "to": to, "bytes": n_sent}
        self.status = 0
        self.n_bytes = 0

    def end(self) -> None:
        """Write its line. It is about the call that its task is about by now."""
        told = self._told | {"status": self.status, "answer_bytes": self.n_bytes}
        self._wire.write(_regarded.get(), "", self._direction, "http", told)


class CallWire:
    """Tells of one call's sockets."""

    def __init__(self, wire: WireLog, log: CallLog, session: CallSession) -> None:
        self._wire = wire
        self._log = log
        self._session = session
        self._seen: dict[str, PathStats] = {}

    def opened(self, leg: str) -> None:
        """A socket is open."""
        self._write(leg, "in", "open", {})

    def closed(self, leg: str, code: int) -> None:
        """A socket is gone."""
        self._write(leg, "in", "close", {"code": code})

    def came(self, leg: str, message: bytes, is_text: bool) -> None:
        """A message came that is no plain media."""
        self._message(leg, "in", message, is_text)

    def goes(self, leg: str, commands: Iterable[Command]) -> None:
        """Commands are carried out; requests are told of as such."""
        for command in commands:
            match command:
                case SendText(data) | SendBinary(data):
                    self._message(leg, "out", data, isinstance(command, SendText))
                case CloseSocket(code, _):
                    self._write(leg, "out", "close", {"code": code})

    def over(self) -> None:
        """The call has ended."""
        self.tell_media()
        self._wire.left(self)

    def tell_media(self) -> None:
        """Tell how much media has come and gone since the last time."""
        session = self._session
        for (source, target), path in (
            (("provider", "vapi"), session.uplink),
            (("vapi", "provider"), session.downlink),
        ):
            stats, before = path.stats(), self._seen.get(source, PathStats())
            self._seen[source] = stats
            came, went = stats.messages_in - before.messages_in, stats.messages_out - before.messages_out
            if came:
                self._write(
                    source, "in", "media", {"n": came, "ms": _ms(stats.audio_in_ms - before.audio_in_ms)}
                )
            if went:
                self._write(
                    target, "out", "media", {"n": went, "ms": _ms(stats.audio_out_ms - before.audio_out_ms)}
                )

    def _message(self, leg: str, direction: _Direction, message: bytes, is_text: bool) -> None:
        told: dict[str, object] = {"bytes": len(message)}
        if is_text:
            told = {"type": type_of(message), **told}
            if len(message) <= MAX_BYTES:
                told["body"] = elided(message)
        self._write(leg, direction, "text" if is_text else "binary", told)

    def _write(self, leg: str, direction: str, kind: str, told: dict[str, object]) -> None:
        self._wire.write(self._log, leg, direction, kind, told)


def _ms(value: float) -> int:
    return round(value)
