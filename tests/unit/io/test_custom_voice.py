"""CustomVoice over real sockets: exactly the asked rate, the first byte at once, a clean or a visible end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from endpoint_here import served

from vapimedia import ConfigError, CustomVoice
from vapimedia.audio import Resampler, resample
from vapimedia.io.endpoints import base
from vapimedia.io.endpoints.voice import SpokenPcm
from vapimedia.protocols.vapi import VoiceRequest
from vapimedia.testing.vapi_media import VoiceAnswer, ask_voice

TONE = np.rint(8000 * np.sin(np.arange(4801) / 9)).astype(np.int16)


async def tone(request: VoiceRequest) -> AsyncIterator[bytes]:
    pcm = TONE.tobytes()
    for at in range(0, len(pcm), 333):
        yield pcm[at : at + 333]


async def ask(endpoint: CustomVoice, sample_rate: float = 24000, **how: str) -> VoiceAnswer:
    async with served(endpoint) as url:
        return await ask_voice(url, "hello", sample_rate, **how)  # type: ignore[arg-type]


@hypothesis.given(
    st.integers(0, 1000),
    st.lists(st.integers(1, 500), min_size=1, max_size=6),
    st.sampled_from([(24000, 8000), (24000, 24000), (24000, 44100), (16000, 22050), (8000, 16000)]),
)
@hypothesis.settings(max_examples=50, deadline=None)
def test_speech_is_the_whole_signal_resampled_without_delay(
    n_samples: int, sizes: list[int], rates: tuple[int, int]
) -> None:
    signal = TONE[:n_samples]
    pcm, spoken, out, at = signal.tobytes(), SpokenPcm(Resampler(*rates)), b"", 0
    while at < len(pcm):
        size = sizes[at % len(sizes)]
        out += spoken.push(pcm[at : at + size])
        at += size
    assert out + spoken.flush() == resample(signal, *rates).tobytes()


async def test_the_answer_has_exactly_the_asked_rate() -> None:
    endpoint = CustomVoice(tone, secret="s")
    async with served(endpoint) as url:
        for rate in (8000, 24000, 44100):
            answer = await ask_voice(url, "hello", rate, secret="s")
            assert answer.violations == []
            assert len(answer.pcm) == 2 * -(-len(TONE) * rate // 24000)
    assert endpoint.counts["voice_spoken"] == 3


async def test_the_first_byte_comes_before_the_last_chunk() -> None:
    heard = asyncio.Event()

    async def slow(request: VoiceRequest) -> AsyncIterator[bytes]:
        yield bytes(4800)
        await heard.wait()
        yield bytes(4800)

    async with served(CustomVoice(slow, secret=None)) as url:
        asking = asyncio.create_task(ask_voice(url, "hello", 24000, stop_after_bytes=4800))
        assert len((await asyncio.wait_for(asking, 2)).pcm) == 4800


async def test_a_function_may_return_all_samples_at_the_asked_rate() -> None:
    async def whole(request: VoiceRequest) -> bytes:
        assert request.sample_rate is not None
        return bytes(2 * int(request.sample_rate))

    answer = await ask(CustomVoice(whole, secret=None, sample_rate=None), 22050)
    assert (answer.violations, len(answer.pcm)) == ([], 44100)


async def test_a_client_that_leaves_cancels_the_voice() -> None:
    ended = asyncio.Event()

    async def endless(request: VoiceRequest) -> AsyncIterator[bytes]:
        try:
            yield bytes(4800)
            await asyncio.Event().wait()
        finally:
            ended.set()

    endpoint = CustomVoice(endless, secret=None)
    async with served(endpoint) as url:
        await ask_voice(url, "hello", 24000, stop_after_bytes=1)
        await asyncio.wait_for(ended.wait(), 2)
        await asyncio.sleep(0)
    assert endpoint.counts["voice_left"] == 1


@pytest.mark.parametrize("n_bytes,status", [(0, 500), (480, 200)])
async def test_a_voice_that_raises_gives_500_or_breaks_off(n_bytes: int, status: int) -> None:
    async def fail(request: VoiceRequest) -> AsyncIterator[bytes]:
        yield bytes(n_bytes)
        raise ConnectionError("the caller's words")

    endpoint = CustomVoice(fail, secret=None)
    answer = await ask(endpoint)
    assert (answer.status, answer.complete) == (status, not n_bytes)
    assert answer.pcm == (bytes(n_bytes) or b"the voice failed\n")
    assert endpoint.counts["voice_failed"] == 1


async def test_a_voice_that_gives_nothing_in_time_is_504() -> None:
    async def mute(request: VoiceRequest) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    endpoint = CustomVoice(mute, secret=None, deadline_s=0.05)
    assert (await ask(endpoint)).status == 504
    assert endpoint.counts["voice_late"] == 1


async def test_a_voice_that_refuses_to_end_is_late_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "LINGER_S", 0.01)
    free = asyncio.Event()

    async def refuse(request: VoiceRequest) -> AsyncIterator[bytes]:
        while not free.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await free.wait()
        yield bytes(9600)  # nobody is there any more

    endpoint = CustomVoice(refuse, secret=None, deadline_s=0.01)
    async with served(endpoint) as url:
        assert (await ask_voice(url, "hello", 24000)).status == 504
        free.set()
        await asyncio.sleep(0.01)
    assert endpoint.counts == {"lingering": 1, "voice_late": 1}


async def test_no_log_holds_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(request: VoiceRequest) -> AsyncIterator[bytes]:
        yield bytes(4)
        raise ValueError(request.text)

    caplog.set_level("DEBUG", "vapimedia")
    await ask(CustomVoice(tone, secret=None))
    await ask(CustomVoice(fail, secret=None))
    assert "spoken after" in caplog.text and "ValueError" in caplog.text
    assert "hello" not in caplog.text


@pytest.mark.parametrize("rate", [0, 999, 24000.5, 200_000])
async def test_a_rate_that_cannot_be_made_is_400(rate: float) -> None:
    endpoint = CustomVoice(tone, secret=None)
    assert (await ask(endpoint, rate)).status == 400
    assert endpoint.counts["bad_request"] == 1


async def test_who_has_no_secret_gets_403() -> None:
    assert (await ask(CustomVoice(tone, secret="s"), secret="wrong")).status == 403


def test_a_native_rate_out_of_range_is_refused_at_once() -> None:
    with pytest.raises(ConfigError):
        CustomVoice(tone, secret=None, sample_rate=5)


async def yields_text(request: VoiceRequest) -> AsyncIterator[Any]:
    yield "card number"


async def returns_text(request: VoiceRequest) -> Any:
    return "card number"


@pytest.mark.parametrize(
    "function,words",
    [
        (yields_text, "must yield bytes; what came is str (test_custom_voice.py, line"),
        (returns_text, "must return bytes; what came is str"),
        (lambda request: b"", "must be an async function or an async generator"),
    ],
)
async def test_the_log_tells_what_a_voice_did_wrong(
    function: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    answer = await ask(CustomVoice(function, secret=None))
    assert answer.status == 500
    assert words in caplog.text and "card" not in caplog.text
    assert "no audio, 0 bytes" in caplog.text


async def test_a_request_that_a_voice_refuses_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert (await ask(CustomVoice(tone, secret=None), 500)).status == 400
    assert "the voice refused a request: a voice-request holds a text" in caplog.text
