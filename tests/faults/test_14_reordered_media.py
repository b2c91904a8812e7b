"""Where a provider's media may come out of order or twice, Vapi hears it in order and once.

A message may be overtaken by three; what comes later than that is dropped. All of it is counted.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from canaries import CANARIES
from hypothesis import given, settings
from hypothesis import strategies as st
from media_laws import MULAW, loud, missing_ms
from session_fakes import Driver, FakeDialect

from vapimedia.media import Envelope, PathStats
from vapimedia.protocols.dialect import Caps
from vapimedia.protocols.events import Media, ProviderEvent

FRAMES = [loud(MULAW, 20, seed=seed) for seed in range(1, 41)]


class Unordered(FakeDialect):
    """A provider that numbers its media from 1, as its network does not keep it in order."""

    def __init__(self) -> None:
        super().__init__(Caps(exact_frames=False, max_lead_ms=60_000, marks=True, clear=True, reorder=True))

    def envelope_in(self) -> Envelope:
        rules: dict[str, Any] = {"match": {("event",): "media"}, "expect": {("stream_id",): "s1"}}
        return Envelope(text=True, payload=("media", "payload"), number=("media", "chunk"), **rules)

    def feed(self, message: bytes, is_text: bool) -> list[ProviderEvent]:
        if message.startswith(b"{"):
            return [Media(base64.b64decode(json.loads(message)["media"]["payload"]))]
        return super().feed(message, is_text)


def media(chunk: int | str, audio: bytes, stream: str = "s1") -> bytes:
    body = {"track": "inbound", "chunk": chunk, "timestamp": "0", "payload": base64.b64encode(audio).decode()}
    number = CANARIES["the digits of a number"]
    return json.dumps({"event": "media", "stream_id": stream, "media": body, "from": number}).encode()


def live() -> Driver:
    call = Driver(Unordered()).go_live()
    call.advance(20)
    call.forget()
    return call


def say(call: Driver, numbers: list[int]) -> bytes:
    """Feed these messages 20 ms apart; return what Vapi has heard."""
    for number in numbers:
        call.provider_message(media(str(number), FRAMES[number - 1]), True)
        call.advance(20)
    return call.said


def stats(call: Driver) -> PathStats:
    return call.session.uplink.stats(call.now_ns)


def in_order(numbers: list[int]) -> bytes:
    return b"".join(FRAMES[number - 1] for number in numbers)


@st.composite
def orders(draw: st.DrawFn) -> list[int]:
    """All numbers in an order in which each is overtaken by three at most."""
    left, order, n_overtaken = list(range(1, 41)), [], 0
    while left:
        at = draw(st.integers(0, min(3, len(left) - 1))) if n_overtaken < 3 else 0
        order.append(left.pop(at))
        if at == 0:
            n_overtaken = sum(1 for number in order if left and number > left[0])
        else:
            n_overtaken += 1
    return order


@settings(max_examples=25)
@given(order=orders(), twice=st.sets(st.integers(0, 39)), stop_at=st.integers(1, 40))
def test_what_three_overtake_is_put_right_and_what_comes_twice_is_dropped(
    order: list[int], twice: set[int], stop_at: int
) -> None:
    call = live()
    sent = [number for at, number in enumerate(order) for _ in range(1 + (at in twice))]
    heard = say(call, sent)
    assert heard == in_order(sorted(order))
    figures = stats(call)
    assert figures.duplicates == len(twice)
    newest, n_late = 0, 0
    for number in order:
        n_late += number < newest
        newest = max(newest, number)
    assert figures.reordered == n_late
    assert figures.messages_in == 40
    assert figures.dropped_disorder_ms == figures.dropped_flood_ms == 0
    assert missing_ms(figures) == 0
    say(call, order[:stop_at])  # all of it again
    assert stats(call).duplicates == len(twice) + stop_at


def test_a_fourth_message_is_not_waited_for_and_the_missing_one_is_dropped_when_it_comes() -> None:
    call = live()
    assert say(call, [1, 3, 4, 5]) == in_order([1])
    assert say(call, [6]) == in_order([1, 3, 4, 5, 6])
    assert say(call, [2, 7]) == in_order([1, 3, 4, 5, 6, 7])
    figures = stats(call)
    assert (figures.dropped_disorder_ms, figures.reordered, figures.duplicates) == (20, 0, 0)
    assert missing_ms(figures) == 0


def test_what_comes_before_those_who_wait_goes_before_them_though_another_is_missing() -> None:
    call = live()
    assert say(call, [1, 4, 5, 6]) == in_order([1])
    assert say(call, [3, 7]) == in_order([1, 3, 4, 5, 6, 7])
    assert say(call, [2]) == in_order([1, 3, 4, 5, 6, 7])
    figures = stats(call)
    assert (figures.dropped_disorder_ms, figures.reordered, figures.duplicates) == (20, 1, 0)


def test_nobody_waits_longer_than_silence_would_be_put_in() -> None:
    call = live()
    say(call, [1, 3])
    call.advance(100)
    assert call.said.startswith(in_order([1, 3]))
    assert missing_ms(stats(call)) == 0


def test_without_disorder_nothing_waits() -> None:
    call = live()
    for number in range(1, 41):
        call.provider_message(media(number, FRAMES[number - 1]), True)
        assert call.said == in_order(list(range(1, number + 1)))
        call.advance(20)


def test_a_stream_may_begin_anywhere_and_its_first_message_may_be_overtaken() -> None:
    assert say(live(), [3, 2, 1, 4]) == in_order([1, 2, 3, 4])
    assert say(live(), [17, 18, 16, 19]) == in_order([17, 18, 19])


def test_counting_may_begin_anew() -> None:
    call = live()
    for n in range(1000, 1010):
        call.provider_message(media(n, FRAMES[n % 40]), True)
        call.advance(20)
    call.forget()
    assert say(call, [1, 2, 3]) == in_order([1, 2, 3])


def test_a_message_that_cannot_be_numbered_goes_on_as_it_comes() -> None:
    call = live()
    say(call, [1, 3])
    call.provider_message(media("later", FRAMES[8]), True)
    call.provider_message(media("4", FRAMES[3], stream="s2"), True)
    assert say(call, [2]) == in_order([1, 9, 2, 3])
    assert stats(call).foreign == 1


def test_what_waits_when_the_stream_stops_is_heard() -> None:
    call = live()
    say(call, [1, 3, 4])
    call.text("stop")
    assert call.said.startswith(in_order([1, 3, 4]))
    assert missing_ms(stats(call)) == 0


def test_half_a_sample_and_broken_base64_take_no_place() -> None:
    call = live()
    say(call, [1])
    broken = media("2", FRAMES[1]).replace(b'"payload": "', b'"payload": "*')
    assert call.session.uplink.take(broken, call.now_ns) is None
    assert say(call, [2]) == in_order([1, 2])


def test_more_than_a_page_waits_whole_too() -> None:
    call, long = live(), loud(MULAW, 1500, seed=99)
    say(call, [1])
    call.provider_message(media(3, long), True)
    assert say(call, [2]) == in_order([1, 2]) + long
