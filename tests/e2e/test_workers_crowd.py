"""Two hundred calls over four workers, each by a signed webhook and a token; then one worker is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from crowd import Assistant, Caller, Crowd, connect
from load import FRAME, judge
from scene import AUTH_TOKEN, STOP, Vapi, call_sid, start, stream_url
from twilio.request_validator import RequestValidator
from wire import until
from workers_scene import WorkersScene, served, worker_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

N_WORKERS, N_CALLS, N_FRAMES, AT_ONCE = 4, 200, 300, 20


async def come_in(scene: WorkersScene, caller: Caller, gate: asyncio.Semaphore) -> int:
    """Webhook, media socket, start; return the worker that the token names."""
    async with gate:
        answer = await scene.voice(caller.number)
        assert answer.status == 200, answer
        url = stream_url(answer)
        signature = RequestValidator(AUTH_TOKEN).compute_signature(url, {})
        head = await connect(
            caller, scene.service.port, urlsplit(url).path, {"X-Twilio-Signature": signature}
        )
        assert head.startswith(b"HTTP/1.1 101 "), head
    caller.say({"event": "connected", "protocol": "Call", "version": "1.0.0"})
    caller.say(start(caller.number, streamSid=caller.stream) | {"streamSid": caller.stream})
    caller.talk()
    return worker_of(url)


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def pair(callers: list[Caller], assistants: list[Assistant]) -> dict[Caller, Assistant]:
    """Find out, by the numbers in the audio, which caller each assistant heard."""
    by_number = {caller.number: caller for caller in callers}
    return {by_number[int.from_bytes(one.heard[1:3], "big")]: one for one in assistants}


async def test_a_crowd_is_shared_out_and_a_killed_worker_ends_only_its_own_calls() -> None:
    crowd = Crowd(N_FRAMES)

    async def create(_request: web.Request, _body: object) -> web.Response:
        number = len(vapi.requests)
        url = f"{crowd.url}/{number}/transport"
        return web.json_response(
            {"id": f"vapi-call-{number}", "transport": {"websocketCallUrl": url}}, status=201
        )

    vapi = Vapi(create=create)
    with served(N_WORKERS, "--max-calls", str(N_CALLS), "--log-level", "warning") as service:
        async with crowd.serving(), service.scene(vapi) as scene:
            held = open_files(service.process.pid)
            callers = [Caller(number, N_FRAMES) for number in range(1, N_CALLS + 1)]
            gate = asyncio.Semaphore(AT_ONCE)
            named = await asyncio.gather(*(come_in(scene, caller, gate) for caller in callers))
            live = await scene.until_live(N_CALLS)
            # None was refused, and each is where its token says; the workers carry nearly the same.
            assert live == {
                call_sid(caller.number): worker for caller, worker in zip(callers, named, strict=True)
            }
            assert (await scene.voice(N_CALLS + 1)).status == 503
            carried = Counter(named)
            assert len(carried) == N_WORKERS and max(carried.values()) - min(carried.values()) <= 10

            await until(lambda: len(crowd.assistants) == N_CALLS, 20)
            await asyncio.sleep(1)
            lost = named[0]
            os.kill(await scene.pid_of(lost), signal.SIGKILL)
            killed_s = asyncio.get_running_loop().time()
            gone = [caller for caller, worker in zip(callers, named, strict=True) if worker == lost]
            stay = [caller for caller, worker in zip(callers, named, strict=True) if worker != lost]
            await until(lambda: all(caller.is_lost.is_set() for caller in gone), 5)
            assert all(caller.lost_s - killed_s < 1 for caller in gone if caller.lost_s)
            await scene.until_live(len(stay))

            # The others say and hear everything, to the end.
            await until(lambda: all(len(caller.spoken) == N_FRAMES for caller in stay), 30)
            await asyncio.sleep(1)
            assert not any(caller.is_lost.is_set() for caller in stay)
            for caller in stay:
                caller.say(STOP | {"streamSid": caller.stream})
            await scene.until_live(0)
            assert open_files(service.process.pid) <= held  # nothing of 200 calls and a lost worker is left
            pairs = pair(callers, crowd.assistants)
            assert len(pairs) == N_CALLS
            totals: Counter[str] = Counter()
            for caller in stay:
                assistant = pairs[caller]
                totals.update(asdict(judge(caller.spoken, assistant.heard)))
                totals.update(asdict(judge(assistant.spoken, caller.heard)))
            assert totals["sent"] >= 2 * len(stay) * N_FRAMES * 0.9
            assert (totals["lost"], totals["duplicated"], totals["corrupted"]) == (0, 0, 0), totals
            # Those that were lost had one partner all along, too.
            for caller in gone:
                assert (
                    judge(pairs[caller].spoken, caller.heard[: len(caller.heard) // FRAME * FRAME]).corrupted
                    == 0
                )
            print(f"carried {dict(carried)}; lost with worker {lost}: {len(gone)}; judged: {dict(totals)}")
