"""Text to speech of one's own: Vapi posts a text and reads raw PCM for as long as it comes."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from aiohttp import web

from vapimedia.audio import Resampler
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat, Quality
from vapimedia.io.endpoints.base import RequestEndpoint, refused
from vapimedia.io.user_code import check_streams, describe_failure, is_our_cancelling, place_in
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.vapi import VoiceRequest, WebhookSecrets

__all__ = ["CustomVoice", "SpokenPcm", "Synthesize"]

_log = logging.getLogger("vapimedia.endpoints")

Synthesize = Callable[[VoiceRequest], AsyncIterator[bytes] | Awaitable[bytes]]

_PIECE_BYTES = 64 << 10  # a long chunk is converted and sent in pieces, so that other calls go on
_POLL_S = 0.05  # how soon a client's leaving is seen


class SpokenPcm:
    """Convert one utterance, without the delay of a stream: *n* samples become exactly ``ceil(n * to / from)``.

    The resampler's constant delay would be silence before the first word; it is left out, and the tail of the
    filter comes at the end. Any chunking gives the same bytes; half a sample at the end is dropped.
    """

    def __init__(self, resampler: Resampler) -> None:
        self._resampler = resampler
        self._n_delay = 2 * resampler.latency_samples

    def push(self, chunk: bytes | memoryview) -> bytes:
        """Take the next bytes; return the bytes that they become, none while the filter fills."""
        return self._past_delay(self._resampler.push(chunk))

    def flush(self) -> bytes:
        """Return the rest of the utterance."""
        return self._past_delay(self._resampler.flush())

    def _past_delay(self, pcm: bytes) -> bytes:
        n_cut = min(self._n_delay, len(pcm))
        self._n_delay -= n_cut
        return pcm[n_cut:] if n_cut else pcm


class CustomVoice(RequestEndpoint):
    """Serve Vapi's ``custom-voice``: *synthesize* speaks the text of a ``VoiceRequest``.

    *synthesize* is an async generator of pcm_s16le chunks of any size at *sample_rate*, or an async function that
    returns them all; with ``sample_rate=None`` they are at the rate of the request. What goes out is mono pcm_s16le at
    exactly the asked rate, streamed as it comes, with no silence before it.

    An exception, or no audio within *deadline_s*, is answered with 500 or 504, at which Vapi takes the voice of its
    ``fallbackPlan``. After the first byte the connection is cut instead: an end would pass for the whole text.
    Silence of *synthesize* is bounded by *deadline_s* all along. A client that leaves cancels it.
    """

    def __init__(
        self,
        synthesize: Synthesize,
        *,
        secret: str | WebhookSecrets | None,
        url: str = "",
        sample_rate: int | None = 24000,
        quality: Quality = "balanced",
        deadline_s: float = 18.0,
    ) -> None:
        check_streams("CustomVoice", synthesize, "(request)")
        super().__init__(secret, url)
        if sample_rate is not None:
            AudioFormat("pcm_s16le", sample_rate)
        self.synthesize = synthesize
        self.sample_rate = sample_rate
        self.quality = quality
        self.deadline_s = deadline_s

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one voice-request: an aiohttp handler."""
        due_s = asyncio.get_running_loop().time() + self.deadline_s
        message = await self.read(request, VoiceRequest)
        if isinstance(message, web.Response):
            return message
        asked = message.sample_rate or 0
        if not 1000 <= asked <= 192_000 or asked != int(asked) or message.text is None:
            self.counts["bad_request"] += 1
            reason = (
                "a voice-request holds a text, and a whole number of Hz in 1000..192000 as its sampleRate"
            )
            _log.warning("the voice refused a request: %s", reason)
            return refused(Refusal(400, reason))
        resampler = await self.resampler(self.sample_rate or int(asked), int(asked), self.quality)
        return await _Speech(self, request, message, SpokenPcm(resampler), due_s=due_s).run()


class _Left(Exception):  # noqa: N818  nothing is wrong
    """The client has closed the connection."""


