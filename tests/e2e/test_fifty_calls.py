"""``vapimedia serve`` as a process of its own, between a client and a Vapi that share nothing with it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import pytest
from aiohttp import ClientSession
from load import SILENCE, Phone, VapiSide, frame, judge

from vapimedia import AudioFormat
from vapimedia.audio import Converter

N_CALLS = 50
N_FRAMES = 200  # 4 s
STAGGER_S = 0.01


@asynccontextmanager
async def serving(vapi_url: str, *flags: str) -> AsyncIterator[str]:
    """Run ``vapimedia serve`` on a free port; yield its media URL; SIGTERM must end it with exit code 0."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "vapimedia", "serve", "--port", "0", "--admin", "127.0.0.1:0", "--no-auth"),
        *("--vapi-url", vapi_url, "--assistant-id", "asst_1", "--drain-s", "5", *flags),
        env=os.environ | {"VAPI_API_KEY": "key-of-the-test", "NO_COLOR": "1", "COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(15):
            port = None
            while port is None:
                line = (await process.stdout.readline()).decode()
                assert line, "serve ended before it listened"
                found = re.search(r"Listening\s+http://127\.0\.0\.1:(\d+)", line)
                port = found and found[1]
        reading = asyncio.create_task(process.stdout.read())
        yield f"ws://127.0.0.1:{port}/twilio/media"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await process.wait() == 0, (await reading).decode()


async def run_calls(url: str, n_calls: int, n_frames: int) -> list[Phone]:
    # The assistant may begin a little after the caller: it must be done before the caller hangs up.
    phones = [Phone(number, n_frames, linger_s=1.5) for number in range(1, n_calls + 1)]
    async with ClientSession() as session:

        async def one(phone: Phone) -> None:
            await asyncio.sleep(phone.number * STAGGER_S)
            await phone.run(session, url)

        await asyncio.gather(*(one(phone) for phone in phones))
    return phones


def pair(vapi: VapiSide, phones: list[Phone]) -> list[tuple[Phone, str]]:
    """Find out, by the numbers in the audio, which phone each Vapi call heard."""
    pairs = []
    for call, uplink in vapi.uplinks.items():
        blocks = (bytes(uplink[at : at + 160]) for at in range(0, len(uplink), 160))
        first = next(block for block in blocks if block != SILENCE)
        pairs.append((phones[int.from_bytes(first[1:3], "big") - 1], call))
    return pairs


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_fifty_calls_in_real_time_lose_double_and_change_no_frame() -> None:
    async with VapiSide(N_FRAMES) as vapi, serving(vapi.url) as url:
        phones = await run_calls(url, N_CALLS, N_FRAMES)
    totals: Counter[str] = Counter()
    for phone, call in pair(vapi, phones):
        for report in (
            judge(phone.sent, bytes(vapi.uplinks[call])),
            judge(vapi.spoken[call], bytes(phone.received)),
        ):
            totals.update({name: n for name, n in asdict(report).items() if name != "silence"})
    assert totals["sent"] >= 2 * N_CALLS * N_FRAMES * 0.98
    assert (totals["lost"], totals["duplicated"], totals["corrupted"]) == (0, 0, 0)
    assert [phone.close_code for phone in phones] == [1000] * N_CALLS
    assert list(vapi.closed.values()) == [1000] * N_CALLS
    assert all(texts == [{"type": "end-call"}] for texts in vapi.texts.values())


@pytest.mark.slow
async def test_transcoding_on_the_way_changes_no_bit_of_what_the_converter_gives() -> None:
    n_calls, n_frames = 4, 100
    wire, phone_format = AudioFormat("pcm_s16le", 16000), AudioFormat("mulaw", 8000)
    async with (
        VapiSide(4 * n_frames, bytes_per_s=32000) as vapi,
        serving(vapi.url, "--vapi-format", "pcm_s16le/16000") as url,
    ):
        phones = await run_calls(url, n_calls, n_frames)
    assert {str(request["transport"]["audioFormat"]) for request in vapi.requests} == {
        str({"format": "pcm_s16le", "container": "raw", "sampleRate": 16000})
    }
    uplinks = {}
    for call, uplink in vapi.uplinks.items():
        frames = [bytes(uplink[at : at + 640]) for at in range(0, len(uplink), 640)]
        uplinks[call] = b"".join(one for one in frames if any(one))
    for phone in phones:
        expected = Converter(phone_format, wire).push(b"".join(phone.sent))
        # The last frame is padded with what the resampler still held.
        assert any(heard[: len(expected)] == expected for heard in uplinks.values())
    for call, spoken in vapi.spoken.items():
        expected = Converter(wire, phone_format).push(b"".join(spoken))
        assert any(bytes(phone.received[: len(expected)]) == expected for phone in phones), call


def test_the_judge_sees_every_kind_of_damage() -> None:
    frames = [frame(7, i) for i in range(6)]
    damaged = frames[0] + SILENCE + frames[1] + frames[1] + frames[3][:-1] + b"\x00" + frames[4] + frames[5]
    report = judge(frames, damaged)
    assert (report.lost, report.duplicated, report.corrupted, report.silence) == (2, 1, 1, 1)
