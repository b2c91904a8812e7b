"""The timer of all calls, with sockets that have no connection."""

from __future__ import annotations

import asyncio
import logging

import pytest
from recorder import Recorder
from wire import on_both_loops, until

from vapimedia.io.pump import MediaSocket, Pump, now_ns


def unconnected() -> MediaSocket:
    return MediaSocket(Recorder(), "provider")


@on_both_loops
async def test_a_deadline_is_called_once_when_its_time_has_come() -> None:
    pump, socket = Pump(asyncio.get_running_loop()), unconnected()
    called: list[int] = []
    pump.add(socket, called.append)
    due_ns = now_ns() + 15_000_000
    pump.set_deadline(socket, due_ns)
    await until(lambda: called)
    await asyncio.sleep(0.03)
    assert len(called) == 1 and called[0] >= due_ns
    pump.close()


@on_both_loops
async def test_a_deadline_may_be_moved_and_taken_back() -> None:
    pump, moved, taken_back = Pump(asyncio.get_running_loop()), unconnected(), unconnected()
    called: list[str] = []
    pump.add(moved, lambda _now: called.append("moved"))
    pump.add(taken_back, lambda _now: called.append("taken back"))
    for socket in (moved, taken_back):
        pump.set_deadline(socket, now_ns() + 3_600_000_000_000)
    pump.set_deadline(moved, now_ns())
    pump.set_deadline(taken_back, None)
    await until(lambda: called)
    assert called == ["moved"]
    pump.close()


@on_both_loops
async def test_a_deadline_that_raises_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    pump = Pump(asyncio.get_running_loop())
    called: list[int] = []

    def breaks(_now_ns: int) -> None:
        raise RuntimeError("a bug")

    bad, good = unconnected(), unconnected()
    pump.add(bad, breaks)
    pump.add(good, called.append)
    with caplog.at_level(logging.CRITICAL):
        for n in range(1, 4):
            pump.set_deadline(bad, now_ns())
            pump.set_deadline(good, now_ns())
            await until(lambda n=n: len(called) == n)  # type: ignore[misc]
    pump.close()


@on_both_loops
async def test_a_deadline_may_remove_every_socket() -> None:
    pump, first, second = Pump(asyncio.get_running_loop()), unconnected(), unconnected()
    called: list[str] = []

    def remove_both(_now_ns: int) -> None:
        called.append("first")
        pump.remove(first)
        pump.remove(second)

    pump.add(first, remove_both)
    pump.add(second, lambda _now: called.append("second"))
    pump.set_deadline(first, now_ns())
    pump.set_deadline(second, now_ns())
    await until(lambda: called)
    await asyncio.sleep(0.03)
    assert called == ["first"] and pump.n_driven == 0


@on_both_loops
async def test_nothing_to_drive_leaves_no_timer_and_driving_again_starts_it() -> None:
    pump, socket = Pump(asyncio.get_running_loop()), unconnected()
    called: list[int] = []
    pump.add(socket, called.append)
    pump.remove(socket)
    pump.remove(socket)
    await asyncio.sleep(0.03)
    n_ticks = pump.lag_us()[0]
    await asyncio.sleep(0.03)
    assert pump.lag_us()[0] == n_ticks
    pump.add(socket, called.append)
    pump.set_deadline(socket, now_ns())
    await until(lambda: called)
    pump.close()


async def test_a_loop_that_was_held_up_is_seen_in_the_lag() -> None:
    pump, socket = Pump(asyncio.get_running_loop()), unconnected()
    pump.add(socket, lambda _now: None)
    begun_ns = now_ns()
    while now_ns() - begun_ns < 40_000_000:
        pass  # hold the loop
    await until(lambda: pump.lag_us()[0] > 0)
    count, p50_us, p99_us, max_us = pump.lag_us()
    assert count >= 1 and max_us >= 25_000 and p50_us <= p99_us <= max_us * 1.1
    pump.close()


def test_a_socket_without_a_connection_is_closed_and_sends_nothing() -> None:
    socket = unconnected()
    assert not socket.is_open and not socket.is_connected
    assert (socket.write_backlog, socket.last_received_ns) == (0, 0)
    socket.send_text(b"x")
    socket.ping()
    socket.close(1000)
    socket.abort()
    assert socket.unsent == 1
