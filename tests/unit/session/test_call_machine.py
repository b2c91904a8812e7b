"""Calls of real dialects, driven by a machine that does anything at any time: one end, both legs left, all audio told.

``CALL_MACHINE_EXAMPLES=20000 pytest -m slow tests/unit/session/test_call_machine.py`` searches for long.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as search
from machine_providers import Browser, Provider, Twilio, Vonage
from media_laws import missing_from_ledger_ms, missing_ms
from session_fakes import ENDED, INTERRUPTED, Driver, speech

from vapimedia.formats import AudioFormat
from vapimedia.protocols.commands import CloseSocket, Command, HttpCall, SendBinary, SendText
from vapimedia.protocols.events import Problem, Stopped
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.session import CallEnded, State

N_LONG = int(os.environ.get("CALL_MACHINE_EXAMPLES", "10"))
FORMATS = [AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)]
VAPI_TEXTS = [
    *(speech(role, status) for role in ("user", "assistant") for status in ("started", "stopped")),
    *(INTERRUPTED, INTERRUPTED, ENDED, b"{", b"", b"\xff", b"[]", b'{"type":"news"}', b'{"type":"hang"}'),
    b'{"type":"status-update","status":"in-progress"}',
    b'{"type":"status-update","status":"forwarding","destination":{"type":"number","number":"+15550000001"}}',
    b'{"type":"transcript","role":"user","transcriptType":"final","transcript":"hi"}',
]
DESTINATIONS = [ForwardTo(kind="number", address=f"+1555000000{n}") for n in (1, 2)]


class CallMachine(RuleBasedStateMachine):
    """A call, and beside it what must be so: what was opened and closed, and how much audio each side was given."""

    provider: Provider

    @initialize(
        vapi_format=st.sampled_from(FORMATS),
        control=st.booleans(),
        config=st.fixed_dictionaries(
            {
                "on_vapi_lost": st.sampled_from(["hang_up", "continue"]),
                "barge_in": st.sampled_from(["user-interrupted", "speech-update", "off"]),
                "dtmf": st.sampled_from(["message", "tone", "ignore"]),
                "interrupt_guard_ms": st.sampled_from([0, 300]),
                "goodbye_ms": st.sampled_from([0, 1000]),
                "lead_ms": st.sampled_from([None, 100]),
                "prebuffer_ms": st.sampled_from([0, 40]),
                "idle_timeout_ms": st.sampled_from([0, 3000]),
                "mark_interval_ms": st.sampled_from([1, 500]),
            }
        ),
        is_live=st.booleans(),
    )
    def begin(self, vapi_format: AudioFormat, control: bool, config: dict[str, Any], is_live: bool) -> None:
        self.vapi_format, self.has_tones = vapi_format, config["dtmf"] == "tone"
        self.call = Driver(self.provider.dialect(), control=control, vapi_format=vapi_format, **config)
        self.is_open = {"provider": False, "vapi": False}
        self.left: set[str] = set()
        self.is_thinned = vapi_format.sample_rate > self.provider.fmt.sample_rate
        self.fed_up_ms = self.fed_down_ms = self.said_ms = self.heard_ms = 0.0
        self.n_seen = {"provider": 0, "vapi": 0}
        self.at_end: tuple[int, int, int] | None = None
        if is_live:
            self.open_provider()
            for start in self.provider.starts:
                self.call.text(start)
            self.open_vapi()

    # --- the provider --------------------------------------------------------------------------------

    @rule()
    def open_provider(self) -> None:
        self._provider_is_there()
        self.call.provider_opened()

    @rule(data=st.data())
    def provider_says(self, data: st.DataObject) -> None:
        self._provider_is_there()
        message = data.draw(st.sampled_from([*self.provider.texts, *self.provider.starts]))
        self.call.provider_message(message, True)

    @rule(
        ms=st.sampled_from([20, 20, 20, 60, 700]), value=st.sampled_from([0, 0x55]), repeats=st.integers(1, 2)
    )
    def provider_speaks(self, ms: int, value: int, repeats: int) -> None:
        self._provider_is_there()
        audio = bytes([value]) * (self.provider.fmt.frame_bytes() * ms // 20)
        for _ in range(repeats):
            if self.provider.starts == () or self.call.session.started is not None:
                self.fed_up_ms += 0 if self._is_over else ms
            self.call.provider_message(*self.provider.media(audio))

    @rule(data=st.data())
    def provider_plays_a_mark(self, data: st.DataObject) -> None:
        names = [name for name in map(self.provider.mark_in, self.call.to_provider) if name]
        self._provider_is_there()
        self.call.text(self.provider.mark(data.draw(st.sampled_from([*names[-3:], "0:1", "9:99999", "x"]))))

    @precondition(lambda self: not self._is_over)
    @rule(
        code=st.sampled_from([1000, 1001, 1005, 1006, 1009]), breach=st.booleans(), rarely=st.integers(0, 3)
    )
    def provider_leaves(self, code: int, breach: bool, rarely: int) -> None:
        if not rarely:
            self.is_open["provider"] = False
            self.left.add("provider")
            self.call.provider_closed(code, breach=breach)

    @rule(
        event=st.sampled_from([Problem("odd", ""), Stopped("completed", outcome="busy")]),
        rarely=st.integers(0, 3),
    )
    def provider_reports(self, event: Any, rarely: int) -> None:
        if isinstance(event, Problem) or not rarely:
            self.call.provider_events([event])

    # --- Vapi ----------------------------------------------------------------------------------------

    @rule()
    def open_vapi(self) -> None:
        self._vapi_is_there()
        self.call.vapi_opened()

    @rule(text=st.sampled_from(VAPI_TEXTS))
    def vapi_says(self, text: bytes) -> None:
        self._vapi_is_there()
        self.call.vapi_text(text)

    @rule(n_samples=st.sampled_from([1, 160, 743, 8000, 40_000]), value=st.sampled_from([0, 0x55]))
    def vapi_speaks(self, n_samples: int, value: int) -> None:
        self._vapi_is_there()
        counters, before = self._counters(), self._is_over
        self.call.vapi_message(bytes([value]) * (n_samples * self.vapi_format.bytes_per_sample), False)
        if not before and self._counters() == counters:
            self.fed_down_ms += n_samples * 1000 / self.vapi_format.sample_rate

    @precondition(lambda self: not self._is_over)
    @rule(code=st.sampled_from([1000, 1006, 1009, 0]), breach=st.booleans(), rarely=st.integers(0, 3))
    def vapi_leaves(self, code: int, breach: bool, rarely: int) -> None:
        if rarely:
            return
        self.is_open["vapi"] = False
        self.left.add("vapi")
        if code:
            self.call.vapi_closed(code, breach=breach)
        else:
            self.call.vapi_failed("no")

    # --- the user and the clock ----------------------------------------------------------------------

    @rule(ms=st.sampled_from([1, 20, 20, 100, 1000, 20_000]))
    def time_passes(self, ms: int) -> None:
        self.call.advance(ms)

    @rule(late_ms=st.sampled_from([0, 40, 700]))
    def tick_late(self, late_ms: int) -> None:
        self.call.now_ns += late_ms * 1_000_000
        self.call.tick()

    @rule(reason=st.sampled_from(["", "drain", "callback_error", "done"]), rarely=st.integers(0, 5))
    def hang_up(self, reason: str, rarely: int) -> None:
        if not rarely:
            self.call.hang_up(reason)

    @rule(rarely=st.integers(0, 3))
    def hang_up_when_heard(self, rarely: int) -> None:
        if not rarely:
            self.call.hang_up_when_heard("done")

    @rule(data=st.sampled_from([b"{}", b'{"type":"add-message"}']))
    def send_to_vapi(self, data: bytes) -> None:
        self.call.send_to_vapi(data)

    @rule(to=st.sampled_from(DESTINATIONS), rarely=st.integers(0, 2))
    def forward(self, to: ForwardTo, rarely: int) -> None:
        if not rarely:
            self.call.forward(to)

    @rule(trouble=st.sampled_from(["", "no", "no"]))
    def forward_is_answered(self, trouble: str) -> None:
        self.call.forward_answered(trouble)

    # --- what must be so -----------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        return self.call.session.state is State.ENDED

    def _provider_is_there(self) -> None:
        self.is_open["provider"] |= not self._is_over and "provider" not in self.left

    def _vapi_is_there(self) -> None:
        # Once it has left, or was, what is still told of it proves nothing.
        closed = any(isinstance(command, CloseSocket) for command in self.call.to_vapi)
        self.is_open["vapi"] |= not (self._is_over or closed or "vapi" in self.left)

    def _counters(self) -> tuple[int, int]:
        counters = self.call.session.summary(self.call.now_ns).counters
        return counters.get("late_vapi_message", 0), counters.get("guarded_message", 0)

    def _new(self, leg: str) -> list[Command]:
        """Return what was sent to *leg* since the last question."""
        commands = self.call.to_provider if leg == "provider" else self.call.to_vapi
        seen, self.n_seen[leg] = self.n_seen[leg], len(commands)
        return commands[seen:]

    @invariant()
    def no_sample_is_lost(self) -> None:
        session, now_ns = self.call.session, self.call.now_ns
        up, down = session.uplink.stats(now_ns), session.downlink.stats(now_ns)
        assert missing_ms(up) == pytest.approx(0, abs=1e-6)
        # A stream that is thinned out has a sample for the part of one that is left at its end.
        rounded_ms = 1000 / self.provider.fmt.sample_rate if self.is_thinned else 0
        assert missing_from_ledger_ms(down) == pytest.approx(0, abs=rounded_ms + 1e-6)
        assert down.audio_in_ms == pytest.approx(self.fed_down_ms, abs=1e-6)
        if not self.has_tones:
            assert up.audio_in_ms == pytest.approx(self.fed_up_ms, abs=1e-6)
        said = b"".join(command.data for command in self._new("vapi") if isinstance(command, SendBinary))
        self.said_ms += _length_ms(said, self.vapi_format)
        assert up.audio_out_ms == pytest.approx(self.said_ms, abs=1e-6)
        heard = b"".join(map(self.provider.audio_in, self._new("provider")))
        self.heard_ms += _length_ms(heard, self.provider.fmt)
        assert down.audio_out_ms == pytest.approx(self.heard_ms, abs=1e-6)
        assert up.wrong_size == down.wrong_size == 0

    @invariant()
    def nothing_follows_the_end(self) -> None:
        counts = (len(self.call.to_provider), len(self.call.to_vapi), len(self.call.events))
        if self._is_over:
            assert self.at_end in (None, counts)
            assert self.call.next_tick_ns is None
            assert isinstance(self.call.events[-1], CallEnded)
            self.at_end = counts
        assert sum(isinstance(event, CallEnded) for event in self.call.events) == self._is_over

    @invariant()
    def legs_are_left_once(self) -> None:
        for name, commands in (("provider", self.call.to_provider), ("vapi", self.call.to_vapi)):
            closes = [i for i, command in enumerate(commands) if isinstance(command, CloseSocket)]
            assert closes in ([], [len(commands) - 1])
            assert closes or not (self._is_over and self.is_open[name]), f"the {name} leg is left open"
        purposes = [command.purpose for command in self.call.to_provider if isinstance(command, HttpCall)]
        assert purposes.count("hangup") <= 1
        n_told = sum(isinstance(command, HttpCall) for command in self.call.to_vapi)
        n_told += self.call.to_vapi.count(SendText(b'{"type":"end-call"}'))
        assert n_told <= 1

    def teardown(self) -> None:
        if not hasattr(self, "call"):
            return
        self.call.hang_up("last")
        for last in (self.call.tick, self.call.provider_opened, self.call.vapi_opened):
            last()
            self.nothing_follows_the_end()
        self.no_sample_is_lost()
        self.legs_are_left_once()
        assert self._is_over


def _length_ms(audio: bytes, fmt: AudioFormat) -> float:
    return len(audio) / fmt.bytes_per_sample * 1000 / fmt.sample_rate


def _machine(name: str) -> type[CallMachine]:
    kind: type[Provider] = {"twilio": Twilio, "vonage": Vonage, "browser": Browser}[name]
    return type(f"{name.title()}Machine", (CallMachine,), {"provider": kind()})


PROVIDERS = ["twilio", "vonage", "browser"]


@pytest.mark.parametrize("name", PROVIDERS)
def test_any_call_ends_once_and_loses_no_sample(name: str) -> None:
    search(_machine(name), settings=settings(max_examples=5, stateful_step_count=20, deadline=None))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", PROVIDERS)
def test_any_long_call_ends_once_and_loses_no_sample(name: str) -> None:
    search(_machine(name), settings=settings(max_examples=N_LONG, stateful_step_count=60, deadline=None))
