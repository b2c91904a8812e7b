"""Both legs of calls over real sockets, as they stand in the files that the bridge leaves."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import threading
import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scene import STOP, media, running, start
from test_call_life import ENDS
from wire import connected, nothing_left, until

from vapimedia import AudioFormat, Bridge, BridgeConfig, CallOptions
from vapimedia.errors import ConfigError
from vapimedia.session import CallEnded
from vapimedia.testing import (
    AssistantScript,
    EndCall,
    FakeTwilioCall,
    FakeVapi,
    Interrupt,
    Say,
    Silence,
    Speak,
    WaitForAssistant,
    WaitForSilence,
    correlate,
    sound,
)

Samples = npt.NDArray[np.int16]
MULAW = AudioFormat("mulaw", 8000)
CALLER, ASSISTANT = b"\x10" * 160, b"\x20" * 1600
SCRIPT = AssistantScript(
    (
        Speak("greeting"),
        WaitForSilence(),
        Speak("monday_hours"),
        WaitForSilence(),
        Speak("goodbye"),
        EndCall(),
    )
)


def read(path: str | Path) -> tuple[Samples, Samples]:
    """The caller's channel and the assistant's."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        stereo = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    return stereo[:, 0], stereo[:, 1]


def decoded(audio: bytes) -> Samples:
    return np.asarray(sound.decode(audio, MULAW), np.int16)


def share_in_place(heard: Samples, recorded: Samples) -> float:
    """The share of the loud quarters of a second of *heard* that are in *recorded*, within 45 ms of their place."""
    n = 2000
    loud = [
        at for at in range(0, len(heard) - n, n) if sound.rms(heard[at : at + n].astype(np.float32)) > 500
    ]
    assert len(loud) >= 2
    found = [(at, correlate(heard[at : at + n], recorded)) for at in loud]
    return sum(place.peak > 0.99 and abs(place.lag_samples - at) <= 360 for at, place in found) / len(loud)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


async def test_a_call_is_recorded_on_both_sides_and_the_file_is_whole_when_the_bridge_is_closed(
    tmp_path: Path,
) -> None:
    async with running(record=str(tmp_path)) as scene, scene.call() as (phone, leg):
        await leg.socket.send_bytes(ASSISTANT)
        phone.text(media(CALLER))
        await until(lambda: CALLER in leg.audio)
        await phone.read_event("media")
        await asyncio.sleep(0.3)
        handle = scene.bridge.calls[0].handle
        phone.text(STOP)
        await until(lambda: scene.ended)
        summary = scene.ended[0].summary
        assert handle.recording == Path(summary.recording)
    assert "vapimedia-recorder" not in threads()
    assert re.fullmatch(r"\d{8}T\d{6}\.\d{3}Z-twilio-CA0+1\.wav", Path(summary.recording).name)
    assert [path.name for path in tmp_path.iterdir()] == [Path(summary.recording).name]
    caller, assistant = read(summary.recording)
    assert len(caller) / 8 == pytest.approx(summary.duration_ms, abs=50)
    assert (caller[caller != 0] == decoded(CALLER)).all()
    assert (assistant[assistant != 0] == decoded(ASSISTANT)).all()
    assert summary.recording_dropped_ms == 0


async def test_a_call_that_the_user_leaves_out_is_not_recorded(tmp_path: Path) -> None:
    async def on_call(_info: object) -> CallOptions:
        return CallOptions(record=False)

    async with (
        running(prepare=lambda bridge: bridge.on_call(on_call), record=str(tmp_path)) as scene,
        scene.call() as (phone, _leg),
    ):
        phone.text(STOP)
        await until(lambda: scene.ended)
        assert scene.ended[0].summary.recording == ""
    assert list(tmp_path.iterdir()) == []


async def test_a_bare_call_is_recorded_and_one_that_must_be_without_a_folder_is_refused(
    tmp_path: Path,
) -> None:
    async def on_call(_info: object) -> CallOptions:
        return CallOptions(record=True)

    for folder in (str(tmp_path), ""):
        async with (
            running(
                prepare=lambda bridge: bridge.on_call(on_call),
                auth=False,
                vapi_webhook_secret="",
                record=folder,
            ) as scene,
            connected(scene.bridge.port) as phone,
        ):
            if not folder:
                with pytest.raises(ConfigError, match=r"record=True\) needs a folder"):
                    await scene.bridge.dial(
                        "+15005550006", provider="twilio", options=CallOptions(record=True)
                    )
            await phone.upgrade("/twilio/media")
            if folder:
                phone.text(start())
                await until(lambda: scene.vapi.requests)
                phone.text(STOP)
            await until(lambda: scene.ended)
            assert len(scene.vapi.requests) == bool(folder)
            assert bool(scene.ended[0].summary.recording) == bool(folder)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("way", [*ENDS, "the bridge closes"])
