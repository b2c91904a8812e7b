"""The process that owns the public port and shares it out: one desk, one admin port, several workers."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable

import msgspec
from aiohttp import web

from vapimedia import audio
from vapimedia._version import __version__
from vapimedia.errors import ConfigError, VapimediaError
from vapimedia.io.admin import admin_app
from vapimedia.io.config import BridgeConfig
from vapimedia.io.desk import FrontDesk, name_of
from vapimedia.io.errands import Errand, Reply
from vapimedia.io.front_door import FrontDoor, address_of
from vapimedia.io.http_head import Head
from vapimedia.io.http_port import HttpPort
from vapimedia.io.snapshot import Snapshot, merge, retire
from vapimedia.io.workers import messages as say
from vapimedia.io.workers.process import WorkerProcess
from vapimedia.io.workers.roster import Roster
from vapimedia.io.workers.switchboard import Switchboard
from vapimedia.protocols.dialect import Refusal

__all__ = ["Supervisor"]

_log = logging.getLogger("vapimedia.workers")

_decode = msgspec.msgpack.Decoder(Snapshot).decode
_SNAPSHOT_S = 1.0
_SECRET_BYTES = 32
_AFTER_DRAIN_S = 15.0
"""What a worker may take to end what hangs on others, beyond the drain limit and the last tool's."""
_NOBODY = Refusal(503, "no worker can take the request now")
_GONE = Refusal(503, "the worker that had the call is gone")


