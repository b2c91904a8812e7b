"""How workers are kept running: who is replaced, who is killed, and when that is given up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from wire import until

from vapimedia.errors import ConfigError, VapimediaError
from vapimedia.io.workers import roster as module
from vapimedia.io.workers.roster import Roster


class Fake:
    """A worker that does what its *fate* says: ``ready``, ``slow``, ``failed``, ``dies``, ``no process``."""

    def __init__(self, number: int, gone: Callable[[Any], None], fate: str) -> None:
        self.number, self.pid, self.fate, self._gone = number, 100 + number, fate, gone
        self.n_seats, self.silent_s, self.started_s = 0, 0.0, time.monotonic()
        self.has_left, self.exit_code = False, None
        self.failure, self.n_pings, self.is_dead = "", 0, False
        self.go_on = asyncio.Event()
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def is_ready(self) -> bool:
        return self.ready.done() and self.ready.result() and not self.is_dead

    async def start(self, _setup: object) -> None:
        if self.fate == "no process":
            raise OSError(11, "Resource temporarily unavailable")
        if self.fate == "slow":
            await self.go_on.wait()
        if self.fate in ("ready", "slow"):
            self.ready.set_result(True)
            return
        self.failure = "assistant_id is wrong" if self.fate == "failed" else ""
        asyncio.get_running_loop().call_soon(self.kill)

    def tell(self, _body: object) -> None:
        asyncio.get_running_loop().call_soon(self.kill)

    def ping(self) -> None:
        self.n_pings += 1

    def kill(self) -> None:
        if not self.is_dead:
            self.is_dead, self.exit_code = True, -9
            if not self.ready.done():
                self.ready.set_result(False)
            self._gone(self)


def roster(n: int, *fates: str) -> tuple[Roster, list[Fake]]:
    """A roster of *n*, whose workers have these fates in turn, and the last one's after that."""
    made: list[Fake] = []

    def make(number: int, gone: Callable[[Any], None]) -> Any:
        made.append(Fake(number, gone, fates[min(number, len(fates)) - 1]))
        return made[-1]

    return Roster(n, make, lambda _number: None, lambda _worker: None), made  # type: ignore[arg-type,return-value]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(module, "_PING_S", 0.005)


async def test_whoever_dies_is_replaced_under_a_number_of_its_own() -> None:
    staff, made = roster(2, "ready")
    await staff.start()
    made[0].kill()
    await until(lambda: len(staff.ready) == 2)
    assert [worker.number for worker in staff.ready] == [2, 3] and staff.restarts == 1
    await staff.close()
    assert all(worker.is_dead for worker in made) and staff.workers == {}


@pytest.mark.slow
async def test_starts_that_fail_in_a_row_are_given_up_once_nobody_serves() -> None:
    staff, made = roster(2, "ready", "ready", "dies")
    await staff.start()
    made[0].kill()
    await until(lambda: len(made) >= 12)  # the other one serves
    assert not staff.given_up.done()
    made[1].kill()
    assert "workers in a row ended before they could serve" in await staff.given_up
    assert "code -9" in staff.given_up.result()
    await staff.close()


async def test_one_that_serves_at_last_makes_up_for_those_that_did_not() -> None:
    staff, made = roster(1, "ready", "dies", "failed", "no process", "ready")
    await staff.start()
    made[0].kill()
    await until(lambda: len(staff.ready) == 1)
    assert len(made) == 5 and staff._n_failed_starts == 0 and not staff.given_up.done()
    await staff.close()


@pytest.mark.parametrize(
    ("fate", "error", "text"),
    [
        ("failed", ConfigError, "assistant_id is wrong"),
        ("dies", VapimediaError, "ended with code -9 before it could serve"),
        ("no process", VapimediaError, "cannot be started: Resource temporarily unavailable"),
    ],
)
async def test_the_first_start_must_succeed(fate: str, error: type[Exception], text: str) -> None:
    staff, _made = roster(2, "ready", fate)
    with pytest.raises(error, match=text):
        await staff.start()
    await staff.close()
    assert staff.workers == {}


async def test_whoever_answers_no_more_is_killed_and_replaced() -> None:
    staff, made = roster(2, "ready")
    await staff.start()
    await until(lambda: made[0].n_pings and made[1].n_pings)
    made[0].silent_s = module._STUCK_S + 1
    await until(lambda: made[0].is_dead)
    await until(lambda: len(staff.ready) == 2)
    assert not made[1].is_dead
    await staff.close()


async def test_nobody_is_replaced_at_the_end() -> None:
    staff, made = roster(2, "ready")
    await staff.start()
    staff.end(object())  # type: ignore[arg-type]
    await staff.is_empty.wait()
    await asyncio.sleep(0.02)
    assert len(made) == 2
    await staff.close()


async def test_one_that_is_being_made_as_the_end_begins_is_told_too() -> None:
    staff, made = roster(1, "ready", "slow")
    await staff.start()
    made[0].kill()
    await until(lambda: len(made) == 2)
    staff.end(object())  # type: ignore[arg-type]
    made[1].go_on.set()
    await until(lambda: made[1].is_dead)
    await staff.close()
