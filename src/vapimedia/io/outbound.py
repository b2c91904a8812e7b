"""Calls that we make: the provider is asked, its answer and its status callbacks followed to the end."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from vapimedia.errors import ConfigError, ProviderError, StateError
from vapimedia.io.call_log import CallNames, about
from vapimedia.io.call_setup import session_config, vapi_format
from vapimedia.io.desk import Seat, Ticket
from vapimedia.io.hooks import Call, CallInfo, CallOptions, Reject, check_types
from vapimedia.io.live_call import LiveCall
from vapimedia.io.reception import media_url_of
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.dialect import Dialect, DialRequest, Refusal, StatusReport
from vapimedia.protocols.events import Stopped
from vapimedia.session import EndReason

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["Order", "dial", "hang_up_given_up"]


# From the answer to the media socket, and for our clock to differ from the provider's.
_AFTER_RING_S = 15
# Ends that the provider told, or that leave the call to it: there is nothing left to hang up.
_OVER_THERE: frozenset[EndReason] = frozenset(
    {"provider_stop", "busy", "unanswered", "rejected", "cancelled", "failed", "forwarded"}
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What ``Bridge.dial`` was asked for. Its ``repr`` shows no number."""

    to: str | None
    provider: str | None
    from_: str
    options: CallOptions | None
    ring_timeout_s: int
    machine_detection: str
    document: Any

    def __post_init__(self) -> None:
        check_types(self, "dial: ")
        if self.options is not None and not isinstance(self.options, CallOptions):
            raise ConfigError("dial: options must be CallOptions(...)")

    def __repr__(self) -> str:
        return f"Order(provider={self.provider!r})"


async def dial(bridge: Bridge, order: Order) -> Call:
    """Make the call; what it raises stands at ``Bridge.dial``."""
    provider = _provider(bridge, order.provider)
    if not 1 <= order.ring_timeout_s <= 600:
        raise ConfigError(f"ring_timeout_s is {order.ring_timeout_s}; it must be within 1..600 seconds")
    _check_admission(bridge)
    from_ = order.from_ or bridge.config.number_of(provider)
    info = CallInfo(provider=provider, from_=from_, to=order.to or "", direction="outbound")
    claim = await bridge.desk.claim(provider)
    if not isinstance(claim, Seat):
        raise StateError(claim.reason if isinstance(claim, Refusal) else "the call is known already")
    with claim as seat:
        options = order.options or await _chosen(bridge, info)
        call, dialect, command = await _prepare(bridge, order, info, options)
        seat.keep()
    call.placing = placing = bridge.run(_place(bridge, call, dialect, command))
    try:
        error = await asyncio.shield(placing)
    except asyncio.CancelledError:
        call.hang_up("dial was cancelled")  # and once more, by its id, when the provider tells it
        task = asyncio.current_task()
        if not placing.cancelled() or (task is not None and task.cancelling()):
            raise
        raise StateError("the bridge was closed before the provider had made the call") from None
    if error is not None:
        raise error
    return call.handle


def hang_up_given_up(bridge: Bridge, provider: str, reference: str, report: StatusReport) -> None:
    """End the call that *report* is about if it lives on at the provider after we had given it up."""
    book = bridge.book
    if not book.is_given_up(reference) or not report.call_id:
        return  # what is about its media leg alone does not tell which call that is
    if any(isinstance(event, Stopped) for event in report.events):
        book.forget_given_up(reference)
        return
    plan = bridge.dialects.new(provider, report.call_id).hangup()
    for request in (step for step in plan if isinstance(step, HttpCall)):
        names = CallNames(call_id=report.call_id, provider=provider)
        about(names).trouble("given_up_call", "it lives on: the provider is asked to end it")
        bridge.count("given_up_call")
        book.forget_given_up(reference)
        bridge.carry_out(request, ends=reference)


def _provider(bridge: Bridge, wanted: str | None) -> str:
    able = [name for name in bridge.config.providers if bridge.dialects.new(name).caps.dials]
    if wanted is None and len(able) == 1:
        return able[0]
    if wanted in able:
        return wanted
    if not able:
        raise ConfigError("no provider of this bridge can dial; add twilio or vonage to its providers")
    if wanted is None:
        raise ConfigError(f"choose the provider to dial with: {', '.join(able)}")
    raise ConfigError(f"cannot dial with provider {wanted[:40]!r}; this bridge can with {', '.join(able)}")


def _check_admission(bridge: Bridge) -> None:
    refusal = bridge.reception.admission()
    if refusal is not None:
        raise StateError(refusal.reason)


async def _chosen(bridge: Bridge, info: CallInfo) -> CallOptions:
    """Return what the settings say, or else the user's ``on_call``."""
    if bridge.config.assistant_id:
        return CallOptions()
    chosen = await bridge.reception.ask(info)
    if isinstance(chosen, Reject):
        raise ConfigError(f"nobody is called: {chosen.reason or 'on_call rejected the call'}")
    return chosen


async def _prepare(
    bridge: Bridge, order: Order, info: CallInfo, options: CallOptions
) -> tuple[LiveCall, Dialect, HttpCall]:
    """Return the call, booked, and the request that makes it. Raises ``ConfigError``; nothing is booked then."""
    config, tokens = bridge.config, bridge.reception.tokens
    dialect = bridge.dialects.new(info.provider)
    wanted = vapi_format(config, dialect)
    wait_s = order.ring_timeout_s + _AFTER_RING_S
    request = bridge.reception.request(options, wanted)
    token, claims = tokens.make("", ring_s=wait_s)
    reference = secrets.token_hex(8)
    host = f"[{config.host}]" if ":" in config.host else config.host
    origin = config.public_url or f"http://{host}:{bridge.port}"
    command = dialect.dial(
        DialRequest(
            to=order.to,
            from_=info.from_,
            media_url=media_url_of(origin, info.provider, token),
            status_url=f"{origin}/{info.provider}/{dialect.routes.status}/{reference}",
            parameters=options.parameters,
            ring_timeout_s=order.ring_timeout_s,
            machine_detection=order.machine_detection,
            document=order.document,
        )
    )
    await bridge.desk.expect(Ticket.of(claims, info.provider, is_dialled=True))
    _check_admission(bridge)  # things may have changed meanwhile
    call = LiveCall(
        bridge, dialect, session_config(config, wanted, ring_ms=order.ring_timeout_s * 1000), info
    )
    call.reference = reference
    bridge.reception.record(call, options)
    tokens.bind(call, token, claims)
    bridge.book.add(call)
    bridge.named(call)
    call.start_vapi_when_answered(request)
    return call, dialect, command


async def _place(bridge: Bridge, call: LiveCall, dialect: Dialect, command: HttpCall) -> ProviderError | None:
    """Ask the provider for the call and learn its id; return why there is none."""
    trouble = "not sent"
    try:
        call.dialled(dialect.read_dialled(*await bridge.client.ask(command)))
        trouble = ""
    except ProviderError as error:
        bridge.book.give_up(call.reference)
        trouble = "no answer" if error.status is None else f"status {error.status}"
        return error
    finally:
        if trouble:
            call.provider_events([Stopped(trouble, "failed")])
    if call.is_over and call.summary().end_reason not in _OVER_THERE:
        # It was given up while the provider made it.
        for step in dialect.hangup():
            if isinstance(step, HttpCall):
                call.ask_provider(step)
    return None