class Supervisor:
    """Stands where a ``Bridge`` stands when there are several workers: ``start``, ``drain``, ``close``.

    *config* has been checked, and so has its app.
    """

    def __init__(self, config: BridgeConfig, *, log_level: str = "info") -> None:
        self.port = 0
        self.admin_port = 0
        self._config = config
        self._log_level = log_level
        self._secret = secrets.token_bytes(_SECRET_BYTES)
        self._front = FrontDesk(config, secret=self._secret)
        self._calls = Switchboard()
        self._door = FrontDoor(self._take)
        self._retired: Snapshot | None = None
        self._admin: web.AppRunner | None = None
        self._admin_door: HttpPort | None = None
        self._closing: asyncio.Future[None] | None = None
        self._n_silent = 0
        self._closed = asyncio.Event()
        self._roster = Roster(config.workers, self._make, self._setup, self._lost)

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bind both ports and start the workers. Raises ``ConfigError``; nothing is left open then."""
        try:
            await self._listen()
            await self._roster.start()
        except BaseException:
            await self.close()
            raise
        self._door.open()

    async def _listen(self) -> None:
        try:
            self.port = self._door.bind(self._config.host, self._config.port)
            self._admin = web.AppRunner(
                admin_app(self.snapshot), access_log=None, handle_signals=False, shutdown_timeout=1.0
            )
            await self._admin.setup()
            self._admin_door = HttpPort(self._admin.server)  # type: ignore[arg-type]  # set by setup()
            self.admin_port = self._admin_door.start(*self._config.admin_address())
        except (OSError, UnicodeError) as error:  # UnicodeError: no host can be called so
            why = getattr(error, "strerror", None) or error
            which = "--admin" if self.port else "--host or --port"
            raise ConfigError(f"cannot listen: {why}; choose another {which}") from None

    async def wait_closed(self) -> None:
        """Wait until all is closed. Raises ``VapimediaError`` when no worker can be had."""
        self._roster.given_up.add_done_callback(lambda _: self._closed.set())
        await self._closed.wait()
        if self._roster.given_up.done():
            await self.close()
            raise VapimediaError(self._roster.given_up.result())

    async def drain(self, reason: str = "drain") -> None:
        """Have every worker drain; close once all have ended."""
        self._front.drain()
        self._roster.end(say.Drain(reason))
        try:
            limit_s = self._config.drain_s + self._config.answer_timeout_s + _AFTER_DRAIN_S
            await asyncio.wait_for(self._roster.is_empty.wait(), limit_s)
        except TimeoutError:
            _log.error("workers have not drained within the limit: %d", len(self._roster.workers))
        await self.close()

    async def close(self) -> None:
        """End every worker at once, and let go of everything. Safe to call twice."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        try:
            self._front.drain()
            await self._door.close()
            await self._roster.close()
            if self._admin_door is not None:
                await self._admin_door.close()
            if self._admin is not None:
                await self._admin.cleanup()
        finally:
            self._closed.set()

    # --- connections -----------------------------------------------------------------------------

    def _take(self, connection: socket.socket, head: Head) -> None:
        if not head.is_upgrade:
            self._pass_on(connection, say.Passed(), self._least_loaded())
            return
        entry = self._front.judge(head, address_of(connection))
        if isinstance(entry, Refusal):
            self._door.handovers.refuse(connection, entry)
            return
        passed = say.Passed(entry.provider, entry.ticket)
        if entry.ticket is not None:
            named = self._roster.workers.get(entry.ticket.worker)
            self._pass_on(connection, passed, named if named is not None and named.is_ready else None)
            return
        worker = self._least_loaded()
        if worker is not None:
            worker.n_seats += 1
        if not self._pass_on(connection, passed, worker):
            self._free(worker)

    def _pass_on(self, connection: socket.socket, passed: say.Passed, worker: WorkerProcess | None) -> bool:
        if worker is not None and worker.pass_on(connection, passed):
            return True
        self._door.handovers.refuse(connection, _NOBODY)
        return False

    def _least_loaded(self) -> WorkerProcess | None:
        def reluctance(worker: WorkerProcess) -> tuple[bool, bool, int]:
            return worker.is_leaving, worker.is_slow, worker.load

        return min((one for one in self._roster.ready if one.has_room), key=reluctance, default=None)

    # --- workers ---------------------------------------------------------------------------------

    def _make(self, number: int, gone: Callable[[WorkerProcess], None]) -> WorkerProcess:
        return WorkerProcess(number, self._told, self._asked, gone)

    def _setup(self, number: int) -> say.Setup:
        return say.Setup(number, self._config, self._secret, self.port, self.admin_port, self._log_level)

    def _lost(self, worker: WorkerProcess) -> None:
        """Only its calls have ended with it; nothing names it any more."""
        self._front.free_seats(worker.n_seats)
        self._front.forget_worker(worker.number)
        self._calls.forget(worker.number)
        last = retire(worker.snapshot or _nothing(), worker.n_seats)
        self._retired = last if self._retired is None else merge([self._retired, last])

    def _free(self, worker: WorkerProcess | None) -> None:
        self._front.free_seats()
        if worker is not None:
            worker.n_seats -= 1

    def _told(self, worker: WorkerProcess, body: say.Body) -> None:
        match body:
            case say.Named(names):
                self._calls.add(worker.number, names)
            case say.Left(names, jti):
                self._free(worker)
                self._calls.retire(worker.number, names)
                if jti is not None:
                    self._front.forget(jti)
            case say.GiveBack(names):
                self._free(worker)
                self._calls.remove(names)
            case say.Draining():
                worker.is_leaving = True
            case say.Last(snapshot):
                worker.snapshot = _decode(snapshot)

    async def _asked(self, worker: WorkerProcess, body: say.Body) -> say.Body:
        match body:
            case say.AskAdmission(provider, call_id):
                is_known = self._calls.find_live(name_of(provider, call_id)) is not None
                return say.Verdict(None if is_known else self._front.admission())
            case say.AskClaim(provider, call_id):
                return self._claim(worker, name_of(provider, call_id) if call_id else "")
            case say.AskExpect(ticket):
                self._front.expect(ticket)
                return say.Done()
            case say.AskSpend(uses):
                return say.Verdict(self._front.spend(uses))
            case say.AskRelay(names, errand, key):
                return await self._relay(worker, names, errand, key)
            case say.AskLeave(snapshot):
                worker.has_left = True
                worker.snapshot = _decode(snapshot)
                return say.Done()
        return say.Broken()

    def _claim(self, worker: WorkerProcess, name: str) -> say.Claimed:
        owner = self._calls.find_live(name)
        if owner is not None and owner != worker.number:
            return say.Claimed(is_elsewhere=True)
        refusal = self._front.take_seat()
        if refusal is None:
            worker.n_seats += 1
            if name:
                self._calls.add(worker.number, [name])
        return say.Claimed(refusal)

    async def _relay(self, worker: WorkerProcess, names: list[str], errand: Errand, key: str) -> say.Relayed:
        known = {self._calls.find(name) for name in names} - {None}
        if not known and key:
            known.add(self._calls.first(worker.number, key))
        numbers = known - {worker.number}
        for number in numbers:
            owner = self._roster.workers.get(number or 0)
            if owner is not None and owner.is_ready:
                answer = await owner.ask(say.AskWork(errand))
                return answer if isinstance(answer, say.Relayed) else say.Relayed(Reply.of(_GONE))
        return say.Relayed(None)

    # --- figures ---------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """Return the figures of all workers. One that does not answer within 1 s is counted; only its totals are in."""
        asking = {worker: asyncio.ensure_future(self._snapshot_of(worker)) for worker in self._roster.ready}
        if asking:
            _, late = await asyncio.wait(asking.values(), timeout=_SNAPSHOT_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        answers = {worker: None if task.cancelled() else task.result() for worker, task in asking.items()}
        self._n_silent += sum(answer is None for answer in answers.values())
        parts = []
        for worker in self._roster.workers.values():  # one that is gone by now is among the retired
            answer = answers.get(worker)
            if answer is not None:
                parts.append(answer)
            elif worker.snapshot is not None:  # what it had told before still counts: totals only grow
                parts.append(msgspec.structs.replace(worker.snapshot, workers=[], calls=[]))
        own = _nothing()
        own.restarts = self._roster.restarts
        if self._n_silent:
            own.counters["worker_silent"] = self._n_silent
        retired = [] if self._retired is None else [self._retired]
        return merge([own, *parts, *retired])

    async def _snapshot_of(self, worker: WorkerProcess) -> Snapshot | None:
        answer = await worker.ask(say.AskSnapshot())
        if isinstance(answer, say.Taken):
            worker.snapshot = _decode(answer.snapshot)
            return worker.snapshot
        return None


def _nothing() -> Snapshot:
    """Return the figures of a process that carries no calls."""
    return Snapshot(
        version=__version__,
        simd=audio.simd,
        workers=[],
        calls=[],
        ended={},
        counters={},
        barge_ins=0,
        paths={},
    )
