"""The listenUrl of a fake call: both sides as pcm_s16le, mixed or side by side, on the caller's clock."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from aiohttp import web

from vapimedia.formats import AudioFormat

if TYPE_CHECKING:
    from vapimedia.testing.fake_vapi_call import FakeVapiCall

__all__ = ["ListenSettings", "Listener", "serve_listener"]

_CUSHION_MS = 120


@dataclass
class ListenSettings:
    """What a listenUrl sends, since Vapi's documentation does not say.

    With *channels* 2 the caller is on the left and the assistant on the right. *start* announces the format in
    a text frame. *events* sends the call's events too.
    """

    channels: int = 1
    sample_rate: int = 16000
    start: bool = True
    events: bool = False


def _converter(fmt: AudioFormat, to: AudioFormat) -> Callable[[bytes], bytes]:
    # Late: the compiled module is needed by those who listen only, and judges nothing here.
    from vapimedia.audio import Converter  # noqa: PLC0415

    return Converter(fmt, to).push


class Listener:
    """Join what both sides send; ``queue`` holds what is ready for the listener, audio and texts."""

    def __init__(self, fmt: AudioFormat, settings: ListenSettings) -> None:
        self.queue: asyncio.Queue[bytes | str] = asyncio.Queue()
        self._settings = settings
        self._fmt, self._heard = fmt, AudioFormat("pcm_s16le", settings.sample_rate)
        self._convert = {side: _converter(fmt, self._heard) for side in ("customer", "assistant")}
        self._assistant = bytearray()
        self._waited, self._cushion = 0, settings.sample_rate * 2 * _CUSHION_MS // 1000

    def take(self, side: str, chunk: bytes) -> None:
        """Take audio of one side; the caller's is the clock, the assistant's fills up what is there."""
        pcm = self._convert[side](chunk)
        if side == "assistant":
            self._assistant += pcm
            return
        other = self._play(len(pcm)).ljust(len(pcm), b"\0")
        left, right = np.frombuffer(pcm, "<i2"), np.frombuffer(other, "<i2")
        if self._settings.channels == 2:
            joined = np.stack((left, right), axis=1)
        else:
            joined = np.clip(left.astype(np.int32) + right, -32768, 32767).astype("<i2")
        self.queue.put_nowait(joined.astype("<i2").tobytes())

    def _play(self, n_bytes: int) -> bytes:
        # An assistant's messages come irregularly: a cushion keeps holes out of its words.
        if not self._assistant:
            self._waited = 0
            return b""
        if self._waited < self._cushion:
            self._waited += n_bytes
            return b""
        pcm = bytes(self._assistant[:n_bytes])
        del self._assistant[:n_bytes]
        return pcm

    def tell(self, event: dict[str, Any]) -> None:
        """Take an event."""
        if self._settings.events:
            self.queue.put_nowait(json.dumps(event))

    def flush(self) -> None:
        """Forget what the assistant has not been heard saying, half a sample of it included."""
        self._assistant.clear()
        self._convert["assistant"] = _converter(self._fmt, self._heard)


async def serve_listener(call: FakeVapiCall, request: web.Request) -> web.StreamResponse:
    """Serve one listener until the call ends, or a fault cuts it off."""
    settings, faults = call.settings.listen, call.settings.faults
    if faults.listen_refusals > 0:
        faults.listen_refusals -= 1
        return web.Response(status=503)
    if call.ended_reason is not None:
        return web.Response(status=410)
    ws = web.WebSocketResponse()
    try:
        await ws.prepare(request)
        if settings.start:
            about = {"type": "start", "encoding": "linear16", "container": "raw"}
            form = {"sampleRate": settings.sample_rate, "channels": settings.channels}
            await ws.send_json({**about, **form})
    except ConnectionError:  # the listener has gone meanwhile
        return ws if ws.prepared else web.Response(status=400)
    listener = Listener(call.format, settings)
    call.listeners.append(listener)
    tasks = [asyncio.create_task(_send(ws, listener, call))]
    if faults.listen_drop_after_s is not None:
        tasks.append(asyncio.create_task(_cut(request, faults.listen_drop_after_s)))
    try:
        async for _ in ws:
            pass  # receive only
    finally:
        call.listeners.remove(listener)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return ws


async def _cut(request: web.Request, after_s: float) -> None:
    await asyncio.sleep(after_s)
    if request.transport is not None:
        request.transport.abort()


async def _send(ws: web.WebSocketResponse, listener: Listener, call: FakeVapiCall) -> None:
    while call.status != "ended" or not listener.queue.empty():
        try:
            async with asyncio.timeout(0.2):
                item = await listener.queue.get()
        except TimeoutError:
            continue  # look again whether the call is over
        try:
            await (ws.send_str(item) if isinstance(item, str) else ws.send_bytes(item))
        except ConnectionError:
            return
    await ws.close()
