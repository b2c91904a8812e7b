"""What the fake Vapi does wrong when it is told to."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest
from aiohttp import web
from loopback import on_loopback

from vapimedia.testing import FakeVapi, Fault, FaultProxy, VapiFaults, parse_fault

BODY = {
    "assistantId": "asst_1",
    "transport": {
        "provider": "vapi.websocket",
        "audioFormat": {"format": "mulaw", "container": "raw", "sampleRate": 8000},
    },
}


def client(vapi: FakeVapi) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {vapi.api_key}"})


async def made_call(vapi: FakeVapi, http: aiohttp.ClientSession) -> str:
    async with http.post(f"{vapi.url}/call", json=BODY) as answer:
        assert answer.status == 201
        return str((await answer.json())["transport"]["websocketCallUrl"])


async def test_a_request_that_hangs_gets_no_answer_and_makes_no_call() -> None:
    async with FakeVapi(faults=VapiFaults(create_statuses=("hang", 503))) as vapi, client(vapi) as http:
        with pytest.raises(TimeoutError):
            await http.post(f"{vapi.url}/call", json=BODY, timeout=aiohttp.ClientTimeout(total=0.1))
        async with http.post(f"{vapi.url}/call", json=BODY) as answer:
            assert answer.status == 503
        await made_call(vapi, http)
        assert len(vapi.calls) == 1
    assert [request.status for request in vapi.requests] == [0, 503, 201]


@pytest.mark.parametrize("kind", ["reset", "cut"])
async def test_only_the_call_socket_goes_the_faulty_way(kind: str) -> None:
    faults = VapiFaults(network=(parse_fault("latency=1ms"),))
    async with FakeVapi(faults=faults) as vapi, client(vapi) as http:
        assert vapi.socket_proxy is not None
        url = await made_call(vapi, http)
        assert not vapi.socket_proxy.connections and f":{vapi.socket_proxy.port}/" in url
        async with http.ws_connect(url) as ws:
            vapi.socket_proxy.connections[0].apply(Fault(kind))
            while not ws.closed:
                await ws.receive(timeout=5.0)
            assert ws.close_code == 1006
        [call] = vapi.calls.values()
        await call.ended()
        assert [one.broken_by for one in vapi.socket_proxy.connections] == [kind]


async def test_a_half_open_call_socket_does_not_keep_the_fake_from_closing() -> None:
    faults = VapiFaults(network=(parse_fault("latency=1ms"),))
    async with FakeVapi(faults=faults) as vapi, client(vapi) as http:
        ws = await http.ws_connect(await made_call(vapi, http))
        assert vapi.socket_proxy is not None
        vapi.socket_proxy.connections[0].half_open()
        begun = time.monotonic()
        await vapi.close()
        assert time.monotonic() - begun < 4.0  # what a close frame without an answer would take is 5 s
        await ws.close()


async def test_a_proxy_of_ones_own_can_stand_before_the_call_sockets() -> None:
    async with FakeVapi() as vapi, FaultProxy("127.0.0.1", vapi.port) as proxy, client(vapi) as http:
        vapi.socket_url = proxy.url("ws")
        async with http.ws_connect(await made_call(vapi, http)) as ws:
            await ws.receive(timeout=5.0)
            (await proxy.connection()).reset("client")
            await ws.receive(timeout=5.0)
            assert ws.close_code == 1006


async def test_webhooks_come_late() -> None:
    came = asyncio.Event()

    async def take(request: web.Request) -> web.Response:
        came.set()
        return web.json_response({})

    faults = VapiFaults(webhook_delay_s=0.1)
    async with on_loopback(web.post("/hook", take)) as base, FakeVapi(faults=faults) as vapi:
        vapi.server_url = f"{base}/hook"
        begun = time.monotonic()
        await vapi.post({"type": "status-update", "status": "ringing"})
        assert came.is_set() and time.monotonic() - begun >= 0.099
