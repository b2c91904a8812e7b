"""The thread that writes recordings: never waited for, bounded, and gone when there is nothing to write."""

from __future__ import annotations

import asyncio
import stat
import threading
from collections import Counter
from pathlib import Path

import pytest

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.io import recording as module
from vapimedia.io.pump import now_ns
from vapimedia.io.recording import Recorder, Recording
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.session import CallSession, SessionConfig

MULAW = AudioFormat("mulaw", 8000)
SECOND = b"\x10" * 8000


def session() -> CallSession:
    settings = TwilioSettings(public_url="https://bridge.test", auth=False)
    return CallSession(TwilioDialect(settings), SessionConfig(vapi_format=MULAW), now_ns=now_ns())


def on_the_thread() -> None:
    """Nothing touches a disk on the loop: whoever asks elsewhere fails the recording, and its test."""
    assert threading.current_thread().name == "vapimedia-recorder"


class Disk:
    """A file on a disk that does as told. Opens for one recording after another."""

    def __init__(self, *, has_room: bool = True) -> None:
        self.goes_on = threading.Event()
        self.has_room = has_room
        self.n_bytes = 0
        self.n_closed = 0
        self.path = Path()

    def open(self, path: Path, sample_rate: int, channels: int) -> Disk:
        self.path = path
        on_the_thread()
        assert (sample_rate, channels) == (8000, 2)
        return self

    def append(self, pcm: bytes) -> bool:
        on_the_thread()
        assert self.goes_on.wait(20)
        self.n_bytes += len(pcm)
        return self.has_room

    def flush(self) -> None:
        on_the_thread()

    def close(self) -> None:
        on_the_thread()
        self.n_closed += 1


def say(recording: Recording, seconds: int) -> None:
    tap = recording._session.uplink.tap
    assert tap is not None
    for _ in range(seconds):
        tap.push(SECOND, now_ns())


async def recorder_is_idle(recorder: Recorder) -> None:
    async with asyncio.timeout(10):
        while recorder._thread is not None:
            await asyncio.sleep(0.01)


async def test_a_disk_that_stalls_costs_the_recording_what_does_not_fit_and_the_call_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CLOSE_S", 0.05)
    monkeypatch.setattr(module, "_SETTLE_NS", 0)
    disk = Disk()
    recorder = Recorder(str(tmp_path), Counter().update, open_file=disk.open)
    recording = recorder.take(session())
    recording.begin("twilio", "CA1")
    await asyncio.sleep(0.25)  # by now the thread waits for the disk
    say(recording, 15)
    assert 5000 <= recording.dropped_ms <= 6000
    recording.finish()
    await recorder.close()  # not for ever
    disk.goes_on.set()
    await recorder_is_idle(recorder)
    assert disk.n_closed == 1
    assert disk.n_bytes > 0


async def test_a_disk_that_is_full_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    disk = Disk(has_room=False)
    disk.goes_on.set()
    recorder = Recorder(str(tmp_path), lambda what: counts.update([what]), open_file=disk.open)
    one = session()
    recording = recorder.take(one)
    recording.begin("twilio", "CA1")
    say(recording, 1)
    await recorder_is_idle(recorder)
    await asyncio.sleep(0)
    assert one.uplink.tap is one.downlink.tap is None
    assert counts == {"recording_failed": 1}
    assert disk.n_closed == 1
    recording.finish()
    await recorder.close()


async def test_a_folder_that_goes_away_ends_recordings_only(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    counts: Counter[str] = Counter()
    recorder = Recorder(str(folder), lambda what: counts.update([what]))
    folder.rmdir()
    recording = recorder.take(session())
    recording.begin("twilio", "CA1")
    await recorder_is_idle(recorder)
    await asyncio.sleep(0)
    assert counts == {"recording_failed": 1}
    assert recording.path is None  # nobody is sent looking for it
    with pytest.raises(ConfigError, match="is no folder; make it first"):
        Recorder(str(folder), Counter().update)


@pytest.mark.parametrize(
    ("call_id", "named"),
    [
        ("CA0123", "CA0123"),
        ("../../etc/passwd", "etcpasswd"),
        ("+15005550006", "call"),
        ("\0 \n", "call"),
        ("a" * 100, "a" * 64),
    ],
)
async def test_files_are_private_never_overwritten_and_named_without_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call_id: str, named: str
) -> None:
    monkeypatch.setattr(module.time, "time", lambda: 1_772_619_012.345)
    recorder = Recorder(str(tmp_path), Counter().update)
    for _ in range(2):
        recording = recorder.take(session())
        recording.begin("twilio", call_id)
        recording.finish()
    await recorder.close()
    start = "20260304T101012.345Z-twilio-"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{start}{named}-2.wav",
        f"{start}{named}.wav",
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}
    assert "vapimedia-recorder" not in {thread.name for thread in threading.enumerate()}


async def test_what_was_never_begun_leaves_no_file_and_starts_no_thread(tmp_path: Path) -> None:
    recorder = Recorder(str(tmp_path), Counter().update)
    recorder.take(session()).finish()
    assert recorder._thread is None
    await recorder.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_process_without_room_for_a_thread_ends_recordings_and_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    counts: Counter[str] = Counter()
    recorder = Recorder(str(tmp_path), lambda what: counts.update([what]))
    one = session()
    recording = recorder.take(one)
    recording.begin("twilio", "CA1")
    await asyncio.sleep(0)
    assert counts == {"recording_failed": 1}
    assert one.uplink.tap is one.downlink.tap is None
    assert recording.path is None
    recording.finish()
    await recorder.close()
