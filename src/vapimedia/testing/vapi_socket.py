"""The call socket of the fake Vapi: what carries a websocket call."""

from __future__ import annotations

import asyncio
import json
import time

import aiohttp
from aiohttp import web

from vapimedia.testing.fake_vapi_call import FakeVapiCall
from vapimedia.testing.faults import GARBAGE

__all__ = ["SocketLeg", "serve_socket"]

_CLOSE_TIMEOUT_S = 5.0


class SocketLeg:
    """One accepted call socket."""

    def __init__(self, call: FakeVapiCall, ws: web.WebSocketResponse, request: web.Request) -> None:
        self._call, self._ws, self._transport = call, ws, request.transport
        self.closing: asyncio.Task[bool] | None = None

    async def send_text(self, text: str) -> bool:
        """Send a text frame; it is dropped when the socket is closed already."""
        if not self._ws.closed:
            try:
                await self._ws.send_str(text)
            except ConnectionError:
                return False
        return True

    async def send_audio(self, chunk: bytes) -> bool:
        """Send a binary frame; the listeners hear it too."""
        if self._ws.closed:
            return False
        # First, as a barge-in may come while it is sent: nothing of this turn may follow its flush.
        self._call.monitor("assistant", chunk)
        try:
            await self._ws.send_bytes(chunk)
        except ConnectionError:
            self._call.close_with("customer-ended-call", "peer")
            return False
        return True

    def flush(self) -> None:
        """What was sent is the bridge's."""

    async def close(self, code: int) -> None:
        """Close with *code*."""
        # A task of its own: the one that asked may be cancelled when reading stops, amid the handshake.
        if not self._ws.closed:
            self.closing = asyncio.create_task(self._ws.close(code=code))
            await asyncio.shield(self.closing)

    def abort(self) -> None:
        """Cut the TCP connection."""
        if self._transport is not None:
            self._transport.abort()


async def serve_socket(call: FakeVapiCall, request: web.Request) -> web.StreamResponse:
    """Serve the call socket until it closes. One socket a call."""
    call.ws_headers = dict(request.headers)
    ws = web.WebSocketResponse(timeout=_CLOSE_TIMEOUT_S, max_msg_size=0, compress=False)
    try:
        await ws.prepare(request)
    except ConnectionError:  # the bridge has gone meanwhile; aiohttp would log a traceback
        call.finish()
        return web.Response(status=400)  # reaches nobody
    leg = SocketLeg(call, ws, request)
    tasks = [asyncio.create_task(_break(call, leg))]
    try:
        await call.begin(leg)
        if call.assistant is not None:
            tasks.append(asyncio.create_task(call.assistant.run()))
        await _read(call, ws)
    finally:
        if leg.closing is not None:
            await asyncio.gather(leg.closing, return_exceptions=True)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        call.finish(ws.close_code)
    return ws


async def _read(call: FakeVapiCall, ws: web.WebSocketResponse) -> None:
    faults = call.settings.faults
    async for message in ws:
        if message.type is aiohttp.WSMsgType.BINARY:
            await call.hear(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            await _be_told(call, message.data)
        age_s = (time.monotonic_ns() - call.connected_ns) / 1e9
        if faults.stall_after_s is not None and age_s >= faults.stall_after_s:
            faults.stall_after_s = None
            await asyncio.sleep(faults.stall_s)


async def _be_told(call: FakeVapiCall, text: str) -> None:
    try:
        message = json.loads(text)
    except ValueError:
        message = None
    call.texts_received.append((time.monotonic_ns(), text if message is None else message))
    problem = await call.control(message, on_socket=True)
    if problem is not None:
        call.violations.append(f"socket: {problem}")


async def _break(call: FakeVapiCall, leg: SocketLeg) -> None:
    faults = call.settings.faults
    await call.connected()
    if faults.garbage:
        for text in GARBAGE:
            await call.send_text(text)
    if faults.drop_after_s is not None:
        await asyncio.sleep(faults.drop_after_s)
        call.drop()
    if faults.close_after_s is not None:
        await asyncio.sleep(faults.close_after_s)
        call.close_with("worker-shutdown", "vapi")
        await leg.close(faults.close_code)
