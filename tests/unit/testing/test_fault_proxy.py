"""A relay that breaks connections: what it loses it loses on purpose."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wire import on_both_loops

from vapimedia.errors import ConfigError
from vapimedia.testing import Fault, FaultProxy, ProxiedConnection, parse_fault

WITHIN_S = 10.0


@dataclass
class Target:
    """A server that keeps what it got; *greeting* is what it says at once."""

    greeting: bytes = b""
    echo: bool = True
    port: int = 0
    received: bytearray = field(default_factory=bytearray)
    reads: list[int] = field(default_factory=list)
    ends: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.greeting)
            while data := await reader.read(65536):
                self.received += data
                self.reads.append(len(data))
                if self.echo:
                    writer.write(data)
                    await writer.drain()
            self.ends.append("FIN")
        except ConnectionResetError:
            self.ends.append("RST")
        finally:
            self.ended.set()
            writer.close()


@asynccontextmanager
async def relayed(
    *faults: Fault, target: Target | None = None, **settings_: object
) -> AsyncIterator[tuple[FaultProxy, Target]]:
    target = target or Target()
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0)
    target.port = server.sockets[0].getsockname()[1]
    try:
        async with FaultProxy("127.0.0.1", target.port, faults=faults, **settings_) as proxy:  # type: ignore[arg-type]
            yield proxy, target
    finally:
        server.close()


async def opened(proxy: FaultProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, ProxiedConnection]:
    n = len(proxy.connections) + 1
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    return reader, writer, await proxy.connection(n)


async def end_of(reader: asyncio.StreamReader) -> str:
    """Return how the other side ended it, once it did."""
    try:
        async with asyncio.timeout(WITHIN_S):
            while await reader.read(65536):
                pass
    except ConnectionResetError:
        return "RST"
    return "FIN"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():
            await asyncio.sleep(0.001)


# Those that lose nothing, at sizes and times that a test can wait for.
HARMLESS = st.one_of(
    st.builds(Fault, st.just("latency"), st.sampled_from([0.0, 0.004]), st.sampled_from([0.0, 0.001, 0.01])),
    st.builds(Fault, st.just("slice"), st.sampled_from([0.0, 0.004]), st.sampled_from([1, 7, 1000])),
    st.builds(Fault, st.just("stall"), st.sampled_from([0.0, 0.002]), st.sampled_from([0.001, 0.01])),
    st.builds(Fault, st.just("rate"), st.just(0.0), st.sampled_from([300_000, 1_000_000])),
)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(HARMLESS, max_size=3),
    st.lists(st.binary(min_size=1, max_size=2000), min_size=1, max_size=5),
    st.sampled_from(["up", "down", "both"]),
)
def test_every_byte_arrives_in_order_whatever_the_fault(
    faults: list[Fault], messages: list[bytes], direction: str
) -> None:
    sent = b"".join(messages)

    async def run() -> None:
        turned = [Fault(one.kind, one.at_s, one.value, direction) for one in faults]  # type: ignore[arg-type]
        async with relayed(*turned, target=Target(greeting=b"hello")) as (proxy, target):
            reader, writer, connection = await opened(proxy)
            for message in messages:
                writer.write(message)
                await asyncio.sleep(0)
            writer.write_eof()
            async with asyncio.timeout(WITHIN_S):
                assert await reader.read() == b"hello" + sent
            assert target.received == sent
            await connection.closed()
            assert (connection.n_bytes_up, connection.n_bytes_down) == (len(sent), len(sent) + 5)
            writer.close()

    asyncio.run(run())


@on_both_loops
async def test_more_than_all_buffers_hold_passes_a_stalled_proxy_once_it_resumes() -> None:
    sent = bytes(range(256)) * 24_000
    async with relayed(buffer_bytes=16384, target=Target(echo=False)) as (proxy, target):
        _, writer, connection = await opened(proxy)
        connection.stall(direction="up")
        writer.write(sent)
        writer.write_eof()
        await asyncio.sleep(0.02)
        assert connection.n_bytes_up == 0 and len(target.received) == 0
        held = writer.transport.get_write_buffer_size()
        assert held > len(sent) // 8  # the sender feels it: most of it is still there
        connection.resume()
        await asyncio.wait_for(target.ended.wait(), WITHIN_S)
        assert target.received == sent and target.ends == ["FIN"]
        writer.close()


@on_both_loops
async def test_a_stall_of_one_direction_leaves_the_other_alone() -> None:
    async with relayed(target=Target(greeting=b"down")) as (proxy, target):
        reader, writer, connection = await opened(proxy)
        assert await reader.readexactly(4) == b"down"
        connection.stall(direction="down")
        writer.write(b"up")
        await until(lambda: target.received == b"up")
        assert connection.n_bytes_down == 4
        connection.resume("down")
        assert await reader.readexactly(2) == b"up"
        writer.close()


@on_both_loops
async def test_latency_holds_for_every_byte() -> None:
    loop = asyncio.get_running_loop()
    async with relayed(parse_fault("latency=40ms")) as (proxy, _):
        reader, writer, _ = await opened(proxy)
        for _ in range(2):
            begun = loop.time()
            writer.write(b"x")
            await reader.readexactly(1)
            assert loop.time() - begun >= 0.079  # a loop's clock and its timers differ by less than 1 ms
        writer.close()


@on_both_loops
async def test_latency_is_no_limit_of_throughput() -> None:
    async with relayed(Fault("latency", value=0.05, direction="up")) as (proxy, target):
        _, writer, connection = await opened(proxy)
        for _ in range(50):
            writer.write(b"x" * 100)
            await asyncio.sleep(0.002)
        # Fifty waits of 50 ms, one after the other, would be 2.5 s.
        async with asyncio.timeout(1.5):
            await until(lambda: len(target.received) == 5000)
        assert connection.is_open
        writer.close()


class Counter(asyncio.Protocol):
    """What the loop hands over at a time; streams join it."""

    sizes: list[int]

    def data_received(self, data: bytes) -> None:
        self.sizes.append(len(data))


@on_both_loops
async def test_a_slice_is_read_by_itself() -> None:
    counter = Counter()
    counter.sizes = []
    server = await asyncio.get_running_loop().create_server(lambda: counter, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with FaultProxy("127.0.0.1", port, faults=[parse_fault("slice=1:up")]) as proxy:
        _, writer, _ = await opened(proxy)
        writer.write(b"x" * 200)
        await until(lambda: sum(counter.sizes) == 200)
        assert len(counter.sizes) >= 180  # the kernel may join a few
        writer.close()
    server.close()


@on_both_loops
async def test_a_rate_is_never_exceeded_and_the_sender_feels_it() -> None:
    loop = asyncio.get_running_loop()
    async with relayed(parse_fault("rate=40000:up")) as (proxy, target):
        _, writer, _ = await opened(proxy)
        begun = loop.time()
        writer.write(b"x" * 4000)
        await until(lambda: len(target.received) == 4000)
        assert loop.time() - begun >= 0.099
        writer.close()


@pytest.mark.parametrize("side,seen", [("both", "RST RST"), ("client", "RST FIN"), ("server", "FIN RST")])
@on_both_loops
async def test_a_reset_is_one_for_whom_it_is_meant(side: str, seen: str) -> None:
    async with relayed(target=Target(greeting=b"x")) as (proxy, target):
        reader, writer, connection = await opened(proxy)
        await reader.readexactly(1)
        connection.reset(side)  # type: ignore[arg-type]
        assert not connection.is_open
        client_saw = await end_of(reader)
        await asyncio.wait_for(target.ended.wait(), WITHIN_S)
        assert f"{client_saw} {target.ends[0]}" == seen
        writer.close()


@on_both_loops
async def test_a_cut_comes_after_what_was_relayed_and_is_no_reset() -> None:
    async with relayed(target=Target(echo=False)) as (proxy, target):
        reader, writer, connection = await opened(proxy)
        writer.write(b"said")
        await until(lambda: connection.n_bytes_up == 4)
        connection.cut()
        writer.write(b"too late, and unread bytes make no reset of it")
        assert await end_of(reader) == "FIN"
        await asyncio.wait_for(target.ended.wait(), WITHIN_S)
        assert target.received == b"said" and target.ends == ["FIN"]
        assert not connection.is_open
        writer.close()


@on_both_loops
async def test_half_open_relays_and_closes_nothing_until_the_proxy_closes() -> None:
    async with relayed(target=Target(greeting=b"x")) as (proxy, target):
        reader, writer, connection = await opened(proxy)
        await reader.readexactly(1)
        connection.half_open()
        writer.write(b"unheard")
        writer.write_eof()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        assert connection.is_open and not target.ends and not target.received
        connection.resume()  # it is for good
        connection.cut()
        assert connection.is_open
    assert not connection.is_open
    await asyncio.wait_for(target.ended.wait(), WITHIN_S)
    writer.close()


@on_both_loops
async def test_an_end_or_a_reset_of_one_side_reaches_the_other() -> None:
    async with relayed() as (proxy, target):
        reader, writer, connection = await opened(proxy)
        writer.write(b"x")
        await reader.readexactly(1)
        writer.close()
        await asyncio.wait_for(target.ended.wait(), WITHIN_S)
        await connection.closed()

        target.ended.clear()
        reader, writer, connection = await opened(proxy)
        writer.write(b"x")
        await reader.readexactly(1)
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        writer.transport.abort()
        await asyncio.wait_for(target.ended.wait(), WITHIN_S)
        await connection.closed()
        assert target.ends == ["FIN", "RST"]


@on_both_loops
async def test_refused_connections_are_reset_and_a_target_that_is_not_there_is_a_reset_too() -> None:
    async with relayed(parse_fault("refuse")) as (proxy, target):
        with pytest.raises(ConnectionResetError):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            try:
                writer.write(b"x")
                await reader.readexactly(1)
            finally:
                writer.close()
        assert not (await proxy.connection()).is_open and not target.reads
        proxy.faults = []
        reader, writer, _ = await opened(proxy)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()
        proxy.target_port = 1
        reader, writer, connection = await opened(proxy)
        assert await end_of(reader) == "RST"
        await connection.closed()
        writer.close()


@on_both_loops
async def test_faults_begin_when_they_are_due_and_count_for_each_connection() -> None:
    loop = asyncio.get_running_loop()
    async with relayed(parse_fault("reset@60ms")) as (proxy, _):
        for _ in range(2):
            begun = loop.time()
            reader, writer, _ = await opened(proxy)
            assert await end_of(reader) == "RST"
            assert loop.time() - begun >= 0.059
            writer.close()


@on_both_loops
async def test_closing_leaves_no_task_and_no_socket() -> None:
    before = asyncio.all_tasks()
    actions: list[Callable[[ProxiedConnection], object]] = [
        lambda one: None,
        ProxiedConnection.half_open,
        ProxiedConnection.cut,
        ProxiedConnection.reset,
        ProxiedConnection.stall,
    ]
    target = Target(greeting=b"x" * 30_000)
    async with relayed(Fault("latency", value=0.02), target=target) as (proxy, _):
        ends = []
        for act in actions:
            reader, writer, connection = await opened(proxy)
            writer.write(b"x" * 30_000)
            act(connection)
            ends.append((reader, writer))
        await asyncio.sleep(0.01)
        sockets = [sock for one in proxy.connections for sock in one._sockets()]
    assert all(sock.fileno() == -1 for sock in sockets) and len(sockets) >= len(actions)
    assert not any(one.is_open for one in proxy.connections)
    for reader, writer in ends:
        await end_of(reader)
        writer.close()
    await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})  # type: ignore[operator]
    gc.collect()  # an open socket that nobody holds would warn, and warnings are errors here


@pytest.mark.parametrize("fault", [Fault("flood", value=20), Fault("latency"), Fault("slice", value="one")])
def test_a_proxy_refuses_what_no_network_does(fault: Fault) -> None:
    with pytest.raises(ConfigError, match=fault.kind):
        FaultProxy("127.0.0.1", 1, faults=[fault])