class _Speech:
    """One request on its way."""

    def __init__(
        self,
        endpoint: CustomVoice,
        request: web.Request,
        message: VoiceRequest,
        pcm: SpokenPcm,
        *,
        due_s: float,
    ) -> None:
        self._endpoint = endpoint
        self._request = request
        self._message = message
        self._pcm = pcm
        self._response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        self._begun = time.monotonic()
        self._due_s = due_s
        self._is_over = False
        self._first_byte_ms = -1.0
        self._n_bytes = 0

    async def run(self) -> web.StreamResponse:
        """Speak, and answer with how that ended. Raises nothing of the user's."""
        speaking = asyncio.create_task(self._speak())
        outcome = ""
        try:
            while not outcome:
                # aiohttp tells of a client's leaving at the next write only, which a slow voice never reaches.
                await asyncio.wait({speaking}, timeout=_POLL_S)
                if speaking.done():
                    outcome = speaking.result()
                elif self._request.transport is None:
                    outcome = "left"
                elif asyncio.get_running_loop().time() >= self._due_s:
                    outcome = "late"
                    _log.error("the voice gave no audio for %g s", self._endpoint.deadline_s)
        finally:
            self._is_over = True
            await self._endpoint.put_down(speaking)
        return self._answer(outcome)

    def _answer(self, outcome: str) -> web.StreamResponse:
        counts = self._endpoint.counts
        counts[f"voice_{outcome}"] += 1
        _log.info(
            "voice: %s after %.0f ms, %s, %d bytes",
            outcome,
            1000 * (time.monotonic() - self._begun),
            f"first byte after {self._first_byte_ms:.0f} ms" if self._n_bytes else "no audio",
            self._n_bytes,
        )
        if outcome in {"spoken", "left"}:
            return self._response
        if self._response.prepared:
            if self._request.transport is not None:
                self._request.transport.abort()
            return self._response
        if outcome == "late":
            return refused(Refusal(504, f"no audio within {self._endpoint.deadline_s:g} s"))
        return refused(Refusal(500, "the voice failed"))

    async def _speak(self) -> str:
        """Return what became of it."""
        try:
            await self._stream()
        except _Left:
            return "left"
        except (
            Exception,
            asyncio.CancelledError,
            SystemExit,
        ) as error:  # a user's function may raise anything
            if is_our_cancelling(error):
                raise
            _log.error("the voice raised %s", describe_failure(error))
            return "failed"
        return "spoken"

    async def _stream(self) -> None:
        result = self._endpoint.synthesize(self._message)
        if isinstance(result, AsyncIterator):
            async with contextlib.AsyncExitStack() as stack:
                if isinstance(result, AsyncGenerator):
                    stack.push_async_callback(result.aclose)
                async for chunk in result:
                    await self._push(_bytes_of(chunk, "yield", place_in(result)))
        elif inspect.isawaitable(result):
            await self._push(_bytes_of(await result, "return", ""))
        else:
            raise ConfigError("the voice must be an async function or an async generator")
        await self._send(self._pcm.flush())
        await self._to_client(self._prepare())  # an utterance may be empty
        await self._to_client(self._response.write_eof())

    async def _push(self, view: memoryview) -> None:
        for at in range(0, len(view), _PIECE_BYTES):
            await self._send(self._pcm.push(view[at : at + _PIECE_BYTES]))

    async def _send(self, pcm: bytes) -> None:
        if not pcm:
            return
        if self._is_over:  # a voice that does not end when it is cancelled
            raise _Left
        await self._to_client(self._prepare())
        if self._first_byte_ms < 0:
            self._first_byte_ms = 1000 * (time.monotonic() - self._begun)
        await self._to_client(self._response.write(pcm))
        self._n_bytes += len(pcm)
        self._due_s = asyncio.get_running_loop().time() + self._endpoint.deadline_s

    async def _prepare(self) -> None:
        if not self._response.prepared:
            await self._response.prepare(self._request)

    async def _to_client(self, writing: Awaitable[None]) -> None:
        """Await *writing*; what breaks there is the client's, not the voice's."""
        try:
            await writing
        except ConnectionError:
            raise _Left from None


def _bytes_of(chunk: object, verb: str, place: str) -> memoryview:
    try:
        return memoryview(chunk).cast("B")  # type: ignore[arg-type]
    except TypeError:
        raise ConfigError(
            f"the voice must {verb} bytes; what came is {type(chunk).__name__}{place}"
        ) from None
