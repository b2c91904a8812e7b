"""How calls come in: a voice webhook is answered, a media socket is let in, and the two find each other."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.io.book import TokenDesk
from vapimedia.io.call_setup import new_dialect, session_config, vapi_format
from vapimedia.io.hooks import CallInfo, CallOptions, Reject
from vapimedia.io.http_head import Head
from vapimedia.io.live_call import LiveCall
from vapimedia.io.pump import MediaSocket
from vapimedia.protocols.dialect import Dialect, Document, Refusal, UpgradeRequest

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["OnCall", "Reception"]

_log = logging.getLogger("vapimedia.bridge")

OnCall = Callable[[CallInfo], Awaitable[CallOptions | Reject | None]]

_DRAIN_ACCEPT_S = 20.0
"""How long sockets with a live token are still taken while draining."""


class Reception:
    """Lets calls in, one bridge's. Once drained of, it takes only the sockets of calls it has answered."""

    def __init__(self, bridge: Bridge, on_call: OnCall | None) -> None:
        self.tokens = TokenDesk(bridge.config.token_ttl_s)
        self._bridge = bridge
        self._on_call = on_call
        self._opening: dict[tuple[str, str], asyncio.Task[LiveCall | Reject | Refusal]] = {}
        self._draining_since: float | None = None

    def drain(self) -> bool:
        """Take no new calls. Return whether that is new."""
        if self._draining_since is not None:
            return False
        self._draining_since = time.monotonic()
        return True

    def admission(self) -> Refusal | None:
        """Return why no call can be taken now, or ``None``."""
        if self._draining_since is not None:
            return Refusal(503, "the bridge is draining")
        if len(self._bridge.book.live) >= self._bridge.config.max_calls:
            return Refusal(503, f"the bridge carries {self._bridge.config.max_calls} calls already")
        return None

    # --- webhooks --------------------------------------------------------------------------------

    async def answer(self, dialect: Dialect, info: CallInfo, origin: str) -> Document | Reject | Refusal:
        """Start the Vapi call for *info* and return the document that makes the provider open its socket.

        A webhook that is sent again gets the same answer. Raises ``ConfigError`` if there is none to give.
        """
        call: LiveCall | Reject | Refusal | None = self._bridge.book.find(info.provider, info.call_id)
        if call is None:
            call = await self._open_once(info)
        if not isinstance(call, LiveCall):
            return call
        scheme, _, host = origin.partition("://")
        media_url = f"{'wss' if scheme == 'https' else 'ws'}://{host}/{info.provider}/media/{call.token}"
        try:
            return dialect.answer(media_url, f"{origin}/{info.provider}/status", call.parameters)
        except ConfigError:
            call.hang_up("the answer cannot be written")
            raise

    async def _open_once(self, info: CallInfo) -> LiveCall | Reject | Refusal:
        """Ask the user and open the call, once for webhooks that come while that takes its time."""
        key = (info.provider, info.call_id)
        opening = self._opening.get(key)
        if opening is None:
            opening = self._opening[key] = self._bridge.run(self._open(info))
            opening.add_done_callback(lambda _: self._opening.pop(key, None))
        return await asyncio.shield(opening)

    async def _open(self, info: CallInfo) -> LiveCall | Reject | Refusal:
        bridge = self._bridge
        chosen = await self._ask(info)
        if isinstance(chosen, Reject):
            return chosen
        refusal = self.admission()  # others may have come in meanwhile
        if refusal is not None:
            return refusal
        dialect = new_dialect(bridge.config, info.provider, info.call_id)
        wanted = vapi_format(bridge.config, dialect)
        request = chosen.request(wanted, bridge.config.assistant_id)
        call = LiveCall(bridge, dialect, session_config(bridge.config, wanted), info)
        call.parameters = chosen.parameters
        self.tokens.issue(call, info.call_id)
        bridge.book.add(call)
        call.start_vapi(request)
        return call

    async def _ask(self, info: CallInfo) -> CallOptions | Reject:
        if self._on_call is None:
            return CallOptions()
        try:
            chosen: object = await self._on_call(info)
        except Exception as error:  # a user's function may raise anything; the caller hears the fallback
            _log.error("on_call raised %s", type(error).__name__)
            return Reject("on_call failed")
        if chosen is None:
            return CallOptions()
        if not isinstance(chosen, CallOptions | Reject):
            _log.error("on_call returned %s instead of CallOptions or Reject", type(chosen).__name__)
            return Reject("on_call failed")
        return chosen

    # --- media sockets ---------------------------------------------------------------------------

    def route_upgrade(self, head: Head, remote: str) -> MediaSocket | Refusal:
        """Return the socket of the call that an upgrade belongs to, or why it is refused."""
        path = head.target.partition("?")[0]
        provider, _, rest = path.removeprefix("/").partition("/")
        if provider not in self._bridge.config.providers or rest.partition("/")[0] != "media":
            return Refusal(404, "there is no media socket at this path")
        dialect = new_dialect(self._bridge.config, provider)
        refusal = dialect.check_upgrade(UpgradeRequest(head.target, head.headers, remote))
        if refusal is not None:
            return refusal
        token = rest.partition("/")[2].rstrip("/")
        if token:
            return self._redeem(token)
        if self._bridge.config.auth:
            return Refusal(403, "the path holds no media token")
        return self.admission() or self._open_bare(dialect, provider)

    def _redeem(self, token: str) -> MediaSocket | Refusal:
        if self._draining_since is not None and time.monotonic() - self._draining_since > _DRAIN_ACCEPT_S:
            return Refusal(503, "the bridge is draining")
        call = self.tokens.redeem(token)
        return call if isinstance(call, Refusal) else call.provider

    def _open_bare(self, dialect: Dialect, provider: str) -> MediaSocket | Refusal:
        """Take a media socket that no webhook announced (development only)."""
        bridge = self._bridge
        try:
            wanted = vapi_format(bridge.config, dialect)
            settings = session_config(bridge.config, wanted)
            call = LiveCall(bridge, dialect, settings, CallInfo(provider=provider))
        except ConfigError as error:
            return Refusal(500, str(error))
        bridge.book.add(call)
        bridge.run(self._start_bare(call, wanted))
        return call.provider

    async def _start_bare(self, call: LiveCall, wanted: AudioFormat) -> None:
        options = await self._ask(call.info)
        if call.is_over:
            return
        if isinstance(options, Reject):
            call.hang_up("rejected")
            return
        try:
            call.start_vapi(options.request(wanted, self._bridge.config.assistant_id))
        except ConfigError as error:
            _log.error("%s", error)
            call.hang_up("no assistant")
