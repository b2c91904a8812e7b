"""How calls come in: a voice webhook is answered, a media socket is let in, and the two find each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.io.book import EndedCall, TokenDesk
from vapimedia.io.call_log import CallNames, about, plain
from vapimedia.io.call_setup import session_config, vapi_format
from vapimedia.io.desk import Entry, Seat, Ticket, name_of
from vapimedia.io.errands import Errand, Reply
from vapimedia.io.hooks import CallInfo, CallOptions, Reject
from vapimedia.io.live_call import LiveCall
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.user_code import FAILED, ask_user
from vapimedia.protocols.dialect import Dialect, Document, Refusal
from vapimedia.protocols.vapi import CreateCall
from vapimedia.secret import Secret
from vapimedia.session import EndReason

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["OnCall", "OnFallback", "Reception", "media_url_of"]

OnCall = Callable[[CallInfo], Awaitable[CallOptions | Reject | None]]
OnFallback = Callable[[CallInfo, str], Awaitable[Any]]

ON_CALL_TIMEOUT_S = 10.0
"""Providers wait about 15 s for the answer to a voice webhook."""
_MEANT: frozenset[EndReason] = frozenset({"vapi_ended", "hang_up", "forwarded", "drain", "callback_error"})
_WITHOUT_VAPI: frozenset[EndReason] = frozenset({"vapi_closed", "vapi_lost", "vapi_failed"})
_UNCHOSEN = Reject("on_call failed")
_Said = Document | Reject | Refusal | Reply


def media_url_of(origin: str, provider: str, token: Secret) -> Secret:
    """Return the URL of a media socket under our public *origin*."""
    scheme, _, host = origin.partition("://")
    return Secret(f"{'wss' if scheme == 'https' else 'ws'}://{host}/{provider}/media/{token.reveal()}")


class Reception:
    """Lets calls in, one bridge's. Once drained of, it takes only the sockets of calls it has answered."""

    def __init__(self, bridge: Bridge, on_call: OnCall | None, on_fallback: OnFallback | None) -> None:
        self.tokens = TokenDesk(bridge.desk.signer, bridge.desk.worker, bridge.config.token_ttl_s)
        self._bridge = bridge
        self._on_call = on_call
        self._on_fallback = on_fallback
        self._opening: dict[tuple[str, str], asyncio.Task[_Said]] = {}
        self._is_draining = False
        self._is_closed = False

    def drain(self) -> bool:
        """Take no new calls. Return whether that is new."""
        if self._is_draining:
            return False
        self._is_draining = True
        self._bridge.desk.drain()
        return True

    def close(self) -> None:
        """Take nothing any more; whoever still waits for an answer is refused."""
        self.drain()
        self._is_closed = True
        for opening in self._opening.values():
            opening.cancel()

    async def wait_answered(self) -> None:
        """Wait until every webhook that came has its answer."""
        while self._opening:
            await asyncio.wait(self._opening.values())

    async def admission_of(self, provider: str, call_id: str) -> Refusal | None:
        """Return why the call *call_id* cannot be taken now; ``None`` if it can, or has been."""
        if self._bridge.book.find(provider, call_id) or (provider, call_id) in self._opening:
            return None
        return self.admission() or await self._bridge.desk.admission(provider, call_id)

    def admission(self) -> Refusal | None:
        """Return why this bridge takes no calls any more, or ``None``; whether there is room is the desk's to say."""
        if self._is_draining:
            return Refusal(503, "the bridge is draining")
        return None

    # --- webhooks --------------------------------------------------------------------------------

    async def answer(self, info: CallInfo, dialect: Dialect, origin: str) -> _Said:
        """Start the Vapi call for *info* and return the document that makes the provider open its socket.

        *dialect* has read the webhook and becomes the call's. A webhook that is sent again gets the same answer,
        even when no other call is taken any more. Raises ``ConfigError`` if there is none to give.
        """
        key = (info.provider, info.call_id)
        if key not in self._opening and self._bridge.book.find(*key) is None:
            refusal = self.admission()
            if refusal is not None:
                return refusal
            opening = self._opening[key] = self._bridge.run(self._open(info, dialect, origin))
            opening.add_done_callback(lambda _: self._opening.pop(key, None))
        return await self.answer_again(*key)

    async def answer_again(self, provider: str, call_id: str) -> _Said:
        """Return what the webhook of a call was, or is just being, answered with."""
        call = self._bridge.book.find(provider, call_id)
        if call is not None:
            return call.answer or Refusal(409, "the call has a media socket already")
        opening = self._opening.get((provider, call_id))
        if opening is None:
            return Refusal(503, "the call is over")
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not opening.cancelled() or (task is not None and task.cancelling()):
                raise  # it is the webhook's connection that is gone
            return Refusal(503, "the bridge is closed" if self._is_closed else "the call is over")

    def call_is_over(self, provider: str, call_id: str) -> None:
        """The caller has left while the user was still asked: nobody is called for them."""
        opening = self._opening.get((provider, call_id))
        if opening is not None:
            opening.cancel()

    async def _open(self, info: CallInfo, dialect: Dialect, origin: str) -> _Said:
        """Take a seat, ask the user and open the call."""
        bridge = self._bridge
        claim = await bridge.desk.claim(info.provider, info.call_id)
        if isinstance(claim, Refusal):
            return claim
        if claim == "elsewhere":
            errand = Errand("answer", info.provider, call_id=info.call_id)
            reply = await bridge.desk.relay([name_of(info.provider, info.call_id)], errand)
            return reply or Refusal(503, "the call is over")
        with claim as seat:
            chosen = await self.ask(info)
            if isinstance(chosen, Reject):
                return chosen
            if self._is_closed:
                return Refusal(503, "the bridge is closed")
            wanted = vapi_format(bridge.config, dialect)
            request = self.request(chosen, wanted)
            token, claims = self.tokens.make(info.call_id)
            await bridge.desk.expect(Ticket.of(claims, info.provider))
            call = LiveCall(bridge, dialect, session_config(bridge.config, wanted), info)
            self.record(call, chosen)
            self.tokens.bind(call, token, claims)
            bridge.book.add(call)
            seat.keep()
        media_url = media_url_of(origin, info.provider, call.token)
        try:
            call.answer = dialect.answer(
                media_url.reveal(), f"{origin}/{info.provider}/{dialect.routes.status}", chosen.parameters
            )
        except ConfigError:
            call.hang_up("the answer cannot be written")
            raise
        call.log.detail("call_answered")
        call.start_vapi(request)  # costs money: last
        return call.answer

    def _was_to_end(self, call: EndedCall) -> bool:
        goes_on = self._bridge.config.on_vapi_lost == "continue"
        return call.end_reason in _MEANT or (call.end_reason in _WITHOUT_VAPI and not goes_on)

    def request(self, chosen: CallOptions, wanted: AudioFormat) -> CreateCall:
        """Return the call to create. Raises ``ConfigError`` now for what would keep it from being sent."""
        if chosen.record and not self._bridge.config.record:
            raise ConfigError("CallOptions(record=True) needs a folder; set record (--record DIR)")
        request = chosen.request(wanted, self._bridge.config.assistant_id)
        request.body()
        return request

    def record(self, call: LiveCall, chosen: CallOptions) -> None:
        """Have *call* recorded, unless the settings or the user say otherwise."""
        recorder = self._bridge.recorder
        if recorder is not None and chosen.record is not False:
            call.record(recorder)

    async def ask(self, info: CallInfo) -> CallOptions | Reject:
        """Have the user's ``on_call`` choose how a call is answered; without one the settings do."""
        on_call = self._on_call
        if on_call is None:
            return CallOptions()
        log = about(CallNames(call_id=info.call_id, provider=info.provider))
        chosen = await ask_user("on_call", lambda: on_call(info), ON_CALL_TIMEOUT_S, log)
        if chosen is FAILED:
            self._bridge.count("on_call_failed")
            return _UNCHOSEN
        if chosen is None:
            return CallOptions()
        if not isinstance(chosen, CallOptions | Reject):
            log.fault(
                "on_call_wrong", "on_call returned %s instead of CallOptions or Reject", type(chosen).__name__
            )
            self._bridge.count("on_call_failed")
            return _UNCHOSEN
        return chosen

    async def fall_back(self, call: EndedCall, status: str) -> Document | None:
        """Ask the user what a caller whose media socket is lost shall get; ``None``: the provider goes on.

        Nobody is asked about a call that was to end: closing its socket may have been all that was left to do.
        """
        on_fallback, info = self._on_fallback, call.info
        if on_fallback is None or self._was_to_end(call):
            return None
        log = about(CallNames(call_id=info.call_id, provider=info.provider))
        chosen = await ask_user("on_fallback", lambda: on_fallback(info, status), ON_CALL_TIMEOUT_S, log)
        if chosen is FAILED:
            self._bridge.count("on_fallback_failed")
        if chosen is FAILED or chosen is None:
            return None
        try:
            return self._bridge.dialects.new(info.provider, info.call_id).fallback(chosen)
        except ConfigError as error:
            self._bridge.count("on_fallback_failed")
            log.fault("on_fallback_wrong", "on_fallback: %s", plain(str(error)))
            return None

    # --- media sockets ---------------------------------------------------------------------------

    def let_in(self, entry: Entry) -> MediaSocket | Refusal:
        """Return the socket of the call that a judged upgrade belongs to, or why it is refused."""
        if entry.ticket is None:
            return self._open_bare(entry.dialect, entry.provider)
        call = self.tokens.take(entry.ticket.jti)
        return call if isinstance(call, Refusal) else call.provider

    def _open_bare(self, dialect: Dialect, provider: str) -> MediaSocket | Refusal:
        """Take a media socket that no webhook announced: a page of the user's own, or development."""
        bridge = self._bridge
        with Seat(bridge.desk) as seat:
            try:
                wanted = vapi_format(bridge.config, dialect)
                settings = session_config(bridge.config, wanted)
                call = LiveCall(bridge, dialect, settings, CallInfo(provider=provider))
            except ConfigError as error:
                return Refusal(500, str(error))
            bridge.book.add(call)
            seat.keep()
        bridge.run(self._start_bare(call, wanted))
        return call.provider

    async def _start_bare(self, call: LiveCall, wanted: AudioFormat) -> None:
        options = await self.ask(call.info)
        if call.is_over:
            return
        if isinstance(options, Reject):
            call.hang_up("callback_error" if options is _UNCHOSEN else "rejected")
            return
        try:
            call.start_vapi(self.request(options, wanted))
            self.record(call, options)
        except ConfigError as error:
            call.log.fault("call_unanswered", "%s", plain(str(error)))
            call.hang_up("no assistant")
