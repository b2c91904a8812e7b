"""Connections read by the reactor: nothing depends on how the bytes come, and leaving is safe at any moment."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorder import Recorder, listening, media_socket
from wire import BINARY, CONTINUATION, TEXT, Wire, connected, frame, on_both_loops, until, upgrade_request

from vapimedia.formats import AudioFormat
from vapimedia.io.lane import Reactor
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.pump import Pump, now_ns
from vapimedia.media import PlayoutPath, PlayoutPolicy

MULAW = AudioFormat("mulaw", 8000)


async def _in_lane(recorder: Recorder, wire: Wire) -> MediaSocket:
    assert (await wire.upgrade("/media")).status == 101
    await until(lambda: recorder.sockets[-1].is_in_lane)
    return recorder.sockets[-1]


def test_slicing_the_stream_changes_no_message() -> None:
    sizes = st.sampled_from([0, 1, 125, 126, 700, 5000, 65535, 65536])

    async def check(messages: list[tuple[int, int]], cuts: int) -> None:
        chance = random.Random(cuts)
        expected, stream = [], b""
        for size, n_parts in messages:
            payload = chance.randbytes(size)
            at = sorted(chance.randrange(size + 1) for _ in range(n_parts - 1))
            parts = [payload[a:b] for a, b in zip([0, *at], [*at, size], strict=True)]
            for i, part in enumerate(parts):
                stream += frame(BINARY if i == 0 else CONTINUATION, part, fin=i == n_parts - 1)
            expected.append((payload, False))
        async with media_socket("lane") as (wire, recorder):
            while stream:
                n = chance.choice([1, 3, 100, 4096, 70_000])
                wire.send(stream[:n])
                stream = stream[n:]
                if chance.random() < 0.05:
                    await asyncio.sleep(0)
            await until(lambda: recorder.messages == expected)

    @given(st.lists(st.tuples(sizes, st.integers(1, 4)), min_size=1, max_size=5), st.integers(0, 1 << 30))
    @settings(max_examples=15, deadline=None)
    def law(messages: list[tuple[int, int]], cuts: int) -> None:
        asyncio.run(check(messages, cuts))

    law()


@on_both_loops
@pytest.mark.parametrize("in_lane", [True, False])
@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade"])
async def test_what_came_with_the_upgrade_is_read_first(connection: str, in_lane: bool) -> None:
    second = frame(TEXT, b"second")
    async with listening(in_lane=in_lane) as recorder, connected(recorder.port) as wire:
        wire.send(upgrade_request("/media", {"Connection": connection}) + frame(TEXT, b"first") + second[:5])
        assert (await wire.head()).status == 101
        await until(lambda: recorder.messages == [(b"first", True)])
        assert recorder.sockets[0].is_in_lane == in_lane
        wire.send(second[5:])
        await until(lambda: recorder.messages == [(b"first", True), (b"second", True)])


@on_both_loops
async def test_one_socket_may_end_another_that_has_news_in_the_same_turn() -> None:
    class Killer(Recorder):
        def socket_message(self, socket: MediaSocket, message: bytes, is_text: bool) -> None:
            super().socket_message(socket, message, is_text)
            for other in self.sockets:
                if other is not socket:
                    other.abort()

    async with (
        listening(in_lane=True, kind=Killer) as recorder,
        connected(recorder.port) as one,
        connected(recorder.port) as two,
    ):
        await _in_lane(recorder, one)
        await _in_lane(recorder, two)
        one.text("a")
        two.text("b")
        await until(lambda: 1006 in recorder.closed)
        assert len(recorder.messages) == 1


@on_both_loops
async def test_a_fault_behind_one_socket_closes_it_with_1011_and_leaves_the_others() -> None:
    class Faulty(Recorder):
        def socket_message(self, socket: MediaSocket, message: bytes, is_text: bool) -> None:
            if message == b"bug":
                raise RuntimeError("a bug")
            super().socket_message(socket, message, is_text)

    async with (
        listening(in_lane=True, kind=Faulty) as recorder,
        connected(recorder.port) as one,
        connected(recorder.port) as two,
    ):
        await _in_lane(recorder, one)
        await _in_lane(recorder, two)
        one.text("bug")
        assert await one.close_code() == 1011
        two.text("well")
        await until(lambda: recorder.messages == [(b"well", True)])


@on_both_loops
@pytest.mark.parametrize("in_lane", [True, False])
async def test_a_burst_arrives_in_order_though_its_peer_reads_slowly(in_lane: bool) -> None:
    speech = random.Random(1).randbytes(60_000)
    async with listening(in_lane=in_lane) as recorder, connected(recorder.port) as phone:
        async with connected(recorder.port) as assistant:
            for wire in (phone, assistant):
                assert (await wire.upgrade("/media")).status == 101
            await until(lambda: recorder.opened == 2)
            path = PlayoutPath(MULAW, MULAW, policy=PlayoutPolicy(prebuffer_ms=0, max_late_ms=60_000))
            path.open(now_ns())
            provider, vapi = recorder.sockets
            vapi.connect_media(path, None, provider)
            provider.connect_media(None, path, vapi)
            pump = Pump(asyncio.get_running_loop())
            pump.add(vapi, lambda _now_ns: None)
            phone.writer.transport.pause_reading()  # type: ignore[attr-defined]
            assistant.frame(BINARY, speech)
            await until(lambda: path.stats().messages_in == 1)
            phone.writer.transport.resume_reading()  # type: ignore[attr-defined]
            heard = b""
            while len(heard) < len(speech):
                opcode, payload = await phone.read_frame()
                assert opcode == BINARY
                heard += payload
            pump.close()
        assert heard == speech


@on_both_loops
async def test_a_peer_that_leaves_without_a_close_ends_at_once_though_it_is_owed_much() -> None:
    async with media_socket("lane") as (wire, recorder):
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(100):
            recorder.sockets[0].send_binary(bytes(1000))
        assert recorder.sockets[0].write_backlog > 0
        wire.writer.write_eof()
        await until(lambda: recorder.closed == [1006], timeout_s=1)


@on_both_loops
async def test_a_reactor_that_is_closed_reads_no_more() -> None:
    reactor = Reactor(asyncio.get_running_loop())
    assert reactor.n_lanes == 0
    reactor.close()
    reactor.close()
