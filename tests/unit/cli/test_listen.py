"""``vapimedia listen``: what it keeps, shows and answers."""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from listen_server import Script, serving
from rich.console import Console

from vapimedia.cli import listen_report, main
from vapimedia.cli.listen_sinks import RawSink, WavSink
from vapimedia.io import listen
from vapimedia.io.listen_items import AudioChunk, ListenStats

FRAME = bytes(range(1, 65)) * 10  # 20 ms of 16 kHz
STEREO = '{"type":"start","encoding":"linear16","sampleRate":8000,"channels":2}'
ENDED = '{"type":"status-update","status":"ended"}'


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("VAPI", "COLUMNS"))]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(listen, "_FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(listen, "HOLD_S", 0.01)


@contextmanager
def served(*scripts: Script) -> Iterator[str]:
    """The scripts from another thread: the command has a loop of its own."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with serving(*scripts) as server:
            urls.append(server.url)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


def read(path: Path) -> tuple[int, int, bytes]:
    with wave.open(str(path), "rb") as file:
        return file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())


def test_a_call_is_kept_as_it_was_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "call.wav"
    with served([STEREO, FRAME[:33], "no JSON", FRAME[33:], FRAME, ENDED, 1000]) as url:
        assert main(["listen", url, "-o", str(path), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert main(["listen", url, "-o", str(path)]) == 2
        assert main(["listen", f"<{url}>", "-o", str(path), "--overwrite", "--seconds", "0.03"]) == 0
    assert told["files"] == [str(path)]
    assert (told["duration_ms"], told["sample_rate"], told["channels"]) == (40, 8000, 2)
    assert (told["ended"], told["error"], told["events"]) == ("ended", None, 2)
    assert read(path) == (8000, 2, (FRAME * 2)[: 240 * 4])
    assert "call.wav: 0.0 s, 8000 Hz, 2 ch" in capsys.readouterr().out


def test_a_call_without_a_sound_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with served(410) as url:
        assert main(["listen", url]) == 1
    assert "nothing was heard" in capsys.readouterr().err
    with served([FRAME, 0], 503) as url:
        assert main(["listen", url, "--give-up-s", "0.1", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ended"], told["duration_ms"]) == ("lost", 20)
    assert "could not be made again" in told["error"]


@pytest.mark.parametrize(
    "argv,named",
    [
        (["7420f27a-30fd-4f49-a995-5549ae7cc00d"], "VAPI_API_KEY"),
        (["+15555550123"], "neither the id"),
        (["wss://example.com/listen"], "--vapi-host"),
        (["wss://phone.vapi.ai/c/listen", "-o", "-", "--json"], "standard output"),
        (["wss://phone.vapi.ai/c/listen", "-o", "/nowhere/call.wav"], "--out"),
        (["wss://phone.vapi.ai/c/listen", "-o", "/"], "is a folder"),
        (["ws://phone.vapi.ai/c/listen"], "neither wss nor https\n"),
        (["https://phone.vapi.ai/c/control"], "listenUrl"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_is_sent(
    argv: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["listen", *argv]) == 2
    assert named in capsys.readouterr().err


def chunk(at_sample: int, *, rate: int = 16000, channels: int = 1, pcm: bytes = FRAME) -> AudioChunk:
    return AudioChunk(pcm, rate, channels, at_sample)


def test_another_format_begins_another_file_and_a_refused_one_is_told(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "a.wav", overwrite=False)
    sink.take(chunk(0))
    sink.take(chunk(640))  # 20 ms are missing before it
    sink.take(chunk(480, rate=8000))
    sink.close()
    assert [read(file.path) for file in sink.files] == [
        (16000, 1, FRAME + bytes(640) + FRAME),
        (8000, 1, FRAME),
    ]
    assert sink.files[1].path.name == "a-2.wav"
    again = WavSink(tmp_path / "a.wav", overwrite=False)
    again.take(chunk(0))
    assert "exists already" in again.trouble


def test_another_rate_in_the_raw_samples_is_no_gap() -> None:
    reading, writing = os.pipe()
    sink = RawSink(writing)
    sink.take(AudioChunk(FRAME, 8000, 1, 80_000))
    sink.take(AudioChunk(FRAME, 16000, 1, 160_640))  # where the first one ended
    sink.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as reader:
        assert reader.read() == FRAME * 2
    assert sink.lost_ms == 0


def test_raw_samples_keep_time_and_a_reader_that_stops_is_noticed() -> None:
    reading, writing = os.pipe()
    sink = RawSink(writing)
    for at_sample in (0, 320, 960):
        sink.take(chunk(at_sample))
    heard = b""
    while len(heard) < 4 * 640:
        heard += os.read(reading, 4096)
    os.close(reading)
    assert heard == FRAME * 2 + bytes(640) + FRAME
    sink.take(chunk(1280))
    sink.close()
    assert sink.is_broken
    os.close(writing)


def listening(**changes: object) -> Any:
    about = {
        "sample_rate": 16000,
        "channels": 1,
        "pace": None,
        "is_connected": True,
        "trouble": "",
        "has_ended": False,
    }
    return cast(Any, SimpleNamespace(**(about | {"stats": ListenStats()} | changes)))


@pytest.mark.parametrize(
    "channels,pace,said",
    [
        (1, None, ""),
        (1, 1.02, ""),
        (2, 0.97, ""),
        (1, 2.01, "--channels 2"),
        (2, 0.5, "--channels 1"),
        (1, 3.0, "--sample-rate"),
        (1, 0.5, "--sample-rate"),
    ],
)
def test_a_format_that_was_guessed_wrong_is_told_by_the_pace(
    channels: int, pace: float | None, said: str
) -> None:
    text = listen_report.doubt(listening(channels=channels, pace=pace))
    assert said in text
    assert bool(text) == bool(said)


def test_levels_are_those_of_each_side() -> None:
    levels = listen_report.Levels()
    assert (levels.now(), levels.overall()) == ([], ([], []))
    sides = np.zeros((320, 2), "<i2")
    sides[:, 1] = np.where(np.arange(320) % 2, 16384, -16384)
    for i in range(50):
        levels.add(chunk(i * 320, channels=2, pcm=sides.tobytes()))
    assert levels.now() == [(None, None), (-6.0, -6.0)]
    for i in range(50, 100):
        levels.add(chunk(i * 320, channels=2, pcm=bytes(1280)))
    assert levels.now() == [(None, None), (None, None)]
    assert levels.overall() == ([None, -6.0], [None, -9.0])
    assert levels.end_ms == 2000


def test_the_meter_shows_each_side_and_what_was_missed() -> None:
    levels = listen_report.Levels()
    levels.add(chunk(0, channels=2, pcm=np.full((320, 2), [16384, 0], "<i2").tobytes()))
    stats = ListenStats(reconnects=1, gap_ms=1300.0)
    call = listening(channels=2, stats=stats, is_connected=False, trouble="answered with status 502")
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(listen_report.meter(call, levels, is_ascii=True))
    shown = console.export_text().splitlines()
    assert shown[0].split("  ") == [
        "0:00",
        "16000 Hz, 2 channels",
        "1 reconnects",
        "1.3 s missed",
        "connecting; answered with status 502",
    ]
    assert shown[1].split() == ["customer", "#" * 27, "-6.0", "dBFS", "peak", "-6.0", "dBFS"]
    assert shown[2].split() == ["assistant", "silent", "peak", "silent"]
    assert "customer -6.0 dBFS" in listen_report.plain_line(call, levels)
