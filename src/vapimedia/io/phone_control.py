"""Vapi leaves the phone leg to the bridge: ``phone-call-control`` forwards a call or hangs it up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vapimedia.io.call_log import NOBODY, CallLog, word_of
from vapimedia.io.live_call import LiveCall
from vapimedia.protocols.vapi import PhoneCallControl

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["control_phone"]


def _log_of(call: LiveCall | None) -> CallLog:
    return NOBODY if call is None else call.log


async def control_phone(bridge: Bridge, call: LiveCall | None, message: PhoneCallControl) -> None:
    """Do what *message* says to the phone leg, unless the user's handler has done it or it is not wanted."""
    acts = await bridge.handlers.lets_act(call.handle if call is not None else None, message)
    if not acts or bridge.config.phone_call_control == "ignore":
        return
    to = message.destination if message.request == "forward" else None
    if message.request != "hang-up" and to is None:
        bridge.count("phone_call_control_unknown")
        _log_of(call).fault("phone_call_control_unknown", "what Vapi asks of the phone leg cannot be read")
    elif call is None or call.is_over:
        bridge.count("phone_call_control_lost")
        asked = word_of(message.request or "")
        _log_of(call).trouble("phone_call_control_lost", "the call is not here (any more)", request=asked)
    elif to is None:
        call.hang_up_when_heard("phone-call-control")
    else:
        call.forward(to)  # what keeps it from that is told by ForwardFailed
