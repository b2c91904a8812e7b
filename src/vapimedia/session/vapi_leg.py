"""What Vapi's words do to a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from vapimedia.protocols.commands import SendText
from vapimedia.protocols.vapi import (
    Malformed,
    SpeechUpdate,
    StatusUpdate,
    TransferUpdate,
    UnknownEvent,
    UserInterrupted,
    decode_event,
)
from vapimedia.session.core import CallCore, sends
from vapimedia.session.events import Actions, BargeIn, EndReason
from vapimedia.session.forwarding import Forwards
from vapimedia.session.lifecycle import Leg
from vapimedia.session.watch import NS_PER_MS, BadStreak

__all__ = ["VapiLeg"]

# What the user and key presses may leave for an assistant that is not there yet.
_MAX_HELD_TEXTS = 32


class VapiLeg:
    """One reaction per Vapi event that means something to the media; all of them go on to the user."""

    def __init__(self, core: CallCore, forwards: Forwards) -> None:
        self._core = core
        self._forwards = forwards
        self._held_texts: list[bytes] = []
        self._unreadable = BadStreak(core.config.max_bad_in_a_row)
        self.drop_downlink_until_ns = 0
        self._reactions: Mapping[type[Any], Callable[[Any, int, Actions], None]] = {
            StatusUpdate: self._on_status,
            TransferUpdate: self._forwards.transfer,
            SpeechUpdate: self._on_speech,
            UserInterrupted: self._on_user_interrupted,
        }

    def open(self, now_ns: int, actions: Actions) -> None:
        """The socket is open: uplink audio runs from here. A message proves it too."""
        core = self._core
        if core.vapi is not Leg.UNOPENED:
            return
        core.vapi = Leg.OPEN
        actions.to_vapi += [SendText(text) for text in self._held_texts]
        self._held_texts.clear()
        actions.to_vapi += sends(core.uplink, core.uplink.open(now_ns))
        core.check_ready()

    def close(self, reason: EndReason, detail: str, now_ns: int, actions: Actions) -> None:
        """The socket is gone, or never came. After Vapi has ended the call that is no news."""
        self._core.vapi = Leg.CLOSED
        if self._core.goodbye is None:
            self._core.end(reason, detail, now_ns, actions)

    def tell(self, data: bytes, actions: Actions) -> None:
        """Send a text message; a few are held until the socket opens."""
        core = self._core
        if core.vapi is Leg.OPEN:
            actions.to_vapi.append(SendText(data))
        elif core.vapi is Leg.UNOPENED and len(self._held_texts) < _MAX_HELD_TEXTS:
            self._held_texts.append(data)
        else:
            core.counters["vapi_text_dropped"] += 1

    def take_message(self, message: bytes, is_text: bool, now_ns: int, actions: Actions) -> None:
        """Act on one message: audio if it is binary."""
        core = self._core
        if core.vapi is Leg.CLOSED:
            core.counters["late_vapi_message"] += 1
        elif is_text:
            self._take_text(message, now_ns, actions)
        elif now_ns < self.drop_downlink_until_ns:
            core.counters["guarded_message"] += 1
        else:
            actions.to_provider += core.plays(core.downlink.feed(message, now_ns))

    def _take_text(self, message: bytes, now_ns: int, actions: Actions) -> None:
        core, event = self._core, decode_event(message)
        if isinstance(event, Malformed):
            core.counters["vapi_malformed"] += 1
            # A wrong field is a change at Vapi's side, not a broken peer.
            if event.reason != "wrong_field" and self._unreadable.bad():
                core.end("protocol_error", "unreadable messages", now_ns, actions, vapi_code=1007)
            return
        self._unreadable.good()
        if isinstance(event, UnknownEvent):
            core.counters["vapi_unknown"] += 1
        actions.events.append(event)
        relayed = (
            core.dialect.relay(event) if core.started is not None and core.provider is Leg.OPEN else None
        )
        if relayed is not None:
            actions.to_provider.append(relayed)
        react = self._reactions.get(type(event))
        if react is not None:
            react(event, now_ns, actions)

    def _on_status(self, event: StatusUpdate, now_ns: int, actions: Actions) -> None:
        if event.status == "forwarding":
            self._forwards.transfer(event, now_ns, actions)
        if not event.ended:
            return
        self._core.vapi_call.over = True
        self.finish(event.ended_reason or "", now_ns, actions)

    def finish(self, detail: str, now_ns: int, actions: Actions) -> None:
        """End the call on Vapi's word, once the caller has heard what was already said."""
        core = self._core
        if core.goodbye is not None:
            return
        if core.started is not None and core.config.goodbye_ms:
            actions.to_provider += core.plays(core.downlink.speech_ended(now_ns))
            if core.downlink.queued_ms(now_ns) > 0:
                core.say_goodbye(detail, now_ns, actions)
                return
        core.end("vapi_ended", detail, now_ns, actions)

    def _on_speech(self, event: SpeechUpdate, now_ns: int, actions: Actions) -> None:
        core = self._core
        if event.says("assistant", "started"):
            core.downlink.speech_started()
            self.drop_downlink_until_ns = 0
        elif event.says("assistant", "stopped"):
            actions.to_provider += core.plays(core.downlink.speech_ended(now_ns))
            mark = core.next_mark()
            if mark is not None:
                actions.to_provider.append(mark)
        elif (
            event.says("user", "started")
            and core.config.barge_in == "speech-update"
            and self._interrupt(now_ns, actions)
        ):
            # Only after a real interruption: the caller may just take a turn.
            self._guard(now_ns)

    def _on_user_interrupted(self, event: UserInterrupted, now_ns: int, actions: Actions) -> None:
        if self._core.config.barge_in != "off":
            self._interrupt(now_ns, actions)
            self._guard(now_ns)

    def _interrupt(self, now_ns: int, actions: Actions) -> bool:
        """Drop what the caller has not heard; return whether there was anything."""
        core = self._core
        if core.downlink.queued_ms(now_ns) <= 0:
            return False
        heard_ms = core.downlink.heard_ms(now_ns)
        dropped_ms = core.downlink.clear(now_ns)
        clear = core.dialect.clear() if core.started is not None else None
        if clear is not None:
            actions.to_provider.append(clear)
        core.n_barge_ins += 1
        actions.events.append(BargeIn(dropped_ms, heard_ms))
        return True

    def _guard(self, now_ns: int) -> None:
        if self._core.config.interrupt_guard_ms:
            self.drop_downlink_until_ns = now_ns + self._core.config.interrupt_guard_ms * NS_PER_MS
