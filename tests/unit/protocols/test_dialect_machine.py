"""Dialects told anything in any order: nothing raises, nothing is passed over, a stream starts and stops once.

``DIALECT_MACHINE_EXAMPLES=20000 pytest -m slow tests/unit/protocols/test_dialect_machine.py`` searches for long.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as search
from machine_providers import Browser, Provider, Twilio, Vonage

from vapimedia.errors import ConfigError, StateError
from vapimedia.media import MediaPath
from vapimedia.protocols.commands import CloseSocket, HttpCall, SendText
from vapimedia.protocols.events import Media, Problem, ProviderEvent, Started, Stopped
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.protocols.vapi import decode_event

N_LONG = int(os.environ.get("DIALECT_MACHINE_EXAMPLES", "10"))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
VAPI = [
    b'{"type":"transcript","role":"user","transcriptType":"final","transcript":"hi"}',
    b'{"type":"status-update","status":"ended","endedReason":"done"}',
    b'{"type":"speech-update","role":"user","status":"started"}',
    *(b'{"type":"transcript"}', b'{"type":"status-update","status":5}', b'{"type":"news"}', b"{", b"\xff"),
]


class DialectMachine(RuleBasedStateMachine):
    """One dialect, and beside it whether its stream has started and stopped."""

    provider: Provider

    @initialize()
    def begin(self) -> None:
        self.dialect = self.provider.dialect()
        self.n_started = self.n_stopped = 0
        self.heard: list[bytes] = []

    def _take(self, events: Any) -> None:
        for event in events:
            assert isinstance(event, ProviderEvent)
            self.n_started += isinstance(event, Started)
            self.n_stopped += isinstance(event, Stopped)
            if isinstance(event, Media):
                assert event.payload and (self.n_started or not self.provider.starts)
            if isinstance(event, Problem):
                assert re.fullmatch(r"[a-z0-9_]+", event.reason)
                assert event.text.isprintable() and len(event.text) < 300

    def _feed(self, message: bytes, is_text: bool) -> None:
        events = self.dialect.feed(message, is_text)
        # Only a second end is no news.
        assert len(events) == 1 or self.n_stopped
        self._take(events)

    # --- what may come -------------------------------------------------------------------------------

    @rule()
    def open(self) -> None:
        self._take(self.dialect.opened())

    @rule(data=st.data(), is_text=st.sampled_from([True, True, True, False]))
    def known(self, data: st.DataObject, is_text: bool) -> None:
        message = data.draw(
            st.sampled_from([*self.provider.starts * 3, *self.provider.texts, *self.provider.ends])
        )
        self.heard.append(message)
        self._feed(message, is_text)

    @rule(data=st.data())
    def again(self, data: st.DataObject) -> None:
        self._feed(data.draw(st.sampled_from([b"{}", *self.heard[-4:]])), True)

    @rule(data=st.data(), value=JSON)
    def with_another_value(self, data: st.DataObject, value: Any) -> None:
        message = json.loads(
            data.draw(st.sampled_from([*self.provider.starts, *self.provider.ends, *self._sound()]))
        )
        place = message
        while (
            isinstance(place.get(inner := data.draw(st.sampled_from(sorted(place)))), dict) and place[inner]
        ):
            if data.draw(st.booleans()):
                break
            place = place[inner]
        if data.draw(st.booleans()):
            place[inner] = value
        else:
            del place[inner]
        self._feed(json.dumps(message).encode(), True)

    @rule(audio=st.binary(max_size=700), is_text=st.booleans())
    def bytes_of_any_kind(self, audio: bytes, is_text: bool) -> None:
        self._feed(audio, is_text)

    @rule(value=st.integers(0, 255), n=st.sampled_from([0, 160, 640]))
    def media(self, value: int, n: int) -> None:
        self._feed(*self.provider.media(bytes([value]) * n))

    # --- what may be asked ---------------------------------------------------------------------------

    @rule(name=st.text(max_size=20))
    def mark_and_clear(self, name: str) -> None:
        for told in (self.dialect.mark(name), self.dialect.clear()):
            assert told is None or (isinstance(told, SendText) and isinstance(json.loads(told.data), dict))
        if self.dialect.caps.marks:
            assert (self.dialect.mark(name) is not None) == (self.n_started > 0)

    @rule(text=st.sampled_from(VAPI))
    def relay(self, text: bytes) -> None:
        told = self.dialect.relay(decode_event(text))
        assert told is None or json.loads(told.data)

    @rule()
    def forward(self) -> None:
        try:
            request, *release = self.dialect.forward(ForwardTo(kind="number", address="+15550000001"))
        except ConfigError:
            return
        assert isinstance(request, HttpCall) and request.awaited
        assert all(isinstance(command, CloseSocket) for command in release)

    # --- what must be so -----------------------------------------------------------------------------

    @invariant()
    def a_stream_starts_and_stops_once(self) -> None:
        assert self.n_started <= 1
        assert self.n_stopped <= 1 or not self.provider.stops_once

    @invariant()
    def there_is_a_way_to_hang_up(self) -> None:
        plan = self.dialect.hangup()
        assert isinstance(plan[-1], CloseSocket)
        assert all(isinstance(command, HttpCall) for command in plan[:-1])

    @invariant()
    def media_has_an_envelope_once_it_may_come(self) -> None:
        fmt = self.dialect.leg_format.audio_format
        try:
            MediaPath(fmt, fmt, unwrap=self.dialect.envelope_in(), wrap=self.dialect.envelope_out())
        except StateError:
            assert not self.n_started

    def _sound(self) -> list[bytes]:
        """What is known and is an object."""
        return [text for text in self.provider.texts if text.startswith(b'{"')]


def _machine(name: str) -> type[DialectMachine]:
    kind: type[Provider] = {"twilio": Twilio, "vonage": Vonage, "browser": Browser}[name]
    return type(f"{name.title()}Machine", (DialectMachine,), {"provider": kind()})


PROVIDERS = ["twilio", "vonage", "browser"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_dialect_takes_anything_in_any_order(name: str) -> None:
    search(_machine(name), settings=settings(max_examples=6, stateful_step_count=15, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PROVIDERS)
def test_a_dialect_takes_anything_in_any_order_for_long(name: str) -> None:
    search(_machine(name), settings=settings(max_examples=N_LONG, stateful_step_count=50, deadline=None))
