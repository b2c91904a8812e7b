"""SIGTERM during 100 calls: no new ones, what was answered is still let in for 20 s, live calls run to the drain's
limit and end with 1001 on both legs; every end is told, and the exit code is 0."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from operator import xor
from types import SimpleNamespace

import pytest
from crowd import Assistant, Caller, Crowd, messages
from crowded import come_in, vapi_of
from fault_scene import faulty
from scene import STOP, start, stream_url
from twilio.request_validator import RequestValidator
from wire import CLOSE, TEXT, connected, until, upgrade_request
from wire import frame as ws_frame
from workers_scene import served

N_CALLS, N_FRAMES, AT_ONCE = 100, 150, 20
DRAIN_S = 6.0
GOING_AWAY = (1001).to_bytes(2, "big")


class PoliteCaller(Caller):
    """A phone that answers a close frame, which is the last that comes."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.raw[-4:-2] == b"\x88\x02":
            self.transport.write(ws_frame(CLOSE, bytes(self.raw[-2:])))
            self.transport.close()


class PoliteAssistant(Assistant):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        tail = bytes(self.raw[-8:])
        # The masked audio before it may hold any two bytes; not these and the code too.
        if tail[:2] == b"\x88\x82" and bytes(map(xor, tail[2:4], tail[6:])) == GOING_AWAY:
            self.transport.write(ws_frame(CLOSE, GOING_AWAY, masked=False))
            self.transport.close()


def last_words(one: Caller | Assistant, opcode: int) -> list[bytes]:
    return [payload for code, payload in messages(bytes(one.raw)) if code == opcode]


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("n_workers", [1, pytest.param(4, marks=pytest.mark.long)])
async def test_sigterm_during_100_calls_loses_no_end_and_exits_with_0(n_workers: int) -> None:
    crowd = Crowd(N_FRAMES, assistant=PoliteAssistant)
    with served(n_workers, "--max-calls", "200", "--drain-s", f"{DRAIN_S:g}") as service:
        async with crowd.serving(), service.scene(vapi_of(crowd)) as scene:
            loop = asyncio.get_running_loop()
            callers = [PoliteCaller(number, N_FRAMES) for number in range(1, N_CALLS + 1)]
            gate = asyncio.Semaphore(AT_ONCE)
            await asyncio.gather(*(come_in(scene, caller, gate) for caller in callers))
            await until(lambda: len(crowd.assistants) == N_CALLS, 20)
            waiting = stream_url(await scene.voice(N_CALLS + 1))

            service.signal()
            told_s = loop.time()
            n_taken = 0  # before the signal was seen
            while (await scene.voice(N_CALLS + 2 + n_taken)).status != 503:
                n_taken += 1
                assert loop.time() - told_s < 3
            refused_s = loop.time() - told_s
            assert (await scene.get("/readyz")).status == 503
            async with scene.socket(waiting) as late:  # its token lives
                late.text(start(N_CALLS + 1))
                await until(lambda: len(crowd.assistants) == N_CALLS + 1 and crowd.assistants[-1].raw)
                late.text(STOP)
                assert await late.close_code() == 1000
                late.close()
            await until(lambda: service.process.poll() is not None, 30)
            await scene.until_gone()  # with exit code 0

            ended_s = [(caller.lost_s or 0) - told_s for caller in callers]
            assert min(ended_s) >= DRAIN_S - 0.1 and max(ended_s) < DRAIN_S + 10
            for caller in callers:
                assert last_words(caller, CLOSE) == [GOING_AWAY]
            assistants = [one for one in crowd.assistants if last_words(one, CLOSE) == [GOING_AWAY]]
            assert len(assistants) == N_CALLS
            for one in assistants:
                assert last_words(one, TEXT)[-1] == b'{"type":"end-call"}'
            told = re.findall(r"call_ended .*? call_id=(CA\w+) .*? reason=(\w+)", service.told())
            assert len(set(told)) == len(told) == N_CALLS + 1 + n_taken
            assert Counter(reason for _, reason in told) == {"drain": N_CALLS + n_taken, "provider_stop": 1}
            print(
                f"{n_workers} workers: refused after {1000 * refused_s:.0f} ms; ends {Counter(told).total()}, "
                f"{min(ended_s):.2f} to {max(ended_s):.2f} s after the signal"
            )


@pytest.mark.parametrize(("after_s", "status"), [(19.9, 101), (20.1, 503)])
async def test_sockets_with_a_live_token_are_let_in_for_20_s(
    after_s: float, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with faulty(drain_s=2.0) as scene:
        url = stream_url(await scene.voice())
        draining = asyncio.ensure_future(scene.bridge.drain())
        await asyncio.sleep(0)
        begun_s = time.monotonic()
        assert (await scene.voice(2)).status == 503
        assert (await scene.get("/readyz")).status == 503
        later = SimpleNamespace(monotonic=lambda: begun_s + after_s, time=time.time)
        monkeypatch.setattr("vapimedia.io.desk.time", later)
        async with connected(scene.bridge.port) as phone:
            path = url.removeprefix("wss://bridge.test")
            signature = RequestValidator(scene.auth_token).compute_signature(url, {})
            phone.send(upgrade_request(path, {"X-Twilio-Signature": signature}))
            assert (await phone.head()).status == status
            monkeypatch.undo()
            if status == 101:
                phone.text(start())
                await until(lambda: scene.vapi.legs)
                phone.text(STOP)
                assert await phone.close_code() == 1000
        await draining
        assert [one.reason for one in scene.ended] == ["provider_stop" if status == 101 else "drain"]
