"""Speech to text of one's own: a WebSocket that Vapi opens for each call."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import WSMessage, WSMsgType, web

from vapimedia.audio import Resampler
from vapimedia.errors import ConfigError, ProtocolError
from vapimedia.formats import AudioFormat, Quality
from vapimedia.io.call_log import plain
from vapimedia.io.endpoints.base import Endpoint, refused
from vapimedia.io.endpoints.stream import StereoCutter, TranscriberStream, check_response
from vapimedia.io.user_code import check_streams, describe_failure, is_our_cancelling, place_in
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.vapi import WebhookSecrets
from vapimedia.protocols.vapi.transcriber import (
    TranscriberError,
    TranscriberResponse,
    TranscriberStart,
    check_start,
    decode_transcriber,
)

__all__ = ["CustomTranscriber", "Transcribe"]

_log = logging.getLogger("vapimedia.endpoints")

MAX_MESSAGE_BYTES = 1 << 20
START_S = 10.0
SEND_S = 5.0
CLOSE_S = 2.0
PING_S = 20.0

Transcribe = Callable[[TranscriberStream], AsyncIterator[TranscriberResponse] | Awaitable[None]]

_OVER = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
_GOING_AWAY, _POLICY, _FAILED = 1001, 1008, 1011
_MAX_LOGGED = 200  # what is wrong with a start frame quotes it


class CustomTranscriber(Endpoint):
    """Serve Vapi's ``custom-transcriber``: *transcribe* is called with a ``TranscriberStream`` for each call.

    *transcribe* is an async function that iterates over the stream and awaits ``stream.send``, or an async
    generator that yields ``TranscriberResponse``. Frames have *ptime_ms* of pcm_s16le at *sample_rate*, or at Vapi's
    rate if that is ``None``; resampling delays them by the ``Resampler``'s constant latency. What *transcribe* does
    not take within *max_lag_s* is dropped, the oldest first. It has *finish_s* to end after the call.

    When it raises, Vapi is sent an error frame with the exception's type and the socket is closed with 1011. Raises
    ``ConfigError`` for a rate whose frames are no whole number of samples.
    """

    method = "GET"

    def __init__(
        self,
        transcribe: Transcribe,
        *,
        secret: str | WebhookSecrets | None,
        url: str = "",
        sample_rate: int | None = 16000,
        ptime_ms: int = 20,
        quality: Quality = "balanced",
        max_lag_s: float = 5.0,
        finish_s: float = 5.0,
    ) -> None:
        check_streams("CustomTranscriber", transcribe, "(stream)")
        super().__init__(secret, url)
        AudioFormat("pcm_s16le", 16000 if sample_rate is None else sample_rate).frame_bytes(ptime_ms)
        if not 1000 * max_lag_s >= ptime_ms:
            raise ConfigError(f"max_lag_s {max_lag_s!r} holds no frame; give it a few seconds")
        self.transcribe = transcribe
        self.sample_rate = sample_rate
        self.ptime_ms = ptime_ms
        self.quality = quality
        self.max_frames = int(1000 * max_lag_s) // ptime_ms
        self.finish_s = finish_s
        self._live: set[_Connection] = set()

    @property
    def live(self) -> int:
        """Calls that are being transcribed."""
        return len(self._live)

    def add_to(self, app: web.Application, path: str) -> None:
        """Serve *path* of *app*; live sockets are closed with 1001 when *app* shuts down."""
        super().add_to(app, path)
        app.on_shutdown.append(self.close)

    async def close(self, _app: web.Application | None = None) -> None:
        """Close all live sockets with 1001."""
        for connection in list(self._live):
            connection.stop()
        await asyncio.gather(*(connection.ended.wait() for connection in list(self._live)))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Take the upgrade of Vapi and carry one call: an aiohttp handler."""
        refusal = self.refusal(request, b"")
        socket = web.WebSocketResponse(
            max_msg_size=MAX_MESSAGE_BYTES, heartbeat=PING_S, timeout=CLOSE_S, compress=False
        )
        if refusal is None and not socket.can_prepare(request):
            refusal = Refusal(400, "this is a WebSocket: connect to it with ws:// or wss://")
        if refusal is not None:
            return refused(refusal)
        try:
            await socket.prepare(request)
        except ConnectionError:
            return web.Response(status=400)  # Vapi has left already: nobody reads it
        connection = _Connection(self, socket, request)
        self._live.add(connection)
        try:
            await connection.run()
        finally:
            self._live.discard(connection)
            connection.ended.set()
        return socket