async def test_every_end_leaves_a_whole_file_and_no_thread(tmp_path: Path, way: str) -> None:
    """What the caller has not heard yet is not in it."""
    async with running(record=str(tmp_path)) as scene:
        await scene.get("/healthz")
        async with nothing_left(), scene.call() as (phone, leg):
            await leg.socket.send_bytes(ASSISTANT * 20)  # 4 s, sent ahead
            phone.text(media(CALLER))
            await phone.read_event("media")
            await asyncio.sleep(0.5)
            if way == "the bridge closes":
                await scene.bridge.close()
            else:
                await ENDS[way][0](scene, phone, leg)
            await until(lambda: scene.ended or way == "vapi ended", 2)
            if way == "vapi ended":  # the caller hears its last words
                await until(lambda: scene.ended, 6)
            phone.close()
            await until(lambda: "vapimedia-recorder" not in threads(), 2)
    summary = scene.ended[0].summary
    caller, assistant = read(summary.recording)
    assert (caller[caller != 0] == decoded(CALLER)).all()
    assert len(assistant) / 8 == pytest.approx(summary.duration_ms, abs=50)
    assert summary.downlink is not None
    heard_ms = np.count_nonzero(assistant) / 8
    assert heard_ms == pytest.approx(
        4000 if way == "vapi ended" else 500, abs=0 if way == "vapi ended" else 300
    )


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("vapi_format", ["mulaw/8000", "pcm_s16le/16000"])
async def test_a_recording_is_what_the_phone_said_and_heard_a_barge_in_included(
    tmp_path: Path, vapi_format: str
) -> None:
    ended: list[CallEnded] = []
    async with FakeVapi(assistant=SCRIPT) as vapi:
        bridge = Bridge(
            BridgeConfig(
                port=0,
                admin="127.0.0.1:0",
                vapi_url=vapi.url,
                vapi_api_key=vapi.api_key,
                assistant_id="asst_1",
                auth=False,
                vapi_format=vapi_format,
                record=str(tmp_path),
            )
        )
        bridge.on_event(lambda _call, event: ended.append(event) if isinstance(event, CallEnded) else None)
        async with bridge:
            steps = (WaitForAssistant(), Say("ask_monday"), Interrupt("ask_sunday", 900), WaitForAssistant())
            phone = await FakeTwilioCall(
                f"http://127.0.0.1:{bridge.port}/twilio/voice",
                auth_token="x" * 32,
                caller=(*steps, Silence(20_000)),
            ).run()
    caller, assistant = read(ended[0].summary.recording)
    assert ended[0].summary.barge_ins == len(phone.clears) == 1
    # The phone plays in ticks of 20 ms: each utterance has its place on them.
    # A piece may begin before a word, hold the cut, or what the phone on a busy machine has heard in two parts.
    assert share_in_place(decoded(bytes(phone.sent)), caller) >= 0.9
    assert share_in_place(decoded(phone.heard), assistant) >= 0.7
    # After the clear the rest of the sentence is in neither.
    cut = round((phone.clears[0].received_ns - phone.started_ns) / 1e6 * 8)
    assert not assistant[cut + 25 * 8 : cut + 400 * 8].any()


@pytest.mark.slow
async def test_a_bridge_that_is_killed_leaves_a_recording_that_plays(tmp_path: Path) -> None:
    async with FakeVapi(assistant=SCRIPT) as vapi:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "vapimedia",
                "serve",
                "--port",
                "0",
                "--admin",
                "127.0.0.1:0",
                "--no-auth",
            ),
            *("--vapi-url", vapi.url, "--assistant-id", "a", "--record", str(tmp_path), "--workers", "2"),
            env=os.environ | {"VAPI_API_KEY": vapi.api_key, "NO_COLOR": "1", "COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        port = None
        while port is None:
            found = re.search(
                r"Listening\s+http://127\.0\.0\.1:(\d+)", (await process.stdout.readline()).decode()
            )
            port = found and found[1]
        phone = FakeTwilioCall(
            f"http://127.0.0.1:{port}/twilio/voice",
            auth_token="x" * 32,
            caller=(Say("ask_monday"), Silence(9000)),
        )
        calling = asyncio.create_task(phone.run())
        await phone.streaming()
        await asyncio.sleep(2.0)
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGKILL)
        process.kill()
        await process.wait()
        await calling
    (path,) = tmp_path.iterdir()
    caller, assistant = read(path)
    assert 1200 <= len(caller) / 8 <= 2200
    assert share_in_place(decoded(bytes(phone.sent))[: len(caller)], caller) >= 0.7
    assert assistant.any()
