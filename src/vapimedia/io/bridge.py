"""A whole bridge inside one asyncio program: public port, admin port, live calls, callbacks, drain."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from aiohttp import web

from vapimedia.errors import ConfigError, StateError
from vapimedia.io.admin import admin_app
from vapimedia.io.book import CallBook
from vapimedia.io.call_log import NOBODY, CallLog, HidesWords, about
from vapimedia.io.call_setup import Dialects
from vapimedia.io.clerk import Clerk
from vapimedia.io.config import BridgeConfig
from vapimedia.io.desk import Desk, FrontDesk, LocalDesk, names_of
from vapimedia.io.hooks import Call, CallOptions
from vapimedia.io.http_head import Head
from vapimedia.io.http_port import HttpPort
from vapimedia.io.leftovers import Leftovers
from vapimedia.io.live_call import LiveCall
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.outbound import Order, dial
from vapimedia.io.public_port import PublicPort, RouteUpgrade
from vapimedia.io.pump import Pump
from vapimedia.io.reception import Reception
from vapimedia.io.recording import Recorder
from vapimedia.io.registry import Registry
from vapimedia.io.snapshot import source_of
from vapimedia.io.tls import client_context
from vapimedia.io.user_code import describe_failure
from vapimedia.io.vapi_client import VapiClient
from vapimedia.io.webhooks import public_app
from vapimedia.io.wire_log import WireLog, regarding
from vapimedia.media import HopStats
from vapimedia.media.distribution import hop_of
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.dialect import Refusal
from vapimedia.session import CallSummary

__all__ = ["Bridge"]

_log = logging.getLogger("vapimedia.bridge")
_http_log = logging.getLogger("vapimedia.io.http")
_http_log.addFilter(HidesWords())  # aiohttp tells of requests that it cannot read

_T = TypeVar("_T")


class Bridge(Registry):
    """Joins phone calls to Vapi calls.

    ``async with Bridge(config) as bridge: await bridge.wait_closed()``, or ``await bridge.serve()``. Register
    callbacks before it starts. One bridge belongs to one event loop.
    """

    def __init__(self, config: BridgeConfig | None = None) -> None:
        self.config = config or BridgeConfig()
        self.book = CallBook()
        super().__init__(self.config, self.count)
        self.port = 0
        self.admin_port = 0
        self.pump: Pump
        self.client: VapiClient
        self.desk: Desk
        self.dialects: Dialects
        self.reception: Reception
        self.clerk: Clerk
        self.recorder: Recorder | None = None
        self.wire: WireLog | None = None
        self._leftovers = Leftovers()
        self._tasks = self._leftovers.tasks
        self._is_closing = False
        self._closed = asyncio.Event()
        self._public: PublicPort | None = None
        self._admin: HttpPort | None = None
        self._runners: list[web.AppRunner] = []

    def configure(self, config: BridgeConfig) -> None:
        """Replace the settings. Raises ``StateError`` once the bridge has started."""
        if self._is_started:
            raise StateError("the bridge has started; configure it before")
        self.config = config
        self.tools.deadline_s = config.tool_timeout_s
        self.handlers.config = config

    # --- life ------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Check the settings and bind both ports; ``port`` and ``admin_port`` then tell which.

        Raises ``ConfigError``; nothing is left open then. Raises ``StateError`` if it was started before: a bridge
        lives once.
        """
        self.check()
        if self.config.workers > 1:
            raise ConfigError("a Bridge is one process; vapimedia serve --workers runs several")
        front = FrontDesk(self.config)

        def route_upgrade(head: Head, remote: str) -> MediaSocket | Refusal:
            entry = front.judge(head, remote)
            return entry if isinstance(entry, Refusal) else self.reception.let_in(entry)

        public = await self.set_up(LocalDesk(front), front.dialects, route_upgrade)
        try:
            self.port = public.start(self.config.host, self.config.port)
            host, port = self.config.admin_address()
            admin = await self._runner(admin_app(source_of(self)))
            self._admin = HttpPort(admin.server)  # type: ignore[arg-type]  # set by setup()
            self.admin_port = self._admin.start(host, port)
        except (OSError, UnicodeError) as error:  # UnicodeError: no host can be called so
            await self.close()
            why = getattr(error, "strerror", None) or error
            # Whatever is bound already has told its port.
            which = "--admin" if self.port else "--host or --port"
            raise ConfigError(f"cannot listen: {why}; choose another {which}") from None

    def check(self) -> None:
        """Raise what keeps the bridge from starting: ``ConfigError``, or ``StateError`` if it was started before."""
        if self._is_started:
            raise StateError("the bridge was started before; make a new one")
        self.config.check()
        if not self.config.assistant_id and self._on_call is None:
            raise ConfigError("no assistant: give --assistant-id, or choose one for each call in on_call")

    async def set_up(self, desk: Desk, dialects: Dialects, route_upgrade: RouteUpgrade) -> PublicPort:
        """Make ready to take calls, behind *desk*; return the port that does not listen yet."""
        self._is_started = True
        self.desk = desk
        self.dialects = dialects
        self.reception = Reception(self, self._on_call, self._on_fallback)
        self.clerk = Clerk(self)
        self.pump = Pump(asyncio.get_running_loop())
        self.pump.reactor.coalesce_us = self.config.coalesce_us
        if self.config.wire_log:
            self.wire = WireLog(self.config.wire_log)
            self.wire.start()
        self.client = VapiClient.of(self.config)
        self.client.tell(self.wire)
        if self.config.vapi_url.startswith("https:"):
            await client_context()  # now, and not when the first call wants it
        self.recorder = Recorder(self.config.record, self.count) if self.config.record else None
        runner = await self._runner(public_app(self))
        self._public = PublicPort(
            route_upgrade,
            runner.server,  # type: ignore[arg-type]  # set by setup()
            ping_interval_s=self.config.ping_interval_s,
        )
        return self._public

    async def _runner(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_http_log,
            handle_signals=False,
            shutdown_timeout=1.0,
            lingering_time=1.0,
            auto_decompress=False,
        )
        await runner.setup()
        self._runners.append(runner)
        return runner

    async def serve(self) -> None:
        """Start, and run until ``close`` or ``drain`` is done, or the task is cancelled."""
        async with self:
            await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the bridge is closed."""
        await self._closed.wait()

    async def drain(self, reason: str = "drain") -> None:
        """Take no new calls, let the live ones run for ``drain_s`` at most, then end them and close."""
        if self._is_started:
            await self.run_out(reason)
            await self.clerk.server_url.wait_answered(self.config.answer_timeout_s)
            await self.close()

    async def run_out(self, reason: str) -> None:
        """Take no new calls, and wait until nothing lives, for ``drain_s`` at most."""
        if self.reception.drain():
            _log.info("draining, calls that live: %d (%s)", len(self.book.live), reason)
        try:
            async with asyncio.timeout(self.config.drain_s):
                await self.reception.wait_answered()
                await self.book.is_empty.wait()
        except TimeoutError:
            _log.warning("the drain limit ends what still lives, calls: %d", len(self.book.live))

    async def close(self) -> None:
        """End what lives and let go of everything. Safe to call twice."""
        if not self._is_started:
            return
        if self._is_closing:
            await self._closed.wait()
            return
        self._is_closing = True
        try:
            await self._close()
        finally:
            self._closed.set()

    async def _close(self) -> None:
        self.reception.close()
        for call in list(self.book.live):
            call.hang_up("drain")
        if self._public is not None:
            await self._public.close()
        await self._leftovers.settle(self.client.timeout_s)
        if self._admin is not None:
            await self._admin.close()
        for runner in self._runners:
            await runner.cleanup()
        self.pump.close()
        self.tools.close()
        self.handlers.close()
        if self.recorder is not None:
            await self.recorder.close()
        await self.client.close()
        if self.wire is not None:
            self.wire.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- calls -----------------------------------------------------------------------------------

    async def dial(
        self,
        to: str | None,
        *,
        provider: str | None = None,
        from_: str = "",
        options: CallOptions | None = None,
        ring_timeout_s: int = 60,
        machine_detection: str = "",
        document: Any = None,
    ) -> Call:
        """Make a call and return it once the provider has taken it; ``await call.ended()`` waits for its end.

        *to* is a phone number in E.164; ``None`` has Vonage call our media socket alone, and *document* is the NCCO
        for its other side. *provider* may be left out where only one can dial; *from_* is the provider's setting
        (``twilio_from``, ``vonage_from``) unless given. The assistant is called when somebody answers; without
        *options* and ``assistant_id`` it is ``on_call`` that chooses it, before the call is made.
        ``CallProgress`` events tell how far it is, ``CallEnded`` how it ended (``busy``, ``unanswered``, ...).

        Raises ``ConfigError`` for what cannot be dialled, ``StateError`` when the bridge takes no calls, and
        ``ProviderError`` when the provider's API refuses or does not answer; the call has ended as ``failed`` then.
        Cancelled, it hangs up, once the provider has told which call that is.
        """
        if not self._is_started:
            raise StateError("the bridge has not started; dial once it has")
        order = Order(
            to=to,
            provider=provider,
            from_=from_,
            options=options,
            ring_timeout_s=ring_timeout_s,
            machine_detection=machine_detection,
            document=document,
        )
        return await dial(self, order)

    @property
    def calls(self) -> list[LiveCall]:
        """The calls that live now."""
        return list(self.book.live)

    @property
    def summaries(self) -> deque[CallSummary]:
        """The calls that ended, newest last; the last thousand."""
        return self.book.summaries

    @property
    def counters(self) -> Counter[str]:
        """Everything that was dropped, unknown, malformed or stale, by a word, over all ended calls."""
        return self.book.counters

    @property
    def loop_lag(self) -> HopStats | None:
        """How late the media timer was; ``None`` before the first call."""
        return hop_of(self.pump.lag.read())

    # --- what live calls ask for (CallHost) ------------------------------------------------------

    def run(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Run *work* beside everything else; it is waited for, briefly, at the end."""
        return self._leftovers.run(work)

    def carry_out(self, request: HttpCall, *, ends: str = "", log: CallLog = NOBODY) -> asyncio.Task[bool]:
        """Make a request that nobody waits for; a failure is counted, and the call that it *ends* remembered."""

        async def work() -> bool:
            regarding(log)
            is_done = await self.client.carry_out(request, log)
            if not is_done:
                self.count(f"{request.purpose}_failed")
                if ends:
                    self.book.give_up(ends)
            return is_done

        return self.run(work())

    def count(self, what: str, n: int = 1) -> None:
        """Count an irregularity."""
        self.counters[what] += n

    def tell(self, call: LiveCall | None, event: object) -> None:
        """Show *event* to the user's callback. If that raises, the call ends, or goes on by setting; others go on."""
        callbacks = [*self._watchers] if self._on_event is None else [*self._watchers, self._on_event]
        try:
            for callback in callbacks:
                callback(call.handle if call is not None else None, event)
        except KeyboardInterrupt:
            raise
        except (
            BaseException
        ) as error:  # a user's function may raise anything, CancelledError and SystemExit too
            log = about(None if call is None else call.handle)
            told = describe_failure(error)
            log.fault("on_event_failed", "on_event raised %s at %s", told, type(event).__name__)
            self.count("callback_error")
            goes_on = self.config.on_callback_error == "continue"
            if call is not None and not call.is_over and not goes_on:
                call.hang_up("callback_error")

    def started(self, call: LiveCall, call_id: str) -> None:
        """The provider's start message named the call: it must be the one that the token was made for."""
        if not self.reception.tokens.belongs(call, call_id):
            self.count("foreign_start")
            call.hang_up("the start message names another call than the token")

    def named(self, call: LiveCall) -> None:
        """Webhooks may ask for *call* by another name too, unless it was over before it got it."""
        if not call.is_over:
            self.desk.named(names_of(call))

    def ended(self, call: LiveCall, summary: CallSummary) -> None:
        """Book a call that is over on both legs."""
        self.desk.left(names_of(call), self.reception.tokens.forget(call))
        self.book.close(call, summary)
        self.leaving(call)

    def leaving(self, call: LiveCall) -> None:
        """Remember a call that is over until nothing of it is left."""
        self._leftovers.add(call)
