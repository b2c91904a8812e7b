"""What the provider's words do to a call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vapimedia.errors import ConfigError
from vapimedia.protocols.events import (
    CallProgress,
    Dtmf,
    MarkPlayed,
    Media,
    Problem,
    ProviderEvent,
    Started,
    Stopped,
    UnknownMessage,
)
from vapimedia.session.core import CallCore, sends
from vapimedia.session.dtmf import FREQUENCIES_HZ, key_message, key_tone
from vapimedia.session.events import Actions, CallStarted, EndReason
from vapimedia.session.lifecycle import Leg, State, Step
from vapimedia.session.vapi_leg import VapiLeg
from vapimedia.session.watch import BadStreak, is_unreadable

__all__ = ["ProviderLeg"]


class ProviderLeg:
    """One reaction per provider event; an event without one changes nothing."""

    def __init__(self, core: CallCore, vapi: VapiLeg) -> None:
        self._core = core
        self._vapi = vapi
        self._media_is_text: bool | None = None
        self._unreadable = BadStreak(core.config.max_bad_in_a_row)
        self._n_media = 0
        self._reactions: Mapping[type[Any], Callable[[Any, int, Actions], None]] = {
            Started: self._on_started,
            Media: self._on_media,
            Dtmf: self._on_dtmf,
            MarkPlayed: self._on_mark_played,
            Stopped: self._on_stopped,
            CallProgress: self._on_progress,
            Problem: self._on_problem,
            UnknownMessage: self._on_unknown,
        }

    def open(self, now_ns: int, actions: Actions) -> None:
        """The socket is open. A message proves it too, whatever the I/O layer reports first."""
        core = self._core
        if core.provider is Leg.UNOPENED:
            core.provider = Leg.OPEN
            core.step(Step.PROVIDER_OPENED)
            core.deadlines.disarm("media_timeout")
            core.deadlines.arm("start_timeout", now_ns, core.config.start_timeout_ms)
            self.take_events(core.dialect.opened(), now_ns, actions)

    def close(self, code: int, breach: bool, now_ns: int, actions: Actions) -> None:
        """The socket is gone. After a breach it was we who closed it: the caller is still to be hung up."""
        self._core.provider, self._core.provider_is_over = Leg.CLOSED, not breach
        lost: EndReason = "provider_reset" if code == 1006 else "provider_closed"
        reason: EndReason = "protocol_error" if breach else lost
        self._core.end(reason, str(code), now_ns, actions)

    def take_media(self, message: bytes, is_text: bool, now_ns: int, actions: Actions) -> bool:
        """Give *message* to the uplink; return whether it was media that the path could read."""
        uplink = self._core.uplink
        messages = uplink.take(message, now_ns) if is_text is self._media_is_text else None
        if messages is not None:
            actions.to_vapi += sends(uplink, messages)
        return messages is not None

    def take_message(self, message: bytes, is_text: bool, now_ns: int, actions: Actions) -> None:
        """Act on one message that is not plain media."""
        events = self._core.dialect.feed(message, is_text)
        self.take_events(events, now_ns, actions)
        if not any(isinstance(event, Problem) and is_unreadable(event) for event in events):
            self._unreadable.good()
            return
        # Media in between may have passed the session by.
        n_media = self._core.uplink.stats(now_ns).messages_in
        if n_media != self._n_media:
            self._unreadable.good()
            self._n_media = n_media
        if self._unreadable.bad():
            self._core.end("protocol_error", "unreadable messages", now_ns, actions, provider_code=1007)

    def take_events(self, events: Iterable[ProviderEvent], now_ns: int, actions: Actions) -> None:
        """Act on events, up to the one that ends the call."""
        for event in events:
            react = self._reactions.get(type(event))
            if react is not None and self._core.state is not State.ENDED:
                react(event, now_ns, actions)

    def _on_started(self, event: Started, now_ns: int, actions: Actions) -> None:
        core = self._core
        if core.started is not None or core.provider is not Leg.OPEN:
            core.counters["second_start" if core.started is not None else "start_without_socket"] += 1
            return
        if event.format.audio_format != core.leg_format:
            said = f"{event.format.codec[:32]!r} at {event.format.sample_rate} Hz"
            core.end("unsupported_format", f"{said} instead of {core.leg_format}", now_ns, actions)
            return
        try:
            unwrap, wrap = core.dialect.envelope_in(), core.dialect.envelope_out()
        except ConfigError:
            # An id in the start message is longer than any that the provider makes.
            core.end("protocol_error", "missing_field", now_ns, actions, provider_code=1002)
            return
        core.start(event, now_ns)
        self._media_is_text = unwrap.text
        core.uplink.set_unwrap(unwrap)
        core.downlink.set_wrap(wrap)
        actions.events.append(
            CallStarted(event.call_id, event.stream_id, event.parameters, core.dialect.name)
        )
        actions.to_provider += core.plays(core.downlink.open(now_ns))
        core.check_ready()

    def _on_media(self, event: Media, now_ns: int, actions: Actions) -> None:
        if self._core.started is None:
            self._core.counters["media_before_start"] += 1
        else:
            uplink = self._core.uplink
            actions.to_vapi += sends(uplink, uplink.feed_payload(event.payload, now_ns))

    def _on_dtmf(self, event: Dtmf, now_ns: int, actions: Actions) -> None:
        core = self._core
        actions.events.append(event)
        if event.digit not in FREQUENCIES_HZ:
            core.counters["unknown_digit"] += 1
        elif core.config.dtmf == "message" and core.goodbye is None:
            self._vapi.tell(key_message(event.digit), actions)
        elif core.config.dtmf == "tone" and core.started is not None:
            tone = key_tone(event.digit, core.leg_format, core.config.dtmf_tone)
            actions.to_vapi += sends(core.uplink, core.uplink.insert(tone, now_ns))

    def _on_mark_played(self, event: MarkPlayed, now_ns: int, actions: Actions) -> None:
        worth = self._core.marks.played(event.name, self._core.downlink, now_ns)
        if worth != "played":
            self._core.counters[f"{worth}_mark"] += 1

    def _on_stopped(self, event: Stopped, now_ns: int, actions: Actions) -> None:
        core = self._core
        core.provider_is_over = True
        outcome = event.outcome if core.started is None else ""
        core.end(outcome or "provider_stop", event.reason, now_ns, actions)

    def _on_progress(self, event: CallProgress, now_ns: int, actions: Actions) -> None:
        actions.events.append(event)
        if event.status == "answered" and self._core.provider is Leg.UNOPENED:
            self._core.expect_media(now_ns)  # it rings no more

    def _on_problem(self, event: Problem, now_ns: int, actions: Actions) -> None:
        self._core.counters[event.reason] += 1
        if event.fatal:
            if event.reason == "unsupported_format":
                self._core.end("unsupported_format", event.text, now_ns, actions)
            else:
                self._core.end("protocol_error", event.reason, now_ns, actions, provider_code=1002)

    def _on_unknown(self, event: UnknownMessage, now_ns: int, actions: Actions) -> None:
        self._core.counters["unknown_message"] += 1
