"""Two workers behind one port: every request finds the worker that has its call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from outbound_scene import API_KEY, APPLICATION, SIGNATURE_SECRET, TO
from scene import ACCOUNT, STOP, call_sid, start, stream_url
from wire import connected, until
from workers_scene import Service, WorkersScene, served, worker_of

from vapimedia.testing.vonage_wire import sign

pytestmark = pytest.mark.slow

ELSEWHERE_S = 0.3
"""After so long a request that was passed counts no more: the next one goes to the worker without a call."""


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with served(2, "--max-calls", "4") as service:
        yield service


async def ask(scene: WorkersScene, name: str, arguments: dict[str, Any], vapi_call: str = "") -> Any:
    """A tool's result, asked for by a webhook of Vapi's."""
    wanted = {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}
    message = {"type": "tool-calls", "toolCallList": [wanted], "call": {"id": vapi_call}}
    answer = await scene.vapi_webhook(message)
    assert answer.status == 200, answer
    entry = json.loads(answer.body)["results"][0]
    return json.loads(entry["result"]) if "result" in entry else entry


async def test_a_media_socket_comes_to_the_worker_that_its_token_names(service: Service) -> None:
    async with service.scene() as scene, AsyncExitStack() as phones:
        named = {}
        for number in (1, 2, 3, 4):
            answer = await scene.voice(number)
            named[call_sid(number)] = worker_of(stream_url(answer))
            phone = await phones.enter_async_context(scene.socket(stream_url(answer)))
            phone.text(start(number))
            await scene.vapi.leg(number)
        assert await scene.live() == named
        assert sorted(named.values()) == [1, 1, 2, 2]


async def test_a_token_is_good_once_and_a_broken_one_never(service: Service) -> None:
    async with service.scene() as scene, scene.phone() as phone:
        url = stream_url(await scene.voice())
        made_up = url[:-64] + "A" * 64
        for token, reason in ((url, "was used before"), (made_up, "was not made here")):
            with pytest.raises(AssertionError, match=reason):  # the scene's, about the answer
                async with scene.socket(token):
                    pass
        phone.text(STOP)
        assert await phone.close_code() == 1000


async def test_an_upgrade_without_a_valid_signature_spends_no_token(service: Service) -> None:
    async with service.scene() as scene:
        url = stream_url(await scene.voice())
        async with connected(service.port) as wire:
            answer = await wire.upgrade(url.removeprefix("wss://bridge.test"))
            assert answer.status == 403
        async with scene.socket(url) as phone:
            phone.text(STOP)
            assert await phone.close_code() == 1000


async def test_a_webhook_that_is_sent_again_is_answered_by_the_worker_that_has_the_call(
    service: Service,
) -> None:
    async with service.scene() as scene:
        first = await scene.voice()
        await asyncio.sleep(ELSEWHERE_S)
        again = await asyncio.gather(*(scene.voice() for _ in range(4)))
        assert {answer.body for answer in again} == {first.body}
        assert len(scene.vapi.requests) == 1
        await end_by_status(scene, 1)


async def test_a_webhook_that_comes_twice_at_once_makes_one_call(service: Service) -> None:
    async with service.scene() as scene:
        answers = await asyncio.gather(*(scene.voice() for _ in range(6)))
        assert [answer.status for answer in answers] == [200] * 6
        assert len({answer.body for answer in answers}) == 1
        await end_by_status(scene, 1)
    assert len(scene.vapi.requests) == 1


async def end_by_status(scene: WorkersScene, number: int) -> None:
    fields = {"AccountSid": ACCOUNT, "CallSid": call_sid(number), "CallStatus": "completed"}
    assert (await scene.webhook("/twilio/status", fields)).status == 204


async def test_a_status_callback_ends_a_call_of_any_worker(service: Service) -> None:
    async with service.scene() as scene, scene.call() as (phone, leg):
        await asyncio.sleep(ELSEWHERE_S)
        await end_by_status(scene, 1)
        assert await phone.close_code() == 1000
        phone.close()
        await until(lambda: leg.is_over)


async def test_a_tool_call_is_answered_where_its_call_lives(service: Service) -> None:
    async with service.scene() as scene, scene.call() as (phone, leg):
        await asyncio.sleep(ELSEWHERE_S)
        owner = await scene.pid_of((await scene.live())[call_sid()])
        for _ in range(3):
            assert await ask(scene, "whose", {}, leg.call_id) == {"pid": owner, "call": leg.call_id}
        assert (await ask(scene, "whose", {}, "somebody-else"))["call"] is None
        phone.text(STOP)
        await phone.close_code()


async def test_no_more_calls_are_taken_than_all_workers_together_may(service: Service) -> None:
    async with service.scene() as scene:
        answers = await asyncio.gather(*(scene.voice(number) for number in range(1, 8)))
        assert sorted(answer.status for answer in answers) == [200] * 4 + [503] * 3
        assert (await scene.get("/readyz")).status == 503
        assert (await scene.get("/healthz")).status == 200
        taken = [number for number, answer in enumerate(answers, 1) if answer.status == 200]
        again = await scene.voice(taken[0])
        assert again.body == answers[taken[0] - 1].body
        for number in taken:
            await end_by_status(scene, number)
        await scene.until_live(0)
        assert (await scene.get("/readyz")).status == 200


async def test_a_token_of_vonage_is_good_once_whichever_worker_it_comes_to(service: Service) -> None:
    async with service.scene() as scene:
        body = json.dumps({"uuid": "aaaaaaaa-0000-4000-8000-000000000001", "status": "completed"}).encode()
        token = sign(SIGNATURE_SECRET, api_key=API_KEY, application_id=APPLICATION, body=body)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        answers = await asyncio.gather(*(scene.post("/vonage/event", body, headers) for _ in range(6)))
        assert sorted(answer.status for answer in answers) == [204] + [403] * 5


async def test_a_call_that_a_worker_makes_is_followed_by_its_reference(service: Service) -> None:
    async with service.scene() as scene:
        dialled = await ask(scene, "dial", {"to": TO, "provider": "twilio"})
        asked = scene.api.asked[0]
        assert set(await scene.live()) == {dialled["id"]}
        await asyncio.sleep(ELSEWHERE_S)
        for status in ("ringing", "in-progress", "completed"):
            fields = {"AccountSid": ACCOUNT, "CallSid": dialled["id"], "CallStatus": status}
            path = asked.status_url.removeprefix("https://bridge.test")
            assert (await scene.webhook(path, fields)).status == 204
        await scene.until_live(0)
        assert (await scene.status())["ended"]["provider_stop"] >= 1


def test_a_workers_command_line_and_environment_tell_nothing_that_the_supervisors_do_not(
    service: Service,
) -> None:
    def environment(pid: int) -> set[bytes]:
        return set(Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))

    for pid in service.pids:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        assert argv[1:4] == [b"-P", b"-m", b"vapimedia.io.workers.worker"]
        assert argv[4].isdigit() and argv[5:] == [b""]
        assert environment(pid) <= environment(service.process.pid)


async def test_metrics_speak_for_all_workers(service: Service) -> None:
    async with service.scene() as scene:
        metrics = (await scene.get("/metrics", admin=True)).body.decode()
        assert "vapimedia_workers 2.0" in metrics and "vapimedia_worker_restarts_total 0.0" in metrics
        assert 'vapimedia_worker_calls{worker="1"}' in metrics
        assert [one["pid"] for one in (await scene.status())["workers"]] == service.pids


async def test_a_request_of_no_kind_is_answered_as_one_process_would(service: Service) -> None:
    async with service.scene() as scene:
        assert (await scene.get("/nowhere")).status == 404
        async with connected(service.port) as wire:
            assert (await wire.upgrade("/twilio/media")).status == 403
        async with connected(service.port) as wire:
            assert (await wire.upgrade("/twilio/media/x", {"Sec-WebSocket-Version": "7"})).status == 426
