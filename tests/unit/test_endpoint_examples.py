"""The examples of custom endpoints do what they say, with Vapi's side played by the testing counterparts."""

from __future__ import annotations

import runpy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiohttp import web
from loopback import serving

from vapimedia import AudioFormat
from vapimedia.testing import load_clip
from vapimedia.testing.vapi_media import ask_voice, transcribe
from vapimedia.testing.vapi_requests import ask_endpointing, ask_knowledge_base

EXAMPLES = Path(__file__).parents[2] / "examples"


@asynccontextmanager
async def example(name: str, path: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setenv("VAPI_WEBHOOK_SECRET", "s")
    app: web.Application = runpy.run_path(str(EXAMPLES / f"{name}.py"))["app"]
    async with serving(app) as url:
        yield f"{url}{path}"


async def test_the_transcriber_tells_how_long_the_caller_spoke(monkeypatch: pytest.MonkeyPatch) -> None:
    speech = load_clip("greeting", AudioFormat("pcm_s16le", 8000))[: 2 * 8000]
    silence = bytes(2 * 8000)
    async with example("energy_transcriber", "/transcribe", monkeypatch) as url:
        result = await transcribe(url, speech + silence, silence, secret="s", sample_rate=8000, expect=1)
    assert result.violations == result.errors == []
    (said,) = result.finals("customer")
    assert 300 <= int(said.split()[0]) <= 1000


async def test_the_voice_beeps_once_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    async with example("beep_voice", "/voice", monkeypatch) as url:
        answer = await ask_voice(url, "hello to you", 8000, secret="s")
    assert answer.violations == []
    samples = np.abs(np.frombuffer(answer.pcm, "<i2").astype(np.int32))
    loud = samples[: len(samples) // 80 * 80].reshape(-1, 80).max(axis=1) > 1000
    assert np.count_nonzero(np.diff(np.concatenate([[False], loud]).astype(int)) == 1) == 3


async def test_the_endpointing_waits_longer_for_an_unfinished_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with example("patient_endpointing", "/endpointing", monkeypatch) as url:
        texts = ("I would like, um", "I would like tea", "I would like tea.")
        answers = [await ask_endpointing(url, [("user", text)], secret="s") for text in texts]
    assert [answer.timeout_seconds for answer in answers] == [2.0, 0.8, 0.2]


async def test_the_knowledge_base_finds_what_shares_words(monkeypatch: pytest.MonkeyPatch) -> None:
    async with example("keyword_documents", "/documents", monkeypatch) as url:
        answer = await ask_knowledge_base(url, [("user", "Is the parking free?")], secret="s")
    assert answer.violations == []
    assert answer.documents[0]["uuid"] == "parking"
