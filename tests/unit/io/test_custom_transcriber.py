"""CustomTranscriber over real sockets, with Vapi's side played by the testing counterpart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np
import pytest
from endpoint_here import served

from vapimedia import ConfigError, CustomTranscriber
from vapimedia.io.endpoints import TranscriberStream, base
from vapimedia.protocols.vapi.transcriber import TranscriberResponse
from vapimedia.testing.vapi_media import Transcription, transcribe

SPEECH = np.full(3200, 1000, np.int16).tobytes()


async def loudness(stream: TranscriberStream) -> None:
    """Say how loud each side's first frame is, and how long a frame is."""
    async for frame in stream:
        for channel in ("customer", "assistant"):
            pcm = np.frombuffer(getattr(frame, channel), "<i2")
            await stream.send(f"{pcm.max()}/{len(pcm)}", channel=channel, final=channel == "customer")  # type: ignore[arg-type]
        return


async def ask(endpoint: CustomTranscriber, **how: Any) -> Transcription:
    async with served(endpoint) as url:
        return await transcribe(url, SPEECH, **how)


async def test_both_channels_arrive_and_transcripts_go_back() -> None:
    endpoint = CustomTranscriber(loudness, secret="s")
    result = await ask(endpoint, secret="s", expect=2, chunk_bytes=[1, 999, 3])
    assert result.violations == result.errors == []
    assert [(one.text, one.channel, one.final) for one in result.responses] == [
        ("1000/320", "customer", True),
        ("0/320", "assistant", False),
    ]
    assert result.close_code == 1000
    assert endpoint.live == 0


async def test_frames_come_at_the_rate_that_was_asked_for() -> None:
    seen = []

    async def take(stream: TranscriberStream) -> AsyncIterator[TranscriberResponse]:
        seen.append((stream.sample_rate, stream.start.sample_rate, stream.query["call"]))
        frames = [frame async for frame in stream]
        seen.append((len(frames), {len(frame.customer) for frame in frames}))
        yield TranscriberResponse(transcription="too late")

    async with served(CustomTranscriber(take, secret=None, sample_rate=8000)) as url:
        await transcribe(f"{url}?call=7", SPEECH * 10, sample_rate=24000, expect=1, wait_s=0.05)
        for _ in range(100):
            await asyncio.sleep(0.01)
            if len(seen) == 2:
                break
    # 32000 samples at 24 kHz, and the tail of the filter.
    assert seen == [(8000, 24000, "7"), (67, {320})]


@pytest.mark.parametrize("secret", [None, "wrong"])
async def test_who_has_no_secret_gets_403_and_no_socket(secret: str | None) -> None:
    endpoint = CustomTranscriber(loudness, secret="s")
    assert (await ask(endpoint, secret=secret)).status == 403
    assert endpoint.counts["refused"] == 1


@pytest.mark.parametrize(
    "start,word",
    [
        ({"encoding": "mulaw"}, "encoding"),
        ({"container": "wav"}, "container"),
        ({"sampleRate": 500}, "sampleRate"),
        ({"channels": 3}, "channels"),
    ],
)
async def test_audio_that_cannot_be_read_is_refused_with_the_reason(start: dict[str, Any], word: str) -> None:
    result = await ask(CustomTranscriber(loudness, secret=None), start=start)
    assert [error.partition(" ")[0] for error in result.errors] == [word]
    assert result.close_code == 1003


async def test_a_user_who_raises_is_an_error_frame_without_its_words() -> None:
    async def fail(stream: TranscriberStream) -> None:
        async for _frame in stream:
            raise ValueError("the caller's card number")

    endpoint = CustomTranscriber(fail, secret=None)
    result = await ask(endpoint)
    assert (result.errors, result.close_code) == (["the transcriber failed: ValueError"], 1011)
    assert endpoint.counts["failed"] == 1


async def test_a_user_who_does_not_end_is_cancelled_after_the_call() -> None:
    cancelled = asyncio.Event()

    async def hang(stream: TranscriberStream) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    endpoint = CustomTranscriber(hang, secret=None, finish_s=0.01, max_lag_s=0.02)
    async with served(endpoint) as url:
        result = await transcribe(url, SPEECH, expect=1, wait_s=0.05)
        assert result.close_code is not None
        await asyncio.wait_for(cancelled.wait(), 2)
        while endpoint.live:
            await asyncio.sleep(0.01)
    assert endpoint.counts["cancelled"] == 1
    assert endpoint.counts["dropped_frames"] == 9


async def test_a_user_who_refuses_to_end_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LINGER_S", 0.01)
    free = asyncio.Event()

    async def refuse(stream: TranscriberStream) -> None:
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()

    endpoint = CustomTranscriber(refuse, secret=None, finish_s=0.01)
    async with served(endpoint) as url:
        await transcribe(url, SPEECH, expect=1, wait_s=0.01)
        async with asyncio.timeout(2):
            while endpoint.live:
                await asyncio.sleep(0.005)
        free.set()
    assert endpoint.counts["lingering"] == 1


