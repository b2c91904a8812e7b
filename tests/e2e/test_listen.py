"""``vapimedia listen`` as a process, at a fake Vapi's, and what it leaves when it is stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import wave
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from vapimedia import AudioFormat, VapiClient
from vapimedia.protocols.vapi import CreateCall
from vapimedia.testing import FakeVapi

pytestmark = pytest.mark.slow

# A ramp: each sample tells its place.
RAMP = np.arange(-32000, 32000, dtype="<i2").tobytes()
FRAME_BYTES = 640


@pytest.mark.parametrize("number,code", [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
async def test_whatever_stops_it_midway_leaves_a_file_that_plays(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    path = tmp_path / "call.wav"
    async with FakeVapi(listen_channels=2) as vapi, VapiClient(vapi.api_key, base_url=vapi.url) as client:
        wanted = CreateCall(format=AudioFormat("pcm_s16le", 16000), assistant_id="asst_1")
        call = await client.create_call(wanted)
        url = call.websocket_call_url.reveal()
        async with aiohttp.ClientSession() as http, http.ws_connect(url) as caller:

            async def talk() -> None:
                at = 0
                while True:
                    if vapi.calls[call.id].listeners:  # somebody listens
                        await caller.send_bytes(RAMP[at : at + FRAME_BYTES])
                        at = (at + FRAME_BYTES) % len(RAMP)
                    await asyncio.sleep(0.005)

            talking = asyncio.create_task(talk())
            command = [sys.executable, "-m", "vapimedia", "listen", call.listen_url.reveal(), "-o", str(path)]
            process = await asyncio.create_subprocess_exec(*command, env=os.environ | {"NO_COLOR": "1"})
            try:
                async with asyncio.timeout(40):
                    while not path.exists() or path.stat().st_size < 150_000:
                        await asyncio.sleep(0.02)
                    process.send_signal(number)
                    assert await process.wait() == code
            finally:
                talking.cancel()
                await asyncio.gather(talking, return_exceptions=True)
                if process.returncode is None:
                    process.kill()
                    await process.wait()
    on_disk = (path.stat().st_size - 80) // 4
    with wave.open(str(path), "rb") as file:
        assert (file.getframerate(), file.getnchannels()) == (16000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert on_disk - len(samples) <= (8000 if number == signal.SIGKILL else 0)  # half a second at most
    np.testing.assert_array_equal(samples[:, 0], np.arange(len(samples)) % 64000 - 32000)
    assert not samples[:, 1].any()
