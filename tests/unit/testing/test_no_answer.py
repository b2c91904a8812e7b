"""Who asks in vain is told why, and what the helpers cannot send is said at once."""

from __future__ import annotations

import socket

import pytest
from aiohttp import web
from loopback import serving

from vapimedia import ConfigError
from vapimedia.testing import (
    FakeVapi,
    SecretAuth,
    ask_endpointing,
    ask_knowledge_base,
    ask_voice,
    transcribe,
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_a_refused_connection_is_told_with_its_place() -> None:
    place = f"127.0.0.1:{free_port()}"
    told = [f"connection refused by {place}"]
    url = f"http://{place}/here"
    for asking in (
        ask_endpointing(url, "hi"),
        ask_knowledge_base(url, "hi"),
        ask_voice(url, "hi"),
        transcribe(url, b""),
    ):
        assert (await asking).violations == told
    async with FakeVapi(server_url=url) as vapi:
        assert (await vapi.request_predial()).problems == told
        call = await vapi.place_call()
        assert (await call.request_tool("hours")).problems == told


async def test_a_host_without_an_address_and_an_url_without_a_host_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def know_nobody(*_given: object, **_named: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", know_nobody)
    assert (await ask_endpointing("http://no-such.invalid/", "hi")).violations == [
        "host no-such.invalid cannot be resolved"
    ]
    (told,) = (await transcribe("nonsense", b"")).violations
    assert told.startswith("the URL is none")


async def test_an_upgrade_that_is_refused_is_a_violation() -> None:
    app = web.Application()
    async with serving(app) as url:
        result = await transcribe(f"{url}/nowhere", b"")
    assert (result.status, result.violations) == (404, ["HTTP status 404 in place of a WebSocket"])


async def test_what_cannot_be_asked_is_said_at_once() -> None:
    for said in (["hi"], [("user",)], [("user", 5)]):
        with pytest.raises(ConfigError, match="said is a text, or pairs"):
            await ask_endpointing("http://127.0.0.1:1/", said)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="customer has 3 bytes"):
        await transcribe("http://127.0.0.1:1/", b"abc")
    async with FakeVapi() as vapi:
        vapi.webhook_auth = SecretAuth("made-up")
        assert vapi.sender.auth == SecretAuth("made-up")
        call = await vapi.place_call()
        with pytest.raises(
            ConfigError, match="'x' is no spelling of tool calls; they are function, arguments"
        ):
            await call.request_tool("t", {}, spelling="x")  # type: ignore[arg-type]
