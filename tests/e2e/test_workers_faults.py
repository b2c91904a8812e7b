"""Workers that die, stop or are told to; a supervisor that is told to, or dies. Real processes, real signals."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack

import pytest
from scene import ACCOUNT, STOP, call_sid, media, start, stream_url
from wire import Wire, until
from workers_scene import EarlyEnd, Service, WorkersScene, is_running, served, worker_of

pytestmark = pytest.mark.slow

BRIDGE = "import os, sys\nfrom vapimedia import Bridge\nbridge = Bridge()\n"
IF_WORKER = "if sys.argv[0].endswith('worker.py'): "


async def call(scene: WorkersScene, stack: AsyncExitStack, number: int) -> tuple[Wire, int]:
    """A live call that ends with *stack*, and its worker."""
    answer = await scene.voice(number)
    assert answer.status == 200, answer
    phone = await stack.enter_async_context(scene.socket(stream_url(answer)))
    phone.text(start(number))
    leg = await scene.vapi.leg(number)
    await until(lambda: leg.audio)
    return phone, worker_of(stream_url(answer))


async def replaced(scene: WorkersScene, old: int, n_workers: int) -> list[int]:
    """Wait until another worker serves in place of *old*; return all their numbers."""
    async with asyncio.timeout(15):
        while True:
            numbers = [one["worker"] for one in (await scene.status())["workers"]]
            if len(numbers) == n_workers and old not in numbers:
                return numbers
            await asyncio.sleep(0.05)


async def test_a_killed_worker_takes_only_its_own_calls_with_it_and_is_replaced() -> None:
    with served(2, "--max-calls", "5") as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            calls = [await call(scene, stack, number) for number in (1, 2, 3, 4)]
            waiting = stream_url(await scene.voice(5))  # its media socket has not come yet
            await scene.live()  # what is scraped is not forgotten
            lost = worker_of(waiting)
            os.kill(await scene.pid_of(lost), signal.SIGKILL)
            for number, (phone, worker) in enumerate(calls, 1):
                leg = await scene.vapi.leg(number)
                if worker == lost:
                    assert await phone.close_code() == 1006
                    await until(lambda leg=leg: leg.is_over)  # type: ignore[misc]
                else:
                    heard = len(leg.audio)
                    phone.text(media(bytes([number]) * 160))
                    await until(lambda leg=leg, heard=heard: len(leg.audio) > heard + 160)  # type: ignore[misc]
                    assert bytes([number]) * 160 in leg.audio
            with pytest.raises(AssertionError, match="call of this media token is over"):
                async with scene.socket(waiting):
                    pass
            assert set((await scene.live()).values()) == {1, 2} - {lost}
            assert max(await replaced(scene, lost, 2)) == 3
            # There is room again, and the new one takes part.
            for number in (6, 7, 8):
                assert (await scene.voice(number)).status == 200
            assert (await scene.voice(9)).status == 503
            assert 3 in (await scene.live()).values()
            metrics = (await scene.get("/metrics", admin=True)).body.decode()
            assert "vapimedia_worker_restarts_total 1.0" in metrics
            assert 'vapimedia_calls_ended_total{reason="worker_lost"} 3.0' in metrics
            for number, (phone, worker) in enumerate(calls, 1):
                if worker != lost:
                    phone.text(STOP | {"stop": {"callSid": call_sid(number)}})
            for number in (6, 7, 8):
                fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(number), "CallStatus": "completed"}
                await scene.webhook("/twilio/status", fields)


async def test_sigterm_drains_all_workers_and_ends_with_0() -> None:
    with served(2) as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            phones = [(await call(scene, stack, number))[0] for number in (1, 2)]
            waiting = stream_url(await scene.voice(3))
            service.signal()
            async with asyncio.timeout(5):
                while (await scene.voice(4)).status != 503:
                    pass
            assert (await scene.get("/readyz")).status == 503
            async with scene.socket(waiting) as late:  # its token is still good
                late.text(start(3))
                await scene.vapi.leg(3)
                late.text(STOP)
                assert await late.close_code() == 1000
            assert len(await scene.live()) == 2
            for number, phone in enumerate(phones, 1):
                phone.text(media(b"\x10" * 160))
                leg = await scene.vapi.leg(number)
                await until(lambda leg=leg: b"\x10" * 160 in leg.audio)  # type: ignore[misc]
            for phone in phones:
                phone.text(STOP)
                assert await phone.close_code() == 1000
                phone.close()
            await scene.until_gone()


@pytest.mark.parametrize("how", ["limit", "twice"])
async def test_the_limit_of_a_drain_or_a_second_signal_ends_live_calls_with_1001(how: str) -> None:
    with served(2, "--drain-s", "1" if how == "limit" else "60") as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            phone, _worker = await call(scene, stack, 1)
            service.signal()
            if how == "twice":
                await until(lambda: "draining, calls that live" in service.told())
                service.signal()
            assert await phone.close_code() == 1001
            phone.close(1001)
            await scene.until_gone()


async def test_ctrl_c_reaches_every_process_and_means_what_it_means_to_the_supervisor() -> None:
    with served(2, expect=130) as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            phone, _worker = await call(scene, stack, 1)
            os.killpg(service.process.pid, signal.SIGINT)
            await until(lambda: "SIGINT: draining" in service.told())
            await asyncio.sleep(0.3)
            assert len(await scene.live()) == 1
            phone.text(STOP)
            assert await phone.close_code() == 1000
            phone.close()
            await scene.until_gone(130)


async def test_workers_whose_supervisor_dies_let_their_calls_run_out() -> None:
    with served(2, expect=None) as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            phone, worker = await call(scene, stack, 1)
            pid = await scene.pid_of(worker)
            service.signal(signal.SIGKILL)
            await until(lambda: sum(map(is_running, service.pids)) == 1)  # the one without a call
            leg = await scene.vapi.leg(1)
            phone.text(media(b"\x10" * 160))
            await until(lambda: b"\x10" * 160 in leg.audio)
            assert is_running(pid)
            phone.text(STOP)
            assert await phone.close_code() == 1000
            phone.close()
            await until(lambda: not is_running(pid))
            scene.is_gone = True


async def test_a_worker_that_gets_sigterm_drains_alone_and_is_replaced() -> None:
    with served(2) as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            phone, old = await call(scene, stack, 1)
            os.kill(await scene.pid_of(old), signal.SIGTERM)
            await until(lambda: f"worker {old} vapimedia.bridge: draining" in service.told())
            for number in (2, 3):  # new calls are for the other one, though it has more
                assert worker_of(stream_url(await scene.voice(number))) != old
            phone.text(STOP)
            assert await phone.close_code() == 1000
            phone.close()
            await replaced(scene, old, 2)
            assert "ended with code 0" in service.told()
            for number in (2, 3):
                fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(number), "CallStatus": "completed"}
                await scene.webhook("/twilio/status", fields)
            await scene.until_live(0)
            assert (await scene.status())["ended"]["provider_stop"] == 3  # the old one's is not forgotten


async def test_a_worker_that_stands_still_gets_nothing_new() -> None:
    with served(2, "--max-calls", "50") as service:
        async with service.scene() as scene:
            still = service.pids[0]
            os.kill(still, signal.SIGSTOP)
            await asyncio.sleep(3.5)
            named = {worker_of(stream_url(await scene.voice(number))) for number in range(1, 9)}
            assert named == {2}
            assert [one["worker"] for one in (await scene.status())["workers"]] == [2]
            metrics = (await scene.get("/metrics", admin=True)).body.decode()
            assert 'vapimedia_irregularities_total{what="worker_silent"} 2.0' in metrics
            os.kill(still, signal.SIGCONT)
            await asyncio.sleep(1.5)
            assert worker_of(stream_url(await scene.voice(9))) == 1
            for number in range(1, 10):
                fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(number), "CallStatus": "completed"}
                await scene.webhook("/twilio/status", fields)


def break_app(service: Service) -> None:
    (service.folder / "store.py").write_text("raise RuntimeError('the database is gone')\n")


async def test_a_supervisor_gives_up_when_no_worker_can_start() -> None:
    with served(2, expect=1) as service:
        async with service.scene() as scene:
            break_app(service)
            for pid in service.pids:
                os.kill(pid, signal.SIGKILL)
            assert await service.exit_code() == 1
            told = service.told()
            assert "5 workers in a row ended before they could serve: cannot import the app" in told
            assert "Traceback" not in told
            scene.is_gone = True


async def test_a_worker_that_cannot_start_is_tried_again_while_another_serves() -> None:
    with served(2) as service:
        async with service.scene() as scene, AsyncExitStack() as stack:
            phone, worker = await call(scene, stack, 1)
            other = await scene.pid_of(3 - worker)
            whole = (service.folder / "store.py").read_text()
            break_app(service)
            os.kill(other, signal.SIGKILL)
            await until(
                lambda: service.told().count("before") + service.told().count("ended with code 1") >= 3, 30
            )
            (service.folder / "store.py").write_text(whole)
            await replaced(scene, 3 - worker, 2)
            phone.text(STOP)
            assert await phone.close_code() == 1000


@pytest.mark.parametrize(
    ("app", "code", "text"),
    [
        ("import no_such_module\n", 2, "cannot import the app 'store'"),
        (BRIDGE + IF_WORKER + "sys.exit(7)\n", 1, "ended with code 7"),
        (BRIDGE + IF_WORKER + "os._exit(7)\n", 1, "ended with code 7"),
        (BRIDGE + IF_WORKER + "raise RuntimeError('here only')\n", 2, "here only"),
    ],
)
def test_a_start_that_fails_is_one_line_and_leaves_nothing(app: str, code: int, text: str) -> None:
    with pytest.raises(EarlyEnd) as ended, served(2, app=app):
        pass
    assert ended.value.code == code and text in ended.value.told
    assert "Traceback" not in ended.value.told
