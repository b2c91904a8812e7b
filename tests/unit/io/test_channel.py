"""Messages between two processes: in order, of any size, with a connection if need be; here both ends are ours."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import nothing_left, on_both_loops, until

from vapimedia.io.workers import channel as module
from vapimedia.io.workers.channel import Channel
from vapimedia.io.workers.messages import AskSnapshot, Body, Broken, Done, Named, Passed, Ping, Taken


class End:
    """One end that keeps what it hears."""

    def __init__(self, end: socket.socket) -> None:
        self.heard: list[Body] = []
        self.connections: list[socket.socket | None] = []
        self.n_closed = 0
        self.channel = Channel(end, self._told, self.answer, self._closed)

    def _told(self, body: Body, connection: socket.socket | None) -> None:
        self.heard.append(body)
        if isinstance(body, Passed):
            self.connections.append(connection)

    async def answer(self, body: Body) -> Body:
        return Taken(b"x" * 300_000) if isinstance(body, AskSnapshot) else Done()

    def _closed(self) -> None:
        self.n_closed += 1


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[End, End]]:
    ours, theirs = (End(one) for one in socket.socketpair())
    try:
        yield ours, theirs
    finally:
        for end in (ours, theirs):
            end.channel.close()
            for connection in end.connections:
                if connection is not None:
                    connection.close()


@on_both_loops
async def test_messages_arrive_in_order_whatever_their_size() -> None:
    async with ends() as (ours, theirs):
        sent: list[Body] = [Named(["n" * size]) for size in (0, 1, 70_000, 3, 2_000_000, 5)]
        for body in sent:
            ours.channel.tell(body)
        await until(lambda: len(theirs.heard) == len(sent))
        assert theirs.heard == sent and ours.channel.backlog == 0


@on_both_loops
async def test_a_connection_arrives_with_its_message_and_unread() -> None:
    async with nothing_left(), ends() as (ours, theirs):
        peers = []
        for number in range(40):
            peer, passed = socket.socketpair()
            peer.sendall(b"%d" % number)
            peers.append(peer)
            ours.channel.tell(Ping())
            ours.channel.tell(Passed(), passed)
            assert passed.fileno() == -1  # ours is closed
        await until(lambda: len(theirs.connections) == 40)
        for number, connection in enumerate(theirs.connections):
            assert connection is not None and connection.recv(10) == b"%d" % number
            assert not os.get_inheritable(connection.fileno()) and not connection.getblocking()
        for peer in peers:
            peer.close()


@on_both_loops
async def test_what_the_other_end_does_not_take_waits_and_nothing_is_lost() -> None:
    async with nothing_left(), ends() as (ours, theirs):
        loop = asyncio.get_running_loop()
        loop.remove_reader(theirs.channel._end)
        peers = [socket.socketpair() for _ in range(600)]
        for number, (_peer, passed) in enumerate(peers):
            ours.channel.tell(Named([f"{number}", "n" * 1000]))
            ours.channel.tell(Passed(), passed)
        assert ours.channel.backlog > 500
        loop.add_reader(theirs.channel._end, theirs.channel._readable)
        await until(lambda: len(theirs.connections) == 600)
        assert ours.channel.backlog == 0 and None not in theirs.connections
        assert [body.names[0] for body in theirs.heard if isinstance(body, Named)] == [*map(str, range(600))]
        for peer, _ in peers:
            peer.close()


@on_both_loops
async def test_questions_are_answered_each_with_its_own() -> None:
    async with ends() as (ours, theirs):
        kinds: list[Body] = [AskSnapshot(), Ping(), AskSnapshot()]
        answers = await asyncio.gather(
            *(ours.channel.ask(kind) for kind in kinds), theirs.channel.ask(Ping())
        )
        assert [type(answer).__name__ for answer in answers] == ["Taken", "Done", "Taken", "Done"]


async def test_a_question_that_fails_or_loses_its_other_end_is_answered_as_broken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with ends() as (ours, theirs):

        async def fail(_body: Body) -> Body:
            raise RuntimeError("a bug")

        theirs.channel._asked = fail
        assert await ours.channel.ask(Ping()) == Broken()
        assert "could not be answered" in caplog.text

        async def wait(_body: Body) -> Body:
            await asyncio.sleep(30)
            return Done()

        theirs.channel._asked = wait
        waiting = ours.channel.ask(Ping())
        await asyncio.sleep(0.01)
        theirs.channel.close()
        assert await waiting == Broken()
        await until(lambda: ours.n_closed == 1)
        assert await ours.channel.ask(Ping()) == Broken()
        assert theirs.n_closed == 0  # it closed by itself


async def test_a_connection_for_an_end_that_is_gone_is_closed() -> None:
    async with nothing_left(), ends() as (ours, theirs):
        theirs.channel.close()
        await until(lambda: ours.n_closed)
        peer, passed = socket.socketpair()
        ours.channel.tell(Passed(), passed)
        assert peer.recv(1) == b""
        peer.close()


async def test_a_connection_that_no_descriptor_is_free_for_is_missed_and_the_next_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ends() as (ours, theirs):
        end: Any = theirs.channel._end

        class Short:
            """The kernel found no room for the first descriptor."""

            n_seen = 0

            def __getattr__(self, name: str) -> Any:
                return getattr(end, name)

            def recvmsg(self, *args: Any) -> Any:
                data, beside, flags, address = end.recvmsg(*args)
                if beside and not self.n_seen:
                    self.n_seen += 1
                    os.close(int.from_bytes(beside[0][2][:4], "little"))
                    return data, [], flags | socket.MSG_CTRUNC, address
                return data, beside, flags, address

        monkeypatch.setattr(theirs.channel, "_end", Short())
        for number in range(2):
            peer, passed = socket.socketpair()
            peer.sendall(b"%d" % number)
            ours.channel.tell(Passed(), passed)
            await asyncio.sleep(0.01)
            peer.close()
        await until(lambda: len(theirs.connections) == 2)
        assert theirs.connections[0] is None
        assert theirs.connections[1] is not None and theirs.connections[1].recv(1) == b"1"


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(0, 300), max_size=8), pieces=st.lists(st.integers(1, 40), min_size=1))
def test_frames_are_found_however_the_stream_is_cut(sizes: list[int], pieces: list[int]) -> None:
    async def run() -> None:
        ours, theirs = socket.socketpair()
        end = End(ours)
        sent = [Named(["n" * size]) for size in sizes]
        frames = (module._encode(module._Frame("tell", 0, False, body)) for body in sent)
        stream = b"".join(len(frame).to_bytes(4, "big") + frame for frame in frames)
        at = 0
        for step in range(10_000):
            if at >= len(stream):
                break
            piece = stream[at : at + pieces[step % len(pieces)]]
            end.channel._read += piece
            end.channel._parse()
            at += len(piece)
        await asyncio.sleep(0)
        assert end.heard == sent
        end.channel.close()
        theirs.close()

    asyncio.run(run())
