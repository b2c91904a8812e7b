"""A peer that begins a request and says no more, or never comes to its end: closed after 5 s, or at 8 KiB, on the
public port and on the admin port; waiting for it costs nothing (CPU below 2 %)."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest
from fault_scene import elapsed_ms, faulty
from loop_lag import loop_lag
from scene import Scene
from skipped_time import in_skipped_time
from wire import Wire, connected, descriptors, on_both_loops, on_uvloop_mostly, until

BEGINNING = b"GET /heal"[:8]
HEAD = b"GET /healthz HTTP/1.1\r\nHost: b\r\nX-Filler: "
PORTS = ("public", "admin")
LIMIT_MS = 5000
N_PEERS = 50
N_TRIES = 5
_on_each_port = pytest.mark.parametrize("port", PORTS)


def number_of(scene: Scene, port: str) -> int:
    return scene.bridge.port if port == "public" else scene.bridge.admin_port


async def until_closed(wire: Wire) -> None:
    """Wait until the peer is let go of, without a word; by a reset if there is something that was not read."""
    with suppress(ConnectionResetError):
        assert await wire.reader.read() == b""


@_on_each_port
@pytest.mark.parametrize("beginning", [b"", BEGINNING, HEAD], ids=["nothing", "8 bytes", "half a head"])
@in_skipped_time
async def test_who_says_no_more_is_let_go_of_after_5_s(port: str, beginning: bytes) -> None:
    async with faulty() as scene:
        held = descriptors()
        async with connected(number_of(scene, port)) as wire:
            begun_s = asyncio.get_running_loop().time()
            wire.send(beginning)
            await until_closed(wire)
            assert LIMIT_MS - 50 <= elapsed_ms(begun_s) <= LIMIT_MS + 50
        assert not descriptors() - held


@_on_each_port
@in_skipped_time
async def test_who_says_a_byte_now_and_then_has_5_s_in_all(port: str) -> None:
    async with faulty() as scene, connected(number_of(scene, port)) as wire:
        begun_s = asyncio.get_running_loop().time()

        async def drip() -> None:
            for byte in HEAD * 10:
                wire.send(bytes([byte]))
                await asyncio.sleep(0.5)

        dripping = asyncio.create_task(drip())
        await until_closed(wire)
        dripping.cancel()
        assert LIMIT_MS - 50 <= elapsed_ms(begun_s) <= LIMIT_MS + 50


@_on_each_port
@in_skipped_time
async def test_who_was_answered_is_not_waited_for_again(port: str) -> None:
    async with faulty() as scene, connected(number_of(scene, port)) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: b\r\nConnection: keep-alive\r\n\r\n")
        answer = await wire.answer()
        assert (answer.status, answer.closes) == (200, True)


def pour(port: int, n_bytes: int) -> tuple[int, bytes]:
    """Send a head of *n_bytes* without an end; return how many went, and the answer."""
    filler = b"x" * 65536
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        n_sent = 0
        try:
            peer.sendall(HEAD)
            while n_sent < n_bytes:
                n_sent += peer.send(filler)
        except OSError:
            pass
        answer = b""
        try:
            while data := peer.recv(65536):
                answer += data
        except OSError:
            pass
    return n_sent, answer


@_on_each_port
@on_both_loops
async def test_8_mb_of_headers_are_cut_off(port: str) -> None:
    async with faulty() as scene:
        held = descriptors()
        n_sent, answer = await asyncio.to_thread(pour, number_of(scene, port), 8 << 20)
        assert answer.startswith(b"HTTP/1.1 431 ")
        assert n_sent < 8 << 20  # what was not read is what the kernel holds, and 1 MiB after the answer
        await until(lambda: not descriptors() - held)


@_on_each_port
async def test_who_pours_holds_the_loop_for_20_ms_at_most(port: str) -> None:
    worst_ms = []
    async with faulty() as scene:
        for _ in range(N_TRIES):
            async with loop_lag() as lag:
                await asyncio.to_thread(pour, number_of(scene, port), 64 << 20)
            worst_ms.append(lag.worst_ms)
            if lag.worst_ms <= 20:
                break
    assert min(worst_ms) <= 20, worst_ms


@asynccontextmanager
async def silent_peers(scene: Scene) -> AsyncIterator[None]:
    """Have peers at both ports that have said 8 bytes."""
    async with AsyncExitStack() as stack:
        for port in PORTS:
            for _ in range(N_PEERS):
                wire = await stack.enter_async_context(connected(number_of(scene, port)))
                wire.send(BEGINNING)
        await asyncio.sleep(0.2)
        yield


@pytest.mark.slow
@on_uvloop_mostly
async def test_a_hundred_peers_that_say_no_more_cost_less_than_2_percent() -> None:
    shares = []
    async with faulty() as scene:
        for _ in range(N_TRIES):
            async with silent_peers(scene):
                cpu_s, begun_s = time.process_time(), time.monotonic()
                await asyncio.sleep(2)
                shares.append((time.process_time() - cpu_s) / (time.monotonic() - begun_s))
            if shares[-1] < 0.02:
                break
    assert min(shares) < 0.02, shares
    print(f"CPU of {2 * N_PEERS} silent peers: {100 * min(shares):.2f} %")
