"""A peer that reads too slowly: what the bridge holds for it is never more than 200 ms late, what is older is dropped
and counted, and nothing more is sent once the echo of a ping is over 1 s old. The other calls do not notice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import pytest
from fault_scene import elapsed_ms, faulty
from fault_talk import Talk
from faulty_call import LEGS, live_call, soon
from scene import Scene, call_sid
from wire import nothing_left, on_uvloop_mostly, until

from vapimedia.bench.load.modes import carry_out
from vapimedia.bench.load.plan import LoadPlan
from vapimedia.testing import FaultProxy, ProxiedConnection

LATE_MS = 200
OWN_MS = 60  # what is not the bridge's in an age: a frame, and the turns of peers and proxy
ECHO_MS = 1000
PING_MS = 2000


@asynccontextmanager
async def talking(scene: Scene, leg_name: str, number: int, proxy: FaultProxy) -> AsyncIterator[Talk]:
    """A live call in which who is at *leg_name*, behind *proxy*, listens to the other."""
    async with live_call(scene, number, {leg_name: proxy}) as (phone, leg):
        call = next(one for one in scene.bridge.calls if one.call_id == call_sid(number))
        talk = Talk(call, phone, leg, leg_name)
        async with talk.running():
            yield talk


def _proxy(scene: Scene, leg_name: str, buffer_bytes: int | None = None) -> FaultProxy:
    port = scene.bridge.port if leg_name == "provider" else int(scene.vapi.url.rpartition(":")[2])
    return FaultProxy("127.0.0.1", port, buffer_bytes=buffer_bytes)


@pytest.mark.slow
@on_uvloop_mostly
@pytest.mark.parametrize("leg_name", LEGS)
async def test_what_is_held_is_never_late_and_what_is_older_is_dropped_and_counted(leg_name: str) -> None:
    numbers = itertools.count(1)
    async with faulty(prebuffer_ms=0) as scene:
        await scene.get("/healthz")  # lets the first connections' costs be paid

        async def attempt() -> float:
            async with (
                nothing_left(),
                _proxy(scene, leg_name, 4096) as proxy,
                talking(scene, leg_name, next(numbers), proxy) as talk,
            ):
                await until(lambda: len(talk.heard) > 10)
                connection = proxy.connections[0]
                connection.stall(None, "down" if leg_name == "provider" else "up")
                await asyncio.sleep(2)
                resumed_s = asyncio.get_running_loop().time()
                connection.resume()
                await until(lambda: talk.heard[-1][1] - resumed_s > 0.5)
                order = [number for number, _ in talk.heard]
                assert order == sorted(set(order))
                # What the kernels had comes first; then what the bridge still held, after what it dropped.
                last, first = next((a, b) for a, b in itertools.pairwise(order) if b > a + 1)
                n_missing = order[-1] + 1 - len(order)
                assert n_missing == first - last - 1
                assert talk.dropped_ms == 20 * n_missing > 500
                return 1000 * (resumed_s - talk.spoken_s[first])

        await soon(LATE_MS + OWN_MS, attempt)


@pytest.mark.slow
@on_uvloop_mostly
async def test_nothing_is_sent_once_the_echo_is_a_second_old() -> None:
    async with faulty() as scene, AsyncExitStack() as stack:
        legs = []
        for number, leg_name in enumerate(LEGS, 1):
            proxy = await stack.enter_async_context(
                _proxy(scene, leg_name)
            )  # it takes more than is spoken here
            talk = await stack.enter_async_context(talking(scene, leg_name, number, proxy))
            legs.append((talk, proxy.connections[0]))
        await asyncio.gather(*(_stops(talk, connection) for talk, connection in legs))


async def _stops(talk: Talk, connection: ProxiedConnection) -> None:
    await until(lambda: len(talk.heard) > 10)
    since_s = asyncio.get_running_loop().time()
    connection.stall(None, "down" if talk.to == "provider" else "up")
    await until(lambda: talk.socket.late_echoes == 1)
    assert elapsed_ms(since_s) <= PING_MS + ECHO_MS + 500
    n_sent = talk.n_sent
    await asyncio.sleep(0.6)
    assert talk.n_sent == n_sent and talk.dropped_ms > 0
    connection.resume()
    await until(lambda: talk.n_sent > n_sent + 10)
    assert talk.socket.late_echoes == 1


# --- the other calls -----------------------------------------------------------------------------

ROUNDS = range(3, 6)
P50_TIMES, P99_TIMES, P99_US = 1.1, 1.1, 1000


def _load(n_stalled: int) -> tuple[float, float]:
    """One load; the p50 and p99 of the calls whose phones read, in us."""
    report = carry_out(LoadPlan(calls=44, seconds=5, stalled=n_stalled))
    assert not report.failed, (n_stalled, report.directions, report.ends, report.latency_us, report.notes)
    p50, p99 = report.latency_us["both"]["p50"], report.latency_us["both"]["p99"]
    assert p50 is not None and p99 is not None
    return p50, p99


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(400)
def test_the_other_calls_are_as_fast_as_without() -> None:
    """With stalled phones between two loads without: no more than the bound, or than those two differ by themselves."""
    over_p50, over_p99 = [], []
    for n_rounds in ROUNDS:
        while len(over_p50) < n_rounds:
            before, beside, after = _load(0), _load(4), _load(0)
            (low_50, high_50), (low_99, high_99) = (sorted(pair) for pair in zip(before, after, strict=True))
            over_p50.append(beside[0] / max(P50_TIMES * (low_50 + high_50) / 2, high_50))
            over_p99.append(beside[1] / max(P99_TIMES * low_99, low_99 + P99_US, high_99))
            print(f"p50 {before[0]} {beside[0]} {after[0]}, p99 {before[1]} {beside[1]} {after[1]} us")
        if median(over_p50) <= 1 and median(over_p99) <= 1:
            return
    raise AssertionError(f"times their bounds: p50 {over_p50}, p99 {over_p99}")
