"""Calls that we make: the provider is asked, its answer and its status callbacks followed to the end."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any

import msgspec

from vapimedia.errors import ConfigError, ProviderError, StateError
from vapimedia.io.call_setup import session_config, vapi_format
from vapimedia.io.hooks import Call, CallInfo, CallOptions
from vapimedia.io.live_call import LiveCall
from vapimedia.io.reception import media_url_of
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.dialect import BaseDialect, Dialect, DialRequest
from vapimedia.protocols.events import Stopped

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["Order", "dial"]

# From the answer to the media socket, and for our clock to differ from the provider's.
_AFTER_RING_S = 15


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What ``Bridge.dial`` was asked for. Its ``repr`` shows no number."""

    to: str | None
    provider: str | None
    from_: str
    options: CallOptions
    ring_timeout_s: int
    machine_detection: str
    document: Any

    def __repr__(self) -> str:
        return f"Order(provider={self.provider!r})"


async def dial(bridge: Bridge, order: Order) -> Call:
    """Make the call; what it raises stands at ``Bridge.dial``."""
    provider = _provider(bridge, order.provider)
    if not 1 <= order.ring_timeout_s <= 600:
        raise ConfigError(f"ring_timeout_s is {order.ring_timeout_s}; it must be within 1..600 seconds")
    refusal = bridge.reception.admission()
    if refusal is not None:
        raise StateError(refusal.reason)
    config = bridge.config
    dialect = bridge.dialects.new(provider)
    wanted = vapi_format(config, dialect)
    wait_s = order.ring_timeout_s + _AFTER_RING_S
    request = bridge.reception.request(order.options, wanted)
    token, claims = bridge.reception.tokens.make("", ring_s=wait_s)
    reference = secrets.token_hex(8)
    origin = config.public_url or f"http://{config.host}:{bridge.port}"
    from_ = order.from_ or getattr(config, f"{provider}_from", "")
    command = dialect.dial(
        DialRequest(
            to=order.to,
            from_=from_,
            media_url=media_url_of(origin, provider, token),
            status_url=f"{origin}/{provider}/{dialect.routes.status}/{reference}",
            parameters=order.options.parameters,
            ring_timeout_s=order.ring_timeout_s,
            machine_detection=order.machine_detection,
            document=order.document,
        )
    )
    info = CallInfo(provider=provider, from_=from_, to=order.to or "", direction="outbound")
    call = LiveCall(bridge, dialect, session_config(config, wanted, media_timeout_ms=wait_s * 1000), info)
    call.reference = reference
    bridge.reception.tokens.bind(call, token, claims)
    bridge.book.add(call)
    call.start_vapi_when_answered(request)
    placing = bridge.run(_place(bridge, call, dialect, command))
    try:
        await asyncio.shield(placing)
    except asyncio.CancelledError:
        call.hang_up("not wanted any more")  # and once more, by its id, when the provider tells it
        raise
    return call.handle


def _provider(bridge: Bridge, wanted: str | None) -> str:
    able = [name for name in bridge.config.providers if _can_dial(bridge.dialects.new(name))]
    if wanted is None and len(able) == 1:
        return able[0]
    if wanted in able:
        return wanted
    if not able:
        raise ConfigError("no provider of this bridge can dial; add twilio or vonage to its providers")
    if wanted is None:
        raise ConfigError(f"choose the provider to dial with: {', '.join(able)}")
    raise ConfigError(f"cannot dial with provider {wanted[:40]!r}; this bridge can with {', '.join(able)}")


def _can_dial(dialect: Dialect) -> bool:
    return getattr(type(dialect), "dial", None) is not BaseDialect.dial


async def _place(bridge: Bridge, call: LiveCall, dialect: Dialect, command: HttpCall) -> None:
    """Ask the provider for the call and learn its id."""
    try:
        call.dialled(dialect.read_dialled(*await bridge.client.ask(command)))
    except ProviderError:
        call.provider_events([Stopped("refused", "failed")])
        raise
    if call.is_over:  # it was given up while the provider made it
        for step in dialect.hangup():
            if isinstance(step, HttpCall):
                bridge.carry_out(step)
