"""Descriptors run out: who calls now is refused at once, calls that live go on, little is spent on it, and with
descriptors there again calls are taken as before."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from scene import STOP, call_sid, media, start, stream_url
from wire import Wire, connected, until
from workers_scene import Service, WorkersScene, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

FULL_S = 1.5
SAID = b"\x10" * 160


def limit_of(pid: int, spare: int) -> int:
    """The limit with which a process can open *spare* more."""
    held = {int(one.name) for one in Path(f"/proc/{pid}/fd").iterdir()}
    free = (number for number in range(65536) if number not in held)
    return [next(free) for _ in range(spare + 1)][-1]


def cpu_s(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)  # of another process, as the kernel numbers such clocks


@asynccontextmanager
async def exhausted(pids: list[int], spare: int) -> AsyncIterator[None]:
    """Leave each process *spare* more descriptors than it has open."""
    before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in pids}
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit_of(pid, spare), before[pid][1]))
    try:
        yield
    finally:
        for pid, limits in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


async def asked(scene: WorkersScene, number: int) -> int:
    """The status of the answer to a voice webhook; 0: the connection was closed without one."""
    try:
        return (await scene.voice(number)).status
    except (OSError, asyncio.IncompleteReadError):
        return 0


async def calls(scene: WorkersScene, stack: AsyncExitStack, n: int) -> list[Wire]:
    phones = []
    for number in range(1, n + 1):
        phone = await stack.enter_async_context(scene.socket(stream_url(await scene.voice(number))))
        phone.text(start(number))
        phones.append(phone)
        leg = await scene.vapi.leg(number)
        await until(lambda leg=leg: leg.audio)  # type: ignore[misc]
    return phones


async def expect_all_hear(scene: WorkersScene, phones: list[Wire]) -> None:
    """What each caller says now reaches its assistant."""
    heard = [leg.audio.count(SAID) for leg in scene.vapi.legs]
    for phone in phones:
        phone.text(media(SAID))
    await until(lambda: all(leg.audio.count(SAID) > n for leg, n in zip(scene.vapi.legs, heard, strict=True)))


@pytest.mark.parametrize(
    ("n_workers", "which"),
    [(1, "all"), pytest.param(2, "the supervisor", marks=pytest.mark.long), (2, "the workers")],
)
async def test_without_descriptors_new_calls_are_refused_and_live_ones_go_on(
    n_workers: int, which: str
) -> None:
    with served(n_workers) as service:
        pids = pids_of(service, which)
        async with service.scene() as scene, AsyncExitStack() as stack:
            phones = await calls(scene, stack, 2)
            async with exhausted(pids, spare=0):
                begun, used = time.monotonic(), {pid: cpu_s(pid) for pid in pids}
                statuses = []
                while time.monotonic() - begun < FULL_S:
                    asked_s = time.monotonic()
                    statuses.append(await asked(scene, 100 + len(statuses)))
                    assert time.monotonic() - asked_s < 2
                    await expect_all_hear(scene, phones)
                    await asyncio.sleep(0.05)
                passed_s = time.monotonic() - begun
                shares = {pid: (cpu_s(pid) - used[pid]) / passed_s for pid in pids}
                assert set(statuses) <= ({503} if which != "the workers" else {0}), statuses
                assert max(shares.values()) < 0.2, shares
                print(f"{which} of {n_workers}: {len(statuses)} refused, {shares}")
            async with asyncio.timeout(2):
                while await asked(scene, 50) != 200:
                    await asyncio.sleep(0.05)
            late = await stack.enter_async_context(scene.socket(stream_url(await scene.voice(50))))
            late.text(start(50))
            await scene.vapi.leg(3)
            for number, phone in [*enumerate(phones, 1), (50, late)]:
                phone.text(STOP | {"stop": {"callSid": call_sid(number)}})
                assert await phone.close_code() == 1000
                phone.close()
            await scene.until_live(0)
            assert "Traceback" not in service.told()


async def test_connections_that_say_nothing_are_refused_too_and_cost_little() -> None:
    with served(1) as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            phones = await calls(scene, stack, 1)
            async with exhausted([service.process.pid], spare=3):
                wires = [await stack.enter_async_context(connected(service.port)) for _ in range(30)]
                begun, used = time.monotonic(), cpu_s(service.process.pid)
                ends = [asyncio.ensure_future(wire.answer()) for wire in wires[3:]]
                async with asyncio.timeout(4):
                    answers = await asyncio.gather(*ends)
                assert {answer.status for answer in answers} == {503}
                await expect_all_hear(scene, phones)
                await asyncio.sleep(max(0.0, begun + 2 - time.monotonic()))
                assert cpu_s(service.process.pid) - used < 0.2 * (time.monotonic() - begun)
            phones[0].text(STOP)
            assert await phones[0].close_code() == 1000


def pids_of(service: Service, which: str) -> list[int]:
    return service.pids if which == "the workers" else [service.process.pid]
