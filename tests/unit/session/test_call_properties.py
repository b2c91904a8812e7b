"""Laws that hold whatever comes in, in whatever order."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from session_fakes import ENDED, FRAME, INTERRUPTED, Driver, FakeDialect, speech

from vapimedia.protocols.commands import CloseSocket, HttpCall, SendText
from vapimedia.protocols.dialect import Caps
from vapimedia.protocols.events import Dtmf, MarkPlayed, Problem, Stopped
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.session import CallEnded, State

WORDS = [
    "connected",
    "start",
    "stop",
    "dtmf 5",
    "dtmf x",
    "mark 0:500",
    "mark 1:20",
    "media abc",
    "cleared",
    "bad",
]
WORDS += ["odd", "fatal", "fatal unsupported_format", "news", ""]
VAPI = [ENDED, INTERRUPTED, b"{", b"[]", b'{"type":"hang"}', b'{"type":"speech-update","status":3}']
VAPI += [speech(role, status) for role in ("user", "assistant") for status in ("started", "stopped")]

INPUTS = st.one_of(
    st.tuples(st.just("provider_opened")),
    st.tuples(st.just("text"), st.sampled_from(WORDS)),
    st.tuples(
        st.just("provider_message"), st.sampled_from([FRAME, b"", FRAME[:33], FRAME * 40]), st.booleans()
    ),
    st.tuples(
        st.just("provider_events"),
        st.sampled_from([[], [Dtmf("1")], [MarkPlayed("0:1"), Problem("odd", "")]]),
    ),
    st.tuples(st.just("vapi_opened")),
    st.tuples(st.just("vapi_text"), st.sampled_from(VAPI)),
    st.tuples(st.just("vapi_audio"), st.sampled_from([0, 1, 20, 93, 3000])),
    st.tuples(st.just("send_to_vapi"), st.just(b"{}")),
    st.tuples(st.just("tick")),
    st.tuples(st.just("advance"), st.sampled_from([1, 20, 400, 5000])),
)
ENDING_INPUTS = st.one_of(
    st.tuples(st.just("provider_events"), st.just([Stopped("done")])),
    st.tuples(st.just("provider_closed"), st.sampled_from([1000, 1001, 1005, 1006])),
    st.tuples(st.just("vapi_failed"), st.just("no")),
    st.tuples(st.just("vapi_closed"), st.sampled_from([1000, 1006])),
    st.tuples(st.just("hang_up"), st.sampled_from(["", "drain", "callback_error", "provider_stop"])),
)
# Mostly what keeps a call alive, so that long lives are seen too.
STEPS = st.lists(st.one_of(*[INPUTS] * 9, ENDING_INPUTS), min_size=5, max_size=40)
SETTINGS = st.fixed_dictionaries(
    {
        "carries_media": st.booleans(),
        "on_vapi_lost": st.sampled_from(["hang_up", "continue"]),
        "barge_in": st.sampled_from(["user-interrupted", "speech-update", "off"]),
        "dtmf": st.sampled_from(["message", "tone", "ignore"]),
        "interrupt_guard_ms": st.sampled_from([0, 300]),
        "goodbye_ms": st.sampled_from([0, 1000]),
        "lead_ms": st.sampled_from([None, 100]),
        "idle_timeout_ms": st.sampled_from([0, 3000]),
        "mark_interval_ms": st.sampled_from([1, 500]),
    }
)
CAPS = st.builds(
    Caps, exact_frames=st.booleans(), max_lead_ms=st.just(60_000), marks=st.booleans(), clear=st.booleans()
)


@settings(max_examples=250, deadline=None)
@given(STEPS, SETTINGS, CAPS, st.booleans())
def test_any_order_of_inputs_gives_one_end_at_most_one_hang_up_and_silence_after(
    steps: list[tuple[object, ...]], config: dict[str, object], caps: Caps, live: bool
) -> None:
    call = Driver(FakeDialect(caps), **config)
    if live:
        call.go_live()
    emitted_at_end: tuple[int, int, int] | None = None
    for name, *arguments in [*steps, ("hang_up", "last"), ("tick",), ("vapi_opened",), ("text", "start")]:
        getattr(call, str(name))(*arguments)
        counts = (len(call.to_provider), len(call.to_vapi), len(call.events))
        if call.session.state is State.ENDED:
            assert emitted_at_end in (None, counts)
            assert call.next_tick_ns is None
            emitted_at_end = counts
        else:
            assert call.next_tick_ns is None or call.next_tick_ns >= call.input_ns
    assert isinstance(call.events[-1], CallEnded)
    assert sum(isinstance(event, CallEnded) for event in call.events) == 1
    requests = [command.purpose for command in call.to_provider if isinstance(command, HttpCall)]
    assert requests in ([], ["hangup"])
    told = [command for command in call.to_vapi if isinstance(command, HttpCall)]
    told += [command for command in call.to_vapi if command == SendText(b'{"type":"end-call"}')]
    assert len(told) <= 1
    for commands in (call.to_provider, call.to_vapi):
        closes = [i for i, command in enumerate(commands) if isinstance(command, CloseSocket)]
        assert closes in ([], [len(commands) - 1])


@settings(max_examples=40, deadline=None)
@given(STEPS, SETTINGS)
def test_a_session_that_only_time_touches_comes_to_rest_or_lives(
    steps: list[tuple[object, ...]], config: dict[str, object]
) -> None:
    call = Driver(**{**config, "carries_media": False}).go_live()
    for name, *arguments in steps:
        getattr(call, str(name))(*arguments)
    n_ticks = 0
    until_ns = call.now_ns + 60_000_000_000
    while call.next_tick_ns is not None and call.now_ns < until_ns:
        call.now_ns = max(call.now_ns, call.next_tick_ns)
        call.tick()
        n_ticks += 1
        # A tick may ask for another one, but never spins.
        assert n_ticks < 1000


TWILIO_WORDS = ["connected", "start", "media", "dtmf", "mark", "clear", "stop", "x" * 200]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TWILIO_MESSAGES = st.fixed_dictionaries(
    {"event": st.sampled_from(TWILIO_WORDS)},
    optional={
        "streamSid": st.sampled_from(["MZ1", "MZ2", "M" * 300]) | JSON,
        "start": st.fixed_dictionaries(
            {
                "streamSid": st.sampled_from(["MZ1", "M" * 300]),
                "callSid": st.just("CA1"),
                "mediaFormat": st.just({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}),
            }
        )
        | JSON,
        "media": st.fixed_dictionaries({"payload": st.sampled_from(["", "AAAA", "%", "A" * 60_000])}) | JSON,
        "dtmf": st.fixed_dictionaries({"digit": st.sampled_from(["1", "x"])}) | JSON,
        "mark": st.fixed_dictionaries({"name": st.text(max_size=12)}) | JSON,
    },
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=60) | TWILIO_MESSAGES.map(lambda message: json.dumps(message).encode())))
def test_nothing_that_twilio_could_send_raises(messages: list[bytes]) -> None:
    for carries_media in (True, False):
        call = Driver(TwilioDialect(TwilioSettings(auth=False)), carries_media=carries_media)
        call.vapi_opened()
        for message in messages:
            call.provider_message(message, True)
            call.advance(20)
        call.hang_up("")
        assert call.ended is not None
