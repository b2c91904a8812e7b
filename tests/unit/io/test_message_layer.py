"""The message layer above picows, as RFC 6455 wants it, seen from a raw socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorder import Recorder, listening, media_socket
from wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Wire,
    connected,
    frame,
    on_both_loops,
    until,
)


@pytest.fixture(params=["lane", pytest.param("loop", marks=pytest.mark.slow)])
def reader(request: pytest.FixtureRequest) -> str:
    """Who reads the socket."""
    return str(request.param)


# --- closing -------------------------------------------------------------------------------------


@on_both_loops
@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
async def test_a_close_is_answered_with_its_code_and_the_connection_ends(reader: str, code: int) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.close(code)
        assert await wire.close_code() == code
        assert await wire.rest() == b""
        await until(lambda: recorder.closed == [code])


@on_both_loops
async def test_a_close_without_a_code_is_answered_with_a_valid_one(
    reader: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.close(None)
        assert await wire.close_code() in (None, 1000)  # RFC 6455 s. 7.4: 0..999 are not used
        assert await wire.rest() == b""
        await until(lambda: recorder.closed == [1005])


@on_both_loops
async def test_our_close_carries_its_code_and_ends_when_it_is_answered(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        recorder.sockets[0].close(1001, "away")
        opcode, payload = await wire.read_frame()
        assert (opcode, payload) == (CLOSE, b"\x03\xe9away")
        wire.close(1001)
        assert await wire.rest() == b""
        await until(lambda: recorder.closed == [1001])


@on_both_loops
async def test_a_reason_is_cut_to_what_a_close_frame_holds(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        recorder.sockets[0].close(1000, "\u00fc" * 100)
        opcode, payload = await wire.read_frame()
        assert opcode == CLOSE
        assert 100 <= len(payload[2:].decode()) * 2 <= 123


@on_both_loops
async def test_a_peer_that_never_answers_our_close_is_cut_off(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        recorder.sockets[0].close(1000)
        assert await wire.close_code() == 1000
        assert await wire.rest() == b""  # within 5 s, the helper's limit
        await until(lambda: recorder.closed == [1006])


@on_both_loops
async def test_a_peer_that_closes_but_never_reads_is_cut_off(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        while not recorder.sockets[0].write_backlog:
            recorder.sockets[0].send_binary(bytes(65000))
        wire.close(1000)
        await until(lambda: recorder.closed == [1000])


@on_both_loops
async def test_messages_after_our_close_are_not_delivered(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        recorder.sockets[0].close(1000)
        wire.text("late")
        wire.close(1000)
        await until(lambda: recorder.closed == [1000])
        assert recorder.messages == []


@on_both_loops
async def test_sends_after_the_close_are_counted_and_not_made(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        socket = recorder.sockets[0]
        socket.close(1000)
        socket.send_text(b"x")
        socket.send_binary(b"x")
        socket.close(1001)
        assert (await wire.read_frame())[0] == CLOSE
        wire.close(1000)
        assert await wire.rest() == b""
        assert socket.unsent == 2


@on_both_loops
async def test_a_reset_is_told_as_1006_once(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.reset()
        await until(lambda: recorder.closed)
        await asyncio.sleep(0.01)
        assert recorder.closed == [1006]


@on_both_loops
async def test_an_end_without_a_close_frame_is_told_as_1006(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.writer.write_eof()
        await until(lambda: recorder.closed == [1006])


# --- fragments -----------------------------------------------------------------------------------


@on_both_loops
async def test_fragments_with_a_ping_between_them_become_one_message(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(TEXT, b'{"event"', fin=False)
        wire.frame(PING, b"are you there")
        wire.frame(CONTINUATION, b"", fin=False)
        wire.frame(CONTINUATION, b':"x"}')
        assert await wire.read_frame() == (PONG, b"are you there")
        await until(lambda: recorder.messages == [(b'{"event":"x"}', True)])


@on_both_loops
async def test_64_fragments_are_taken(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(BINARY, b"a", fin=False)
        for _ in range(62):
            wire.frame(CONTINUATION, b"a", fin=False)
        wire.frame(CONTINUATION, b"a")
        await until(lambda: recorder.messages == [(b"a" * 64, False)])


@on_both_loops
async def test_a_65th_fragment_is_too_much(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(BINARY, b"a", fin=False)
        for _ in range(64):
            wire.frame(CONTINUATION, b"a", fin=False)
        assert await wire.close_code() == 1009
        assert recorder.messages == []


@on_both_loops
@pytest.mark.parametrize(("last", "code"), [(65536 - 60000, None), (65536 - 59999, 1009)])
async def test_fragments_together_hold_64_kib_at_most(reader: str, last: int, code: int | None) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(BINARY, bytes(30000), fin=False)
        wire.frame(CONTINUATION, bytes(30000), fin=False)
        wire.frame(CONTINUATION, bytes(last))
        if code is None:
            await until(lambda: [len(message) for message, _ in recorder.messages] == [65536])
        else:
            assert await wire.close_code() == code


@on_both_loops
@pytest.mark.parametrize("first", [CONTINUATION, None])
async def test_fragments_out_of_order_break_the_protocol(reader: str, first: int | None) -> None:
    async with media_socket(reader) as (wire, _recorder):
        if first is None:
            wire.frame(TEXT, b"a", fin=False)
            wire.frame(TEXT, b"b")
        else:
            wire.frame(CONTINUATION, b"a")
        assert await wire.close_code() == 1002


# --- what breaks the protocol --------------------------------------------------------------------


def _as(**how: object) -> Callable[[Wire], None]:
    arguments = {"opcode": TEXT, "payload": b"{}"} | how
    return lambda wire: wire.frame(**arguments)  # type: ignore[arg-type]


@on_both_loops
@pytest.mark.parametrize(
    ("send", "code"),
    [
        (_as(rsv=4), 1002),
        (_as(rsv=2), 1002),
        (_as(rsv=1), 1002),
        (_as(opcode=PING, rsv=4), 1002),
        (_as(opcode=3), 1002),
        (_as(opcode=11), 1002),
        (_as(masked=False), 1002),
        (_as(opcode=PING, payload=bytes(126)), 1002),
        (_as(opcode=PING, fin=False), 1002),
        (_as(opcode=CLOSE, payload=b"\x03"), 1002),
        (_as(opcode=CLOSE, payload=b"\x03\xec"), 1002),  # 1004 is reserved
        (_as(opcode=CLOSE, payload=b"\x03\xe8\xff"), 1007),
        (_as(payload=b'{"a":"\xff"}'), 1007),
        (_as(payload=b"\xed\xa0\x80"), 1007),
        (_as(payload=bytes(65537)), 1009),
        (_as(opcode=BINARY, payload=bytes(70000)), 1009),
    ],
    ids=[
        *("rsv1", "rsv2", "rsv3", "ping with rsv1", "opcode 3", "opcode 11", "unmasked", "long ping"),
        *("fragmented ping", "close of 1 byte", "close with 1004", "close with bad reason"),
        *("bad UTF-8", "surrogate", "text over 64 KiB", "binary over 64 KiB"),
    ],
)
async def test_a_broken_frame_is_answered_with_its_code(
    reader: str, send: Callable[[Wire], None], code: int
) -> None:
    async with media_socket(reader) as (wire, recorder):
        send(wire)
        assert await wire.close_code() == code
        await until(lambda: recorder.closed == [code])
        assert recorder.sockets[0].was_breach
        assert recorder.messages == []


@on_both_loops
async def test_a_broken_frame_is_told_to_the_owner_before_the_peer_answers(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(TEXT, b"{}", rsv=4)
        await until(lambda: recorder.closed)
        assert recorder.closed == [1002]  # told late, it would be the 1006 of the cut
        wire.close(1002)
        assert await wire.close_code() == 1002
        assert await wire.rest() == b""
        assert len(recorder.closed) == 1


@on_both_loops
async def test_a_close_for_breach_by_the_peer_or_by_us_is_no_breach_of_its(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.close(1002)
        await until(lambda: recorder.closed == [1002])
        assert not recorder.sockets[0].was_breach
    async with media_socket(reader) as (wire, recorder):
        recorder.sockets[0].close(1002)
        await until(lambda: recorder.closed == [1006])
        assert not recorder.sockets[0].was_breach


@on_both_loops
async def test_a_limit_of_messages_is_the_socket_s_own(reader: str) -> None:
    async with listening(in_lane=reader == "lane") as recorder, connected(recorder.port) as wire:
        recorder.max_message = 100_000
        assert (await wire.upgrade("/media")).status == 101
        wire.frame(BINARY, bytes(100_000))
        wire.frame(BINARY, bytes(50_000), fin=False)
        wire.frame(CONTINUATION, bytes(50_000))
        await until(lambda: [len(message) for message, _ in recorder.messages] == [100_000] * 2)
        wire.frame(BINARY, bytes(100_001))
        assert await wire.close_code() == 1009


@on_both_loops
async def test_invalid_utf8_split_over_fragments_is_found(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(TEXT, b"\xc3", fin=False)
        wire.frame(CONTINUATION, b"\x28")
        assert await wire.close_code() == 1007
        assert recorder.messages == []


@on_both_loops
async def test_a_character_split_over_fragments_is_valid(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(TEXT, b"\xc3", fin=False)
        wire.frame(CONTINUATION, b"\xbc")
        await until(lambda: recorder.messages == [("\u00fc".encode(), True)])


@on_both_loops
@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
async def test_messages_of_every_size_arrive_whole(reader: str, size: int) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(BINARY, bytes(size))
        await until(lambda: recorder.messages == [(bytes(size), False)])


@on_both_loops
async def test_pings_are_answered_in_order_with_their_payload(reader: str) -> None:
    async with media_socket(reader) as (wire, _recorder):
        for payload in (b"", b"one", bytes(125)):
            wire.frame(PING, payload)
        assert [await wire.read_frame() for _ in range(3)] == [
            (PONG, b""),
            (PONG, b"one"),
            (PONG, bytes(125)),
        ]


@on_both_loops
async def test_a_pong_nobody_asked_for_is_ignored(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.frame(PONG, b"hello")
        wire.text("{}")
        await until(lambda: recorder.messages == [(b"{}", True)])
        assert recorder.closed == []


# --- peers that do not read ----------------------------------------------------------------------


async def _pinged(wire: Wire, recorder: Recorder, n: int) -> None:
    for k in range(n):
        wire.frame(PING, b"%120d" % k)
        if k % 100 == 0:
            await wire.writer.drain()
    wire.text("{}")
    await until(lambda: recorder.messages)


@on_both_loops
async def test_pings_of_a_peer_that_does_not_read_take_no_memory(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await _pinged(wire, recorder, 20_000)
        assert recorder.sockets[0].write_backlog < 65536


@on_both_loops
async def test_the_newest_ping_is_answered_once_its_sender_reads_again(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await _pinged(wire, recorder, 20_000)
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answered = []
        while not answered or answered[-1] < 19_999:
            opcode, payload = await wire.read_frame()
            assert opcode == PONG
            answered.append(int(payload))
        assert answered == sorted(set(answered)) and len(answered) < 20_000


@on_both_loops
async def test_a_peer_that_does_not_read_what_it_is_sent_is_cut_off(reader: str) -> None:
    async with media_socket(reader) as (wire, recorder):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sender = recorder.sockets[0]
        for _ in range(10_000):
            sender.send_text(bytes(1000))
        assert not sender.is_open and sender.write_backlog <= 300_000
        assert sender.unsent > 0
        await until(lambda: recorder.closed == [1006])


def test_no_stream_of_bytes_raises_or_delivers_after_the_close(reader: str) -> None:
    chunk = st.one_of(
        st.binary(max_size=30),
        st.builds(
            frame,
            st.integers(0, 15),
            st.binary(max_size=130),
            fin=st.booleans(),
            rsv=st.sampled_from([0, 0, 0, 1, 4]),
            masked=st.sampled_from([True, True, True, False]),
        ),
    )

    async def check(chunks: list[bytes]) -> None:
        failed: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failed.append(context))
        async with media_socket(reader) as (wire, recorder):
            for one in chunks:
                wire.send(one)
            wire.writer.write_eof()
            await wire.rest()
            await until(lambda: len(recorder.closed) == 1)
        assert failed == []

    @given(st.lists(chunk, max_size=6))
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    def law(chunks: list[bytes]) -> None:
        asyncio.run(check(chunks))

    law()
