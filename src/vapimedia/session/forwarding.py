"""The phone call goes on elsewhere, without the assistant: asked of the provider, and what comes meanwhile.

::

    asked for --the assistant's words are heard--> request sent --provider agrees--> the call ends: forwarded
                                                        |
                                                        +--it refuses, or is silent--> the call goes on
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from vapimedia.errors import ConfigError, StateError
from vapimedia.protocols.commands import Command
from vapimedia.protocols.forwarding import ForwardTo, forward_to
from vapimedia.protocols.vapi import StatusUpdate, TransferUpdate
from vapimedia.protocols.vapi.destinations import (
    AssistantDestination,
    Destination,
    NumberDestination,
    SipDestination,
)
from vapimedia.session.core import CallCore
from vapimedia.session.events import Actions, ForwardFailed
from vapimedia.session.lifecycle import Forwarding, State
from vapimedia.session.watch import NS_PER_MS

__all__ = ["ForwardTarget", "Forwards", "destination_of"]

ForwardTarget = ForwardTo | Destination

# Longer than anybody waits for an API; only an owner who never tells the answer comes to it.
_ANSWER_NS = 30_000 * NS_PER_MS
# What was asked for again is the same transfer, told by another event.
_AGAIN_NS = 10_000 * NS_PER_MS
# Once it has failed, what comes later than this is another attempt.
_AFTER_FAILURE_NS = 1_000 * NS_PER_MS


def destination_of(told: ForwardTarget) -> ForwardTo:
    """Return where a call is to go on, in every provider's words. Raises ``ConfigError``; another assistant is none.

    Of what Vapi's destinations have beside, only a message's text is used: the plan of a transfer is Vapi's own.
    """
    match told:
        case ForwardTo():
            return told
        case NumberDestination():
            return forward_to(
                told.number,
                caller_id=told.caller_id or "",
                extension=told.extension or "",
                message=_text_of(told.message),
            )
        case SipDestination():
            headers = {name: _plain(value) for name, value in (told.sip_headers or {}).items()}
            return forward_to(
                told.sip_uri, caller_id=told.caller_id or "", headers=headers, message=_text_of(told.message)
            )
    raise ConfigError("a phone call is forwarded to a number or a SIP address")


def _text_of(message: str | dict[str, Any] | None) -> str:
    text = message.get("content") if isinstance(message, dict) else message
    return text if isinstance(text, str) else ""


def _plain(value: Any) -> str:
    return str(value) if isinstance(value, int | float) else value  # text, or refused as what is no text


class Forwards:
    """Forwards one call, at most once at a time."""

    def __init__(self, core: CallCore) -> None:
        self._core = core
        self._last: ForwardTo | None = None
        self._last_ns = 0

    def check(self, to: ForwardTo) -> Sequence[Command]:
        """Return the dialect's plan. Raises ``ConfigError`` or ``StateError`` if there can be none now."""
        core = self._core
        if core.state is State.ENDED:
            raise StateError("the call is over")
        if core.forwarding is not None:
            raise StateError("the call is being forwarded already")
        plan = core.dialect.forward(to)
        if core.started is None:
            raise StateError("the call's media does not run yet; forward it once CallStarted has come")
        return plan

    def ask(self, told: ForwardTarget, now_ns: int, actions: Actions) -> None:
        """Begin to forward the call to where *told* says, or tell why not.

        What the assistant has said so far is heard first, for ``goodbye_ms`` at most.
        """
        core = self._core
        try:
            to = destination_of(told)
            if core.forwarding is not None and self._is_last(to):
                core.counters["forward_repeated"] += 1
                return
            plan = self.check(to)
        except (ConfigError, StateError) as error:
            core.counters["forward_refused"] += 1
            actions.events.append(ForwardFailed(str(error), refused=True))
            return
        self._last, self._last_ns = to, now_ns
        wait_ms = min(core.downlink.queued_ms(now_ns), core.config.goodbye_ms)
        core.forwarding = Forwarding(plan[:1], plan[1:], now_ns + int(wait_ms * NS_PER_MS))

    def transfer(self, event: StatusUpdate | TransferUpdate, now_ns: int, actions: Actions) -> None:
        """Do what an event of Vapi's means that names a phone, unless another has meant the same a moment ago."""
        core, told = self._core, event.destination
        if told is None or isinstance(told, AssistantDestination):
            if told is None and bytes(event.destination_json) not in (b"", b"null"):
                core.counters["transfer_unreadable"] += 1
            return
        if core.config.vapi_transfers == "ignore" or not core.dialect.caps.forwards:
            core.counters["transfer_ignored"] += 1
            return
        with suppress(ConfigError):
            if now_ns - self._last_ns < _AGAIN_NS and self._is_last(destination_of(told)):
                core.counters["forward_repeated"] += 1
                return
        self.ask(told, now_ns, actions)

    def answered(self, trouble: str, now_ns: int, actions: Actions) -> None:
        """The provider's API agreed, or *trouble* says why it did not."""
        core, forwarding = self._core, self._core.forwarding
        if forwarding is None or not forwarding.is_asked:
            core.counters["late_forward_answer"] += 1
            return
        if not trouble:
            core.end("forwarded", "", now_ns, actions)
            return
        core.forwarding = None
        self._last_ns = min(self._last_ns, now_ns + _AFTER_FAILURE_NS - _AGAIN_NS)
        core.counters["forward_failed"] += 1
        actions.events.append(ForwardFailed(trouble))
        if forwarding.end is not None:
            core.end(*forwarding.end, now_ns, actions)

    def _is_last(self, to: ForwardTo) -> bool:
        return self._last is not None and to.is_same_place(self._last)

    def go_on(self, now_ns: int, actions: Actions) -> None:
        """Send the request when it is time, and give up an answer that does not come."""
        core, forwarding = self._core, self._core.forwarding
        if forwarding is None or core.state is State.ENDED:
            return
        if forwarding.is_asked:
            if now_ns >= forwarding.due_ns:
                self.answered("no answer", now_ns, actions)
        elif now_ns >= forwarding.due_ns or core.downlink.queued_ms(now_ns) <= 0:
            actions.to_provider += forwarding.request
            forwarding.is_asked, forwarding.due_ns = True, now_ns + _ANSWER_NS
