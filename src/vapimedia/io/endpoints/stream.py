"""A custom transcriber's side of one call: frames of both people come out, transcripts go in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

from vapimedia.audio import FrameSlicer, Resampler, StereoSplitter
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.protocols.vapi.transcriber import TranscriberResponse, TranscriberStart

__all__ = ["StereoCutter", "StereoFrame", "TranscriberStream", "check_response"]


class StereoFrame(msgspec.Struct, frozen=True):
    """The same moment of both people as mono pcm_s16le; ``assistant`` is empty when Vapi sends one channel.

    ``at_ms`` counts from the start of the audio, so that it jumps where frames were dropped.
    """

    customer: bytes
    assistant: bytes
    at_ms: float

    def __repr__(self) -> str:
        return f"StereoFrame({len(self.customer)} bytes each, at {self.at_ms:g} ms)"


class StereoCutter:
    """Cut interleaved pcm_s16le into frames of each channel, at another rate if *resamplers* say so.

    Any chunking gives the same frames. *resamplers* are one a channel, or none.
    """

    def __init__(
        self, channels: int, sample_rate: int, ptime_ms: int, resamplers: tuple[Resampler, ...] = ()
    ) -> None:
        fmt = AudioFormat("pcm_s16le", sample_rate)
        self._ptime_ms = ptime_ms
        self._splitter = StereoSplitter() if channels == 2 else None
        self._resamplers = resamplers
        self._slicers = [FrameSlicer(fmt, ptime_ms=ptime_ms) for _ in range(channels)]
        self._n_frames = 0

    def push(self, chunk: bytes) -> list[StereoFrame]:
        """Take the next bytes; return the frames that are complete now."""
        lines: tuple[bytes, ...] = (chunk,) if self._splitter is None else self._splitter.push(chunk)
        if self._resamplers:
            lines = tuple(one.push(line) for one, line in zip(self._resamplers, lines, strict=True))
        return self._frames([slicer.push(line) for slicer, line in zip(self._slicers, lines, strict=True)])

    def flush(self) -> list[StereoFrame]:
        """End the stream: return what is left, the last frame padded with silence."""
        tails = [one.flush() for one in self._resamplers] or [b""] * len(self._slicers)
        cut = []
        for slicer, tail in zip(self._slicers, tails, strict=True):
            frames = slicer.push(tail)
            last = slicer.flush()
            cut.append(frames if last is None else [*frames, last])
        return self._frames(cut)

    def _frames(self, cut: list[list[bytes]]) -> list[StereoFrame]:
        first = self._n_frames
        self._n_frames += len(cut[0])
        assistant = cut[1] if len(cut) == 2 else [b""] * len(cut[0])
        return [
            StereoFrame(mine, other, (first + i) * self._ptime_ms)
            for i, (mine, other) in enumerate(zip(cut[0], assistant, strict=True))
        ]


def check_response(response: TranscriberResponse) -> None:
    """Raise ``ConfigError`` for what Vapi could not read as a transcript. No text of a person is in its words."""
    if not isinstance(response, TranscriberResponse):
        raise ConfigError(f"a transcript is a TranscriberResponse, not {type(response).__name__}")
    if not isinstance(response.transcription, str):
        raise ConfigError(f"a transcript's text is a str, not {type(response.transcription).__name__}")
    if response.channel not in ("customer", "assistant"):
        raise ConfigError("a transcript's channel is 'customer' or 'assistant'")
    if response.transcript_type not in ("final", "partial"):
        raise ConfigError("a transcript_type is 'final' or 'partial'")


class TranscriberStream:
    """One connection of Vapi, which is one call: iterate over its frames, ``send`` what was said.

    ``start`` is what Vapi told of its audio, ``sample_rate`` the rate of the frames, ``query`` the parameters of
    the URL that Vapi was given. Frames that are not taken in time are dropped, the oldest first, and counted
    in ``dropped_frames``.
    """

    def __init__(
        self,
        start: TranscriberStart,
        cutter: StereoCutter,
        write: Callable[[bytes], Awaitable[bool]],
        *,
        sample_rate: int,
        max_frames: int,
        query: Mapping[str, str],
    ) -> None:
        self.start = start
        self.sample_rate = sample_rate
        self.query = query
        self.dropped_frames = 0
        self.sent = 0
        self.unsent = 0
        self._cutter = cutter
        self._write = write
        self._max_frames = max_frames
        self._waiting: deque[StereoFrame] = deque()
        self._news = asyncio.Event()
        self._ended = False

    def __aiter__(self) -> TranscriberStream:
        return self

    async def __anext__(self) -> StereoFrame:
        """Return the next frame; stop when the call is over."""
        while not self._waiting:
            if self._ended:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    async def send(
        self, text: str, *, channel: Literal["customer", "assistant"] = "customer", final: bool = True
    ) -> bool:
        """Tell Vapi what *channel* said; a partial transcript is replaced by the next one of its channel.

        Returns whether it went out: ``False``, and counted in ``unsent``, when the call is over. Raises
        ``ConfigError`` for what is no text, and for another channel.
        """
        return await self.send_response(
            TranscriberResponse(
                transcription=text, channel=channel, transcript_type="final" if final else "partial"
            )
        )

    async def send_response(self, response: TranscriberResponse) -> bool:
        """Do as ``send`` does with a response that is made already."""
        check_response(response)
        is_out = await self._write(response.encode())
        if is_out:
            self.sent += 1
        else:
            self.unsent += 1
        return is_out

    def feed(self, chunk: bytes) -> None:
        """Take audio as it came from Vapi. For ``CustomTranscriber``, and for tests of one's own."""
        self._queue(self._cutter.push(chunk))

    def end(self) -> None:
        """No audio comes any more. For ``CustomTranscriber``, and for tests of one's own."""
        if not self._ended:
            self._ended = True
            self._queue(self._cutter.flush())

    def _queue(self, frames: list[StereoFrame]) -> None:
        self._waiting += frames
        n_over = len(self._waiting) - self._max_frames
        if n_over > 0:
            self.dropped_frames += n_over
            for _ in range(n_over):
                self._waiting.popleft()
        self._news.set()