class _Connection:
    """One call: a task for what comes from Vapi, one for the user's function."""

    def __init__(
        self, endpoint: CustomTranscriber, socket: web.WebSocketResponse, request: web.Request
    ) -> None:
        self.ended = asyncio.Event()
        self._endpoint = endpoint
        self._socket = socket
        self._request = request
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Close with 1001 as soon as the loop is free."""
        self._stopping.set()

    async def run(self) -> None:
        """Carry the call to its end. Raises nothing of the user's."""
        stop = asyncio.create_task(self._stopping.wait())
        opening = asyncio.create_task(self._open())
        using: asyncio.Task[BaseException | None] | None = None
        ours: list[asyncio.Task[Any]] = [stop, opening]
        try:
            await asyncio.wait(ours, return_when=asyncio.FIRST_COMPLETED)
            stream = opening.result() if opening.done() else None
            if stream is not None:
                reading = asyncio.create_task(self._read(stream))
                using = asyncio.create_task(self._use(stream))
                ours.append(reading)
                await self._carry(stream, reading, using, stop)
            elif not opening.done():
                await self._close(_GOING_AWAY)
        finally:
            for task in ours:
                task.cancel()
            await asyncio.gather(*ours, return_exceptions=True)
            if using is not None:
                await self._endpoint.put_down(using)

    async def _open(self) -> TranscriberStream | None:
        """Return the stream that Vapi announces; ``None`` when it was refused, or Vapi has gone."""
        try:
            async with asyncio.timeout(START_S):
                start = await self._start()
            return None if start is None else await self._stream(start)
        except TimeoutError:
            await self._refuse(f"no start frame came within {START_S:g} s", _POLICY)
        except ProtocolError as error:
            await self._refuse(str(error), error.close_code)
        except ConfigError as error:  # the rate of Vapi does not go with our frames
            await self._refuse(str(error), 1003)
        return None

    async def _refuse(self, error: str, code: int) -> None:
        _log.warning("the transcriber refused a call with %d: %s", code, plain(error, _MAX_LOGGED))
        await self._fail(error, code)

    async def _start(self) -> TranscriberStart | None:
        while True:
            message = await self._socket.receive()
            if message.type in _OVER:
                return None
            if message.type is WSMsgType.BINARY:
                raise ProtocolError("audio came before the start frame")
            start = decode_transcriber(message.data)
            if isinstance(start, TranscriberStart):
                check_start(start)
                return start
            self._endpoint.counts["ignored_message"] += 1

    async def _stream(self, start: TranscriberStart) -> TranscriberStream:
        endpoint, channels, given_hz = self._endpoint, int(start.channels), int(start.sample_rate)
        wanted_hz = endpoint.sample_rate or given_hz
        resamplers: tuple[Resampler, ...] = ()
        if wanted_hz != given_hz:
            resamplers = tuple(
                [await endpoint.resampler(given_hz, wanted_hz, endpoint.quality) for _ in range(channels)]
            )
        return TranscriberStream(
            start,
            StereoCutter(channels, wanted_hz, endpoint.ptime_ms, resamplers),
            self._write,
            sample_rate=wanted_hz,
            max_frames=endpoint.max_frames,
            query=self._request.query,
        )

    async def _read(self, stream: TranscriberStream) -> None:
        """Feed *stream* until Vapi closes. Never waits for the user: what is not taken is dropped."""
        try:
            while True:
                message: WSMessage = await self._socket.receive()
                if message.type is WSMsgType.BINARY:
                    stream.feed(message.data)
                elif message.type in _OVER:
                    return
                else:
                    self._endpoint.counts["ignored_message"] += 1
        finally:
            stream.end()

    async def _use(self, stream: TranscriberStream) -> BaseException | None:
        """Run the user's function; return what it raised."""
        try:
            result = self._endpoint.transcribe(stream)
            if isinstance(result, AsyncIterator):
                async with contextlib.AsyncExitStack() as stack:
                    if isinstance(result, AsyncGenerator):
                        stack.push_async_callback(result.aclose)
                    async for response in result:
                        _check_yielded(response, result)
                        await stream.send_response(response)
            else:
                await _awaitable(result)
        except (
            Exception,
            asyncio.CancelledError,
            SystemExit,
        ) as error:  # a user's function may raise anything
            if is_our_cancelling(error):
                raise
            return error
        return None

    async def _carry(
        self,
        stream: TranscriberStream,
        reading: asyncio.Task[None],
        using: asyncio.Task[BaseException | None],
        stop: asyncio.Task[bool],
    ) -> None:
        await asyncio.wait({reading, using, stop}, return_when=asyncio.FIRST_COMPLETED)
        code, error = 1000, ""
        if not using.done():
            stream.end()
            await asyncio.wait({using}, timeout=self._endpoint.finish_s)
            code = 1000 if reading.done() else _GOING_AWAY
        if not using.done():
            self._endpoint.counts["cancelled"] += 1
            _log.warning("the transcriber had not ended %g s after its call", self._endpoint.finish_s)
        elif (failure := using.result()) is not None:
            error, code = f"the transcriber failed: {type(failure).__name__}", _FAILED
            self._endpoint.counts["failed"] += 1
            _log.error("the transcriber raised %s", describe_failure(failure))
        self._endpoint.counts["dropped_frames"] += stream.dropped_frames
        self._endpoint.counts["unsent"] += stream.unsent
        reading.cancel()
        await asyncio.wait({reading})
        # After a close of our own, aiohttp knows the peer's echo only.
        told = self._socket.close_code if self._socket.closed else code
        if error:
            await self._fail(error, code)
        else:
            await self._close(code)
        _log.info(
            "transcriber: %d transcripts sent, %d not, %d frames dropped, closed with %s",
            stream.sent,
            stream.unsent,
            stream.dropped_frames,
            told,
        )

    async def _fail(self, error: str, code: int) -> None:
        self._endpoint.counts["error_frame"] += 1
        await self._write(TranscriberError(error=error).encode())
        await self._close(code)

    async def _write(self, text: bytes) -> bool:
        """Send one text message; ``False`` when the socket is closed. A peer that does not read is cut off."""
        if self._socket.closed:
            return False
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send_str(text.decode())
        except ConnectionError:
            return False
        except TimeoutError:
            self._endpoint.counts["stalled"] += 1
            if self._request.transport is not None:
                self._request.transport.abort()
            return False
        return True

    async def _close(self, code: int) -> None:
        with contextlib.suppress(ConnectionError):
            await self._socket.close(code=code)


def _awaitable(result: object) -> Awaitable[object]:
    if inspect.isawaitable(result):
        return result
    raise ConfigError(
        f"transcribe is an async function or an async generator; what it returned is {type(result).__name__}"
    )


def _check_yielded(response: object, generator: object) -> None:
    if not isinstance(response, TranscriberResponse):
        raise ConfigError(f"yield a TranscriberResponse, not {type(response).__name__}{place_in(generator)}")
    try:
        check_response(response)
    except ConfigError as error:
        raise ConfigError(f"{error}{place_in(generator)}") from None
