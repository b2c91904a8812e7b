"""Listen to a live call at Vapi by its listenUrl: audio and events, for as long as the call lives."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from vapimedia.errors import ConfigError, StateError, VapiError
from vapimedia.io.listen_intake import HOLD_S, Intake
from vapimedia.io.listen_items import (
    AudioChunk,
    ItemQueue,
    ListenEnded,
    ListenItem,
    ListenStarted,
    ListenStats,
    Reconnected,
)
from vapimedia.io.vapi_requests import USER_AGENT, bearer, revealed
from vapimedia.protocols.vapi import check_call_url
from vapimedia.secret import Secret

__all__ = [
    "AudioChunk",
    "ListenEnded",
    "ListenItem",
    "ListenStarted",
    "ListenStats",
    "Listening",
    "Reconnected",
]

_CONNECT_TIMEOUT_S: Final = 5.0
_CLOSE_TIMEOUT_S: Final = 1.0
_PING_INTERVAL_S: Final = 20.0
_MAX_MESSAGE: Final = 1 << 20
_FIRST_PAUSE_S: Final = 0.1
_MAX_PAUSE_S: Final = 2.0  # each second of it is a second that is not heard
_LASTING_S: Final = 5.0  # a connection that was of some use, even a silent one
_AT_ONCE_EVERY_S: Final = 5.0  # a server that breaks each connection is not asked without a pause each time
_LAST_WORD_S: Final = 2.0  # for the next message, or the server's close, once it has told the call's end
_LAST_WORDS_S: Final = 10.0  # for all of them
_SILENCE_S: Final = 30.0  # without any message: is there a call still?
_IS_OVER_TIMEOUT_S: Final = 3.0
_IS_OVER_EVERY_S: Final = 2.0
_EMPTY_CLOSES: Final = 3  # in a row, and all normal: the server has nothing more to say


class _FailedError(Exception):
    """No connection was made. The text holds no URL."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


