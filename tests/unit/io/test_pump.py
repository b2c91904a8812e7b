"""The timer of all calls, with sockets that have no connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from recorder import Recorder, listening
from wire import connected, on_both_loops, until

from vapimedia.formats import AudioFormat
from vapimedia.io.media_socket import MediaSocket
from vapimedia.io.pump import Pump, now_ns
from vapimedia.media import PlayoutPath, PlayoutPolicy

MULAW = AudioFormat("mulaw", 8000)


def unconnected() -> MediaSocket:
    return MediaSocket(Recorder(), "provider")


class MarkOwner(Recorder):
    """Counts how often it is asked for a mark, and what had been sent by then."""

    def __init__(self, path: PlayoutPath) -> None:
        super().__init__()
        self.path = path
        self.asked_at_ms: list[float] = []

    def socket_mark_due(self, socket: MediaSocket) -> None:
        self.asked_at_ms.append(self.path.sent_ms)


class FaultyOwner(MarkOwner):
    def socket_mark_due(self, socket: MediaSocket) -> None:
        super().socket_mark_due(socket)
        raise RuntimeError("a bug")


@asynccontextmanager
async def playing(kind: type[MarkOwner]) -> AsyncIterator[tuple[MediaSocket, MarkOwner]]:
    """A socket with 400 ms of audio that the pump sends to a connected peer."""
    async with listening() as recorder, connected(recorder.port) as wire:
        assert (await wire.upgrade("/media")).status == 101
        path = PlayoutPath(MULAW, MULAW, policy=PlayoutPolicy(lead_ms=20))
        path.open(now_ns())
        path.feed_payload(bytes(3200), now_ns())  # what is beyond the lead is the pump's
        owner = kind(path)
        receiver = MediaSocket(owner, "vapi")
        receiver.connect_media(path, None, recorder.sockets[0])
        yield receiver, owner


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
async def test_an_owner_that_raises_amid_media_stops_no_other_and_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with playing(FaultyOwner) as (bad, owner):
        pump, good = Pump(asyncio.get_running_loop()), unconnected()
        called: list[int] = []
        pump.add(bad, lambda _now: called.append(-1))
        pump.add(good, called.append)
        await until(lambda: owner.asked_at_ms)
        pump.set_deadline(bad, now_ns())
        pump.set_deadline(good, now_ns())
        await until(lambda: len(called) == 2)
        pump.close()
    assert 'media_failed leg=vapi error="RuntimeError at test_pump.py:' in caplog.text
    assert "a bug" not in caplog.text


@on_both_loops
async def test_no_mark_is_asked_for_before_its_interval_of_audio_went_out() -> None:
    async with playing(MarkOwner) as (receiver, owner):
        pump = Pump(asyncio.get_running_loop())
        pump.add(receiver, lambda _now: None)
        await until(lambda: owner.asked_at_ms)
        assert owner.asked_at_ms[0] >= 100
        pump.close()


@pytest.mark.parametrize("in_lane", [False, True])
def test_the_marks_of_a_burst_stand_between_its_messages(in_lane: bool) -> None:
    class Marker(MarkOwner):
        def socket_mark_due(self, socket: MediaSocket) -> None:
            super().socket_mark_due(socket)
            peer.send_text(f"mark {self.path.sent_ms:g}".encode())

    async def burst() -> list[str]:
        nonlocal peer
        async with listening(in_lane=in_lane) as recorder, connected(recorder.port) as wire:
            assert (await wire.upgrade("/media")).status == 101
            peer = recorder.sockets[0]
            path = PlayoutPath(MULAW, MULAW)
            path.open(now_ns())
            path.set_stalled(True)
            path.feed_payload(bytes(2250 * 8), now_ns())
            path.set_stalled(False)
            receiver = MediaSocket(Marker(path), "vapi")
            receiver.mark_every_ms = 500
            receiver.connect_media(path, None, peer)
            pump = Pump(asyncio.get_running_loop())
            pump.add(receiver, lambda _now: None)
            sent_ms, seen = 0.0, []
            while sent_ms < 2250:
                opcode, payload = await wire.read_frame()
                if opcode == 1:
                    seen.append(f"{payload.decode()} after {sent_ms:g}")
                else:
                    sent_ms += len(payload) / 8
            pump.close()
            return seen

    peer: MediaSocket
    assert asyncio.run(burst()) == [f"mark {ms} after {ms}" for ms in (500, 1000, 1500, 2000)]


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
    n_ticks = pump.lag.read().count
    await asyncio.sleep(0.03)
    assert pump.lag.read().count == n_ticks
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
    await until(lambda: pump.lag.read().count > 0)
    lag = pump.lag.read()
    assert lag.count >= 1 and lag.max >= 25_000_000
    pump.close()


def test_a_socket_without_a_connection_is_closed_and_sends_nothing() -> None:
    socket = unconnected()
    assert not socket.is_open and not socket.is_connected
    assert socket.write_backlog == 0
    socket.send_text(b"x")
    socket.close(1000)
    socket.abort()
    assert socket.unsent == 1
