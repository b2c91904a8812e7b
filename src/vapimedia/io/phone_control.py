"""Vapi leaves the phone leg to the bridge: ``phone-call-control`` forwards a call or hangs it up."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from vapimedia.io.live_call import LiveCall
from vapimedia.protocols.vapi import PhoneCallControl

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["control_phone"]

_log = logging.getLogger("vapimedia.call")


async def control_phone(bridge: Bridge, call: LiveCall | None, message: PhoneCallControl) -> None:
    """Do what *message* says to the phone leg, unless the user's handler has done it or it is not wanted."""
    acts = await bridge.handlers.lets_act(call.handle if call is not None else None, message)
    if not acts or bridge.config.phone_call_control == "ignore":
        return
    to = message.destination if message.request == "forward" else None
    if message.request != "hang-up" and to is None:
        bridge.count("phone_call_control_unknown")
        call_id = call.call_id if call is not None else "that is not here (any more)"
        _log.error("call %s: Vapi asks for something of the phone leg that cannot be read", call_id)
    elif call is None or call.is_over:
        bridge.count("phone_call_control_lost")
        _log.warning("Vapi asks for %r of a call that is not here (any more)", message.request)
    elif to is None:
        call.hang_up_when_heard("phone-call-control")
    else:
        call.forward(to)  # what keeps it from that is told by ForwardFailed
