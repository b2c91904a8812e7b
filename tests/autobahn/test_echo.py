"""What echoes for the Autobahn test suite, which is not run every day, works as the suite wants it."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
from pathlib import Path

import pytest
from aiohttp import ClientSession, web

_spec = importlib.util.spec_from_file_location("autobahn_echo", Path(__file__).with_name("echo.py"))
assert _spec is not None and _spec.loader is not None
echo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(echo)


@pytest.mark.parametrize("reader", ["lane", "loop"])
async def test_the_server_says_what_it_is_told(reader: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    serving = asyncio.ensure_future(echo.serve(port, reader))
    await asyncio.sleep(0)
    async with ClientSession() as http, http.ws_connect(f"ws://127.0.0.1:{port}/any") as client:
        for text in ("text", ""):
            await client.send_str(text)
            assert await client.receive_str() == text
        await client.send_bytes(b"binary")
        assert await client.receive_bytes() == b"binary"
    os.kill(os.getpid(), signal.SIGTERM)
    await serving


@pytest.mark.parametrize("reader", ["lane", "loop"])
async def test_the_client_goes_through_all_cases(reader: str) -> None:
    came: list[str] = []

    async def case(request: web.Request) -> web.WebSocketResponse:
        came.append(request.raw_path)
        judge = web.WebSocketResponse()
        await judge.prepare(request)
        if "Count" in request.path:
            await judge.send_str("2")
        elif "run" in request.path:
            await judge.send_str("hello")
            assert await judge.receive_str() == "hello"
        await judge.close()
        return judge

    app = web.Application()
    app.router.add_get("/{case}", case)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await echo.ask(f"ws://127.0.0.1:{runner.addresses[0][1]}", "us, here", reader)
    await runner.cleanup()
    agent = "agent=us%2C%20here"
    assert came == [
        *("/getCaseCount", f"/runCase?case=1&{agent}", f"/runCase?case=2&{agent}", f"/updateReports?{agent}")
    ]
