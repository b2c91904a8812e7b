"""Vapi as the client of custom endpoints: it streams to a transcriber, and asks a voice.

What an endpoint does that Vapi would not accept is recorded in ``violations``, not raised.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import numpy as np

from vapimedia.errors import ConfigError
from vapimedia.testing.no_answer import why_no_answer

__all__ = ["Heard", "Transcription", "VoiceAnswer", "ask_voice", "interleave", "transcribe"]

_CALL = {"id": "0f6f2b9e-5d0a-4c53-9a37-1d7c6f0a9b11", "type": "vapi.websocketCall", "status": "in-progress"}


@dataclass
class Heard:
    """One transcript that the transcriber sent."""

    text: str
    channel: str
    final: bool


@dataclass
class Transcription:
    """What a transcriber made of one call. ``status`` is that of the upgrade; 0 when nobody answered."""

    status: int = 0
    responses: list[Heard] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    close_code: int | None = None

    def finals(self, channel: str = "customer") -> list[str]:
        """Return the final transcripts of *channel*."""
        return [one.text for one in self.responses if one.final and one.channel == channel]


@dataclass
class VoiceAnswer:
    """What a voice answered: ``pcm`` as far as it came; ``complete`` is whether the answer was ended properly."""

    status: int = 0
    pcm: bytes = b""
    complete: bool = False
    content_type: str = ""
    first_byte_ms: float = 0.0
    elapsed_ms: float = 0.0
    violations: list[str] = field(default_factory=list)


def interleave(customer: bytes, assistant: bytes) -> bytes:
    """Return stereo pcm_s16le, channel 0 the customer; the shorter one is filled up with silence.

    Raises ``ConfigError`` for half a sample.
    """
    for name, side in (("customer", customer), ("assistant", assistant)):
        if len(side) % 2:
            raise ConfigError(f"{name} has {len(side)} bytes; pcm_s16le has two a sample, an even number")
    n_bytes = max(len(customer), len(assistant))
    sides = [np.frombuffer(side.ljust(n_bytes, b"\0"), "<i2") for side in (customer, assistant)]
    return np.stack(sides, axis=1).tobytes()


async def transcribe(
    url: str,
    customer: bytes,
    assistant: bytes = b"",
    *,
    secret: str | None = None,
    sample_rate: int = 16000,
    start: dict[str, Any] | None = None,
    chunk_bytes: int | Sequence[int] = 1280,
    paced: bool = False,
    expect: int = 0,
    wait_s: float = 5.0,
) -> Transcription:
    """Open a transcriber at *url*, stream both sides as stereo, and close once *expect* responses are there.

    *chunk_bytes* is the size of every message, or the sizes in turn; *start* replaces keys of the start frame. Audio
    goes out at once unless *paced*. Waits for *wait_s* at most.
    """
    result, audio = Transcription(), interleave(customer, assistant)
    begin = {"type": "start", "encoding": "linear16", "container": "raw"}
    begin |= {"sampleRate": sample_rate, "channels": 2} | (start or {})
    sizes = [chunk_bytes] if isinstance(chunk_bytes, int) else list(chunk_bytes)
    headers = {"X-Vapi-Secret": secret} if secret is not None else {}
    try:
        async with aiohttp.ClientSession() as http, http.ws_connect(url, headers=headers) as socket:
            result.status = 101
            reading = asyncio.create_task(_read(socket, result, expect))
            try:
                await socket.send_str(json.dumps(begin))
                await _stream(socket, audio, sizes, 4 * sample_rate * paced)
            except ConnectionError:
                pass  # the transcriber has closed: its reason is about to be read
            await asyncio.wait({reading}, timeout=wait_s)
            if not reading.done():
                if len(result.responses) < expect:
                    result.violations.append(f"{len(result.responses)} of {expect} responses in {wait_s:g} s")
                reading.cancel()
                await asyncio.wait({reading})
            await socket.close()
            result.close_code = socket.close_code
    except aiohttp.WSServerHandshakeError as error:
        result.status = error.status
        result.violations.append(f"HTTP status {error.status} in place of a WebSocket")
    except (aiohttp.ClientError, TimeoutError) as error:
        result.violations.append(why_no_answer(error, wait_s))
    return result


async def _stream(
    socket: aiohttp.ClientWebSocketResponse, audio: bytes, sizes: Iterable[int], bytes_per_s: int
) -> None:
    begun, at = time.monotonic(), 0
    for size in itertools.cycle(sizes):
        if at >= len(audio):
            return
        await socket.send_bytes(audio[at : at + size])
        at += size
        if bytes_per_s:
            await asyncio.sleep(max(0.0, begun + at / bytes_per_s - time.monotonic()))


async def _read(socket: aiohttp.ClientWebSocketResponse, result: Transcription, expect: int) -> None:
    async for message in socket:
        if message.type is not aiohttp.WSMsgType.TEXT:
            result.violations.append("a transcriber sends text messages only")
            continue
        _take(message.data, result)
        if expect and len(result.responses) >= expect:
            return


def _take(text: str, result: Transcription) -> None:
    try:
        message = json.loads(text)
        type_ = message["type"]
    except (ValueError, TypeError, KeyError):
        result.violations.append("a message is not a JSON object with a type")
        return
    if type_ == "error":
        result.errors.append(str(message.get("error", "")))
        return
    said, channel = message.get("transcription"), message.get("channel", "customer")
    kind = message.get("transcriptType", "final")
    if type_ != "transcriber-response":
        result.violations.append(f"type {type_!r} is none of a transcriber's")
    elif not isinstance(said, str):
        result.violations.append("transcription is not a string")
    elif channel not in ("customer", "assistant") or kind not in ("final", "partial"):
        result.violations.append(f"channel {channel!r} or transcriptType {kind!r} is not known")
    elif unknown := set(message) - {"type", "transcription", "channel", "transcriptType"}:
        result.violations.append(f"unknown keys: {', '.join(sorted(unknown))}")
    else:
        result.responses.append(Heard(said, channel, kind == "final"))


async def ask_voice(
    url: str,
    text: str,
    sample_rate: int | float = 24000,
    *,
    secret: str | None = None,
    call_id: str = _CALL["id"],
    timeout_s: float = 20.0,
    stop_after_bytes: int | None = None,
) -> VoiceAnswer:
    """Post a voice-request and read the audio; hang up after *stop_after_bytes* if that is given."""
    answer = VoiceAnswer()
    call = {**_CALL, "id": call_id}
    message = {"type": "voice-request", "text": text, "sampleRate": sample_rate, "call": call}
    message["timestamp"] = int(time.time() * 1000)
    headers = {"X-Vapi-Secret": secret} if secret is not None else {}
    body, no_answer = bytearray(), ""
    begun = time.monotonic()
    try:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(url, json={"message": message}, headers=headers) as response,
        ):
            answer.status, answer.content_type = response.status, response.content_type
            async for chunk in response.content.iter_any():
                if not body:
                    answer.first_byte_ms = 1000 * (time.monotonic() - begun)
                body += chunk
                if stop_after_bytes is not None and len(body) >= stop_after_bytes:
                    response.close()
                    break
            else:
                answer.complete = True
    except (aiohttp.ClientError, TimeoutError) as error:
        no_answer = why_no_answer(error, timeout_s)
    answer.elapsed_ms = 1000 * (time.monotonic() - begun)
    answer.pcm = bytes(body)
    _judge_voice(answer, stop_after_bytes is not None, no_answer)
    return answer


def _judge_voice(answer: VoiceAnswer, has_stopped: bool, no_answer: str) -> None:
    if answer.status != 200:
        answer.violations.append(f"HTTP status {answer.status}" if answer.status else no_answer)
        return
    if answer.content_type != "application/octet-stream":
        answer.violations.append(f"content type {answer.content_type!r} is not application/octet-stream")
    if answer.pcm[:4] in (b"RIFF", b"OggS") or answer.pcm[:1] == b"{":
        answer.violations.append("the answer has a header or is JSON; raw samples are wanted")
    if has_stopped:
        return
    if not answer.complete:
        answer.violations.append("the audio broke off")
    elif len(answer.pcm) % 2:
        answer.violations.append("the audio ends within a sample")