async def test_a_user_who_exits_ends_the_call_and_not_the_server() -> None:
    async def leave(stream: TranscriberStream) -> None:
        raise SystemExit(3)

    async with served(CustomTranscriber(leave, secret=None)) as url:
        for _ in range(2):
            assert (await transcribe(url, SPEECH)).errors == ["the transcriber failed: SystemExit"]


async def test_a_peer_that_vanishes_or_says_too_much_ends_its_call_only() -> None:
    ended = []

    async def take(stream: TranscriberStream) -> None:
        ended.append(len([frame async for frame in stream]))

    endpoint = CustomTranscriber(take, secret=None)
    async with served(endpoint) as url, aiohttp.ClientSession() as http:
        for vanishes in (True, False):
            socket = await http.ws_connect(url)
            await socket.send_str('{"type":"start"}')
            await socket.send_bytes(bytes(1281))
            while not endpoint.live:
                await asyncio.sleep(0.005)
            if vanishes:
                await socket.send_str("{")
                await asyncio.sleep(0.05)
                socket._response.connection.transport.abort()  # type: ignore[union-attr]
            else:
                await socket.send_bytes(bytes((1 << 20) + 1))
                assert (await socket.receive()).data == 1009
            while endpoint.live:
                await asyncio.sleep(0.005)
    # One frame and the byte that is left, which makes no sample of either side.
    assert ended == [1, 1]
    assert endpoint.counts["ignored_message"] == 1


@pytest.mark.slow
async def test_a_peer_that_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vapimedia.io.endpoints.transcriber.SEND_S", 0.2)

    async def talk(stream: TranscriberStream) -> None:
        while await stream.send("x" * 100_000):
            pass

    endpoint = CustomTranscriber(talk, secret=None)
    async with served(endpoint) as url, aiohttp.ClientSession() as http:
        socket = await http.ws_connect(url)
        socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]
        await socket.send_str('{"type":"start"}')
        async with asyncio.timeout(20):
            while not endpoint.counts["stalled"] or endpoint.live:
                await asyncio.sleep(0.05)
    assert endpoint.counts["unsent"] == 1


async def test_paced_audio_takes_its_time() -> None:
    async with served(CustomTranscriber(loudness, secret=None)) as url:
        result = await transcribe(url, SPEECH[:1280], paced=True, expect=2)
    assert len(result.responses) == 2


async def test_a_shutdown_closes_live_sockets_with_1001() -> None:
    endpoint = CustomTranscriber(loudness, secret=None)
    async with aiohttp.ClientSession() as http:
        async with served(endpoint) as url:
            socket = await http.ws_connect(url)
            await socket.send_str('{"type":"start"}')
            while not endpoint.live:
                await asyncio.sleep(0.01)
            closed = asyncio.create_task(socket.receive())
        assert (await closed).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1001


async def test_audio_before_the_start_frame_is_refused() -> None:
    async with served(CustomTranscriber(loudness, secret=None)) as url, aiohttp.ClientSession() as http:
        async with http.ws_connect(url) as socket:
            await socket.send_bytes(bytes(4))
            assert "before the start frame" in (await socket.receive_str())
        async with http.get(url) as plain:
            assert plain.status == 400


def test_frames_that_are_no_whole_samples_are_refused_at_once() -> None:
    for wrong in ({"sample_rate": 11025}, {"sample_rate": 5}, {"max_lag_s": 0.0}):
        with pytest.raises(ConfigError):
            CustomTranscriber(loudness, secret=None, **wrong)  # type: ignore[arg-type]


async def yields_a_text(stream: TranscriberStream) -> AsyncIterator[Any]:
    yield "my card number"


async def yields_a_number_as_text(stream: TranscriberStream) -> AsyncIterator[Any]:
    yield TranscriberResponse(transcription=5)  # type: ignore[arg-type]


async def sends_to_nobody(stream: TranscriberStream) -> None:
    await stream.send("my card number", channel="nobody")  # type: ignore[arg-type]


async def sends_nothing(stream: TranscriberStream) -> None:
    await stream.send(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "function,words",
    [
        (yields_a_text, "yield a TranscriberResponse, not str"),
        (yields_a_number_as_text, "text is a str, not int"),
        (sends_to_nobody, "channel is 'customer' or 'assistant'"),
        (sends_nothing, "text is a str, not NoneType"),
        (lambda stream: 5, "what it returned is int"),
    ],
)
async def test_what_is_no_transcript_never_goes_out(
    function: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    result = await ask(CustomTranscriber(function, secret=None))
    assert (result.errors, result.responses) == (["the transcriber failed: ConfigError"], [])
    assert words in caplog.text and "card" not in caplog.text
    assert "returned" in words or "(test_custom_transcriber.py, line" in caplog.text
    assert "closed with 1011" in caplog.text


async def test_a_refused_start_frame_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    await ask(CustomTranscriber(loudness, secret=None), start={"encoding": "mulaw"})
    assert "refused a call with 1003: encoding" in caplog.text