class Listening:
    """One call being listened to: ``async with``, and in it ``async for`` over what comes.

    *url* is the listenUrl, or a function that finds it. *channels* (0 customer, 1 assistant; one is both mixed) and
    *sample_rate* hold unless the first text message says otherwise. *public_key* is sent only if given, which
    ``monitorPlan.listenAuthenticationEnabled`` needs. *is_over* asks the API whether the call has ended.

    Connects again while the call lives, and gives up after *give_up_s* without a connection. Raises ``VapiError`` from
    the iteration if there never was one, ``ConfigError`` at once for a URL that cannot be one. A consumer that is slow
    loses the oldest items beyond *max_queue_s* of audio, counted in ``stats``.
    """

    def __init__(
        self,
        url: str | Secret | Callable[[], Awaitable[str | Secret]],
        *,
        public_key: str | Secret = "",
        channels: int = 1,
        sample_rate: int = 16000,
        is_over: Callable[[], Awaitable[bool]] | None = None,
        give_up_s: float = 60.0,
        max_queue_s: float = 10.0,
    ) -> None:
        if isinstance(url, str | Secret):
            url = Secret(url)
            _check(url)
        self._url, self._is_over, self._give_up_s = url, is_over, give_up_s
        self._headers = bearer(public_key)
        self.stats = ListenStats()
        self.is_connected = False
        """Whether there is a connection now."""
        self.trouble = ""
        """Why there is none, in a few words, where that is known."""
        self._queue = ItemQueue(max_queue_s, self.stats)
        self._intake = Intake(sample_rate, channels, self._queue.put, self.stats)
        self._task: asyncio.Task[None] | None = None
        self._is_closing = self._is_known_over = False
        self._asked_s = -math.inf

    @property
    def sample_rate(self) -> int:
        """The audio's rate, as far as is known by now."""
        return self._intake.sample_rate

    @property
    def channels(self) -> int:
        """1 or 2, as far as is known by now."""
        return self._intake.channels

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come than what is queued."""
        return self._is_closing or (self._task is not None and self._task.done())

    @property
    def pace(self) -> float | None:
        """How much audio comes per time, once that can be told. Far from 1, the format is another one than was said."""
        return self._intake.pace

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise StateError("this is used already; listen anew")
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(lambda _: self._queue.wake())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ListenItem:
        if self._task is None:
            raise StateError("enter it first: async with ... as listening, then async for ... in listening")
        while not self._queue:
            if self._task.done():
                if not self._task.cancelled() and (error := self._task.exception()) is not None:
                    raise error
                raise StopAsyncIteration
            await self._queue.wait()
        return self._queue.take()

    async def close(self) -> None:
        """Stop listening. May be called again; who iterates gets what is queued, and the end."""
        self._is_closing = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"Listening({self.sample_rate} Hz, {self.channels} ch, {state})"

    async def _run(self) -> None:
        try:
            url = self._url if isinstance(self._url, Secret) else Secret(await self._url())
            _check(url)
            redirects = aiohttp.TraceConfig()
            redirects.on_request_redirect.append(_refuse_redirect)
            headers = revealed({"User-Agent": USER_AGENT, **self._headers})
            timeout = aiohttp.ClientTimeout(total=None)
            async with aiohttp.ClientSession(
                headers=headers, timeout=timeout, trace_configs=[redirects]
            ) as http:
                reason = await self._until_over(http, URL(url.reveal(), encoded=True))
        except asyncio.CancelledError:
            self._queue.put(ListenEnded("closed"))
            raise
        self._queue.put(ListenEnded(reason))

    async def _until_over(self, http: aiohttp.ClientSession, url: URL) -> str:
        loop = asyncio.get_running_loop()
        give_up_at_s = loop.time() + self._give_up_s
        at_once_s = -math.inf
        failures = empty_closes = 0
        while True:
            began_s = loop.time()
            try:
                code = await self._one_connection(http, url)
            except _FailedError as failure:
                self.trouble = str(failure)
                self.stats.failed_connects += 1
                failures += 1
                if failure.status == 410 or (failure.status == 404 and self.stats.audio_ms):
                    return "gone"
                if failure.status in (401, 403) and not self.stats.connects:
                    raise VapiError(
                        f"Vapi refused to be listened to with status {failure.status}; calls with "
                        "listenAuthenticationEnabled need the organisation's public key",
                        status=failure.status,
                    ) from None
            else:
                self.trouble = "the connection was closed" if code == 1000 else "the connection broke"
                if self._intake.told_ended or self._is_known_over:
                    return "ended"
                if self._intake.heard or loop.time() - began_s > _LASTING_S:
                    give_up_at_s = loop.time() + self._give_up_s
                    empty_closes = 0
                    is_first = loop.time() - at_once_s > _AT_ONCE_EVERY_S
                    failures, at_once_s = (0, loop.time()) if is_first else (failures + 1, at_once_s)
                else:
                    failures += 1
                    empty_closes = empty_closes + 1 if code == 1000 else 0
                    if empty_closes >= _EMPTY_CLOSES and self.stats.audio_ms:
                        return "gone"
            if await self._call_is_over():
                return "ended"
            # The first attempt after a break is made at once.
            pause_s = min(_MAX_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures - 1, 16)) if failures else 0.0
            pause_s *= 0.5 + random.random()  # noqa: S311  jitter, no secret
            if loop.time() + pause_s > give_up_at_s:
                if self.stats.connects:
                    return "lost"
                raise VapiError(
                    f"could not listen within {self._give_up_s:g} s: {self.trouble} ({failures} attempts)"
                )
            await _pause(pause_s)

    async def _one_connection(self, http: aiohttp.ClientSession, url: URL) -> int:
        """Take all that one connection brings; return its close code. Raises ``_FailedError`` if there is none."""
        self._intake.connected()
        ws = await _connect(http, url)
        self.is_connected = True
        self.trouble = ""
        self.stats.connects += 1
        loop = asyncio.get_running_loop()
        settling: asyncio.TimerHandle | None = None
        over_s = math.inf
        try:
            while True:
                limit_s = None if self._is_over is None else _SILENCE_S
                if self._intake.told_ended:
                    over_s = min(over_s, loop.time() + _LAST_WORDS_S)
                    if loop.time() >= over_s:
                        return 1000
                    limit_s = _LAST_WORD_S
                try:
                    message = await ws.receive(limit_s)
                except TimeoutError:
                    self._is_known_over = self._intake.told_ended or await self._call_is_over()
                    if self._is_known_over:
                        return 1000
                    continue
                if message.type is aiohttp.WSMsgType.BINARY:
                    if self._intake.audio(message.data, loop.time()):
                        if settling is not None:
                            settling.cancel()
                        settling = loop.call_later(HOLD_S, self._intake.settle)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    self._intake.text(message.data)
                else:
                    return ws.close_code or 1006
        finally:
            self.is_connected = False
            if settling is not None:
                settling.cancel()
            self._intake.disconnected()
            # aiohttp's own limit begins anew with each message of a server that goes on speaking.
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await ws.close()

    async def _call_is_over(self) -> bool:
        now_s = asyncio.get_running_loop().time()
        if self._is_over is None or now_s - self._asked_s < _IS_OVER_EVERY_S:
            return False
        self._asked_s = now_s
        with suppress(TimeoutError, VapiError):  # then nobody knows
            async with asyncio.timeout(_IS_OVER_TIMEOUT_S):
                return await self._is_over()
        return False


async def _pause(pause_s: float) -> None:
    await asyncio.sleep(pause_s)


async def _connect(http: aiohttp.ClientSession, url: URL) -> aiohttp.ClientWebSocketResponse:
    try:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            return await http.ws_connect(
                url,
                heartbeat=_PING_INTERVAL_S,
                max_msg_size=_MAX_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT_S),
            )
    except TimeoutError:
        raise _FailedError(f"no answer within {_CONNECT_TIMEOUT_S:g} s") from None
    except aiohttp.WSServerHandshakeError as error:
        raise _FailedError(f"answered with status {error.status}", error.status) from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        # Their texts may hold the URL, which is a secret.
        why = getattr(getattr(error, "os_error", error), "strerror", None) or type(error).__name__
        raise _FailedError(f"cannot connect: {why}") from None


async def _refuse_redirect(_http: Any, _context: Any, params: aiohttp.TraceRequestRedirectParams) -> None:
    raise _FailedError(
        f"redirected with status {params.response.status}, which is not followed", params.response.status
    )


def _check(url: Secret) -> None:
    """Raise ``ConfigError`` for what no listenUrl is; any host may be."""
    try:
        parts = urlsplit(url.reveal())
    except ValueError:
        raise ConfigError("cannot listen: the call's URL cannot be read") from None
    refusal = check_call_url(url, [parts.hostname or ""])
    if refusal is not None or parts.scheme not in ("ws", "wss"):
        why = refusal.reason if refusal is not None else "the call's URL is neither ws nor wss"
        raise ConfigError(f"cannot listen: {why}; a listenUrl looks like wss://host/.../listen")
