"""The URLs that Vapi gives with a call: wss and https only, on allowed hosts, without user information; no redirect
is followed; and whatever is wrong with one, it is never used and never shown."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from canaries import CANARIES
from fault_scene import faulty
from scene import Vapi
from wire import until

from vapimedia import AudioFormat, VapiClient, VapiError
from vapimedia.protocols.vapi import CreateCall, end_call

TOKEN = CANARIES["the token in Vapi's URLs"]
KEY = CANARIES["the API key"]
REQUEST = CreateCall(format=AudioFormat("mulaw", 8000), assistant_id="asst_1")
BAD_ORIGINS = [
    "{}s://evil.invalid",
    "{}s://vapi.ai.evil.invalid",
    "{}s://evilvapi.ai",
    "{}://call.vapi.ai",
    f"{{}}s://user:{TOKEN}@call.vapi.ai",
    "{}s://call.vapi.ai@evil.invalid",
    "{}s://169.254.169.254",
    "{}s://call.vapi.ai\\.evil.invalid",
]
"""``{}`` is ``ws`` for the call socket, ``http`` for the control URL."""


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that somebody wanted to reach; none of them is, but this machine."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def note(host: Any, *given: Any, **named: Any) -> Any:
        if host in ("127.0.0.1", "localhost"):
            return resolve(host, *given, **named)
        asked.append(str(host))
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", note)
    return asked


@pytest.mark.parametrize("which", ["the call socket", "the control URL"])
async def test_a_url_that_must_not_be_used_ends_the_call_and_nothing_is_sent_there(
    which: str, resolved: list[str]
) -> None:
    origin = ""

    async def create(_request: web.Request, _body: object) -> web.Response:
        answer = vapi.answer()
        if which == "the call socket":
            answer["transport"]["websocketCallUrl"] = f"{origin.format('ws')}/1/transport?token={TOKEN}"
        else:
            answer["monitor"]["controlUrl"] = f"{origin.format('http')}/1/control?token={TOKEN}"
        return web.json_response(answer, status=201)

    vapi = Vapi(create=create)
    async with faulty(vapi) as scene:
        for number, origin in enumerate(BAD_ORIGINS, 1):  # noqa: B007  it is read by the API
            await scene.voice(number)
            await until(lambda number=number: len(scene.ended) == number)
        n_calls = len(BAD_ORIGINS)
        assert [end.reason for end in scene.ended] == ["vapi_failed"] * n_calls
        assert all("Vapi's answer cannot be used" in end.detail for end in scene.ended)
        # A call whose socket must not be used is ended by its control URL, where that is good.
        await until(lambda: len(vapi.controls) == (n_calls if which == "the call socket" else 0))
    assert resolved == [] and vapi.legs == []


async def test_a_call_socket_that_is_no_websocket_is_not_asked_for(resolved: list[str]) -> None:
    vapi = Vapi(socket_url=f"https://call.vapi.ai/1/transport?token={TOKEN}")
    async with faulty(vapi) as scene:
        async with scene.phone() as phone:
            assert await phone.close_code() == 1000
            phone.close()
        await until(lambda: scene.ended and vapi.controls)
        assert [end.reason for end in scene.ended] == ["vapi_failed"]
    assert resolved == []


@dataclass
class Redirector:
    """Answers whatever comes with a redirect to itself."""

    status: int
    port: int = 0
    targets: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.targets.append(head.split(b" ", 2)[1].decode().partition("?")[0])
        to = f"http://127.0.0.1:{self.port}/stolen"
        writer.write(
            f"HTTP/1.1 {self.status} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()


@asynccontextmanager
async def redirecting(status: int) -> AsyncIterator[Redirector]:
    found = Redirector(status)
    server = await asyncio.start_server(found.answer, "127.0.0.1", 0)
    async with server:
        found.port = server.sockets[0].getsockname()[1]
        yield found


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with redirecting(status) as server:
        base = f"127.0.0.1:{server.port}"
        async with VapiClient(KEY, base_url=f"http://{base}") as client:
            with pytest.raises(VapiError, match=str(status)):
                await client.create_call(REQUEST)
            with pytest.raises(VapiError, match=str(status)):
                await client.control(f"http://{base}/1/control?token={TOKEN}").send(end_call())
            with pytest.raises(VapiError):
                async with client.listen(f"ws://{base}/1/listen?token={TOKEN}", give_up_s=0.1) as listening:
                    async for _item in listening:
                        pass
        vapi = Vapi(socket_url=f"ws://{base}/1/transport?token={TOKEN}")
        async with faulty(vapi) as scene:
            async with scene.phone() as phone:
                await phone.close_code()
                phone.close()
            await until(lambda: scene.ended)
            assert [end.reason for end in scene.ended] == ["vapi_failed"]
        assert server.targets.count("/call") == 1
        assert set(server.targets) == {"/call", "/1/control", "/1/listen", "/1/transport"}


async def test_the_urls_of_a_call_show_in_no_repr() -> None:
    urls = {"websocketCallUrl", "controlUrl", "listenUrl"}

    async def create(_request: web.Request, _body: object) -> web.Response:
        answer = vapi.answer()
        answer["transport"]["websocketCallUrl"] = f"wss://call.vapi.ai/1/transport?token={TOKEN}"
        answer["monitor"] = {name: f"https://call.vapi.ai/1/{name}?token={TOKEN}" for name in urls}
        return web.json_response(answer, status=201)

    vapi = Vapi(create=create)
    async with vapi.serving(), VapiClient(KEY, base_url=vapi.url) as client:
        created = await client.create_call(REQUEST)
        assert TOKEN in created.websocket_call_url.reveal() and TOKEN in created.control_url.reveal()
        shown = [repr(created), str(created), repr(client), repr(client.control(created))]
        shown.append(repr(client.listen(created)))
        assert not [text for text in shown if TOKEN in text or KEY in text]
