from __future__ import annotations

import errno
import io
import os
import signal
import stat
import struct
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.errors import ConfigError, StateError
from vapimedia.io.wav_file import WavFile


def read(path: Path) -> tuple[int, int, bytes]:
    with wave.open(str(path), "rb") as file:
        assert file.getsampwidth() == 2
        return file.getframerate(), file.getnchannels(), file.readframes(file.getnframes())


writes = st.tuples(
    st.sampled_from(["write_at", "append", "flush"]), st.integers(0, 2000), st.binary(max_size=400)
)


@settings(max_examples=40, deadline=None)
@given(channels=st.integers(1, 2), steps=st.lists(writes, max_size=12))
def test_after_each_flush_a_reader_finds_what_was_written_and_silence_between(
    tmp_path_factory: pytest.TempPathFactory, channels: int, steps: list[tuple[str, int, bytes]]
) -> None:
    path, width = tmp_path_factory.mktemp("wav") / "a.wav", 2 * channels
    model, at = bytearray(), 0
    with WavFile(path, 1000, channels) as file:
        for what, at_sample, data in steps:
            pcm = data[: len(data) // width * width]
            if what == "flush":
                file.flush()
                assert read(path) == (1000, channels, bytes(model))
                continue
            at = at if what == "append" else at_sample
            assert file.append(pcm) if what == "append" else file.write_at(at_sample, pcm)
            if pcm:
                model.extend(bytes(max(0, at * width + len(pcm) - len(model))))
                model[at * width : at * width + len(pcm)] = pcm
                at += len(pcm) // width
            else:
                at = file.position
            told = read(path)[2]  # without a flush: a part of it, at most half a second less
            assert len(model) - len(told) < 500 * width
            assert file.n_samples * width == len(model)
    assert read(path) == (1000, channels, bytes(model))


class Watched(io.FileIO):
    """A disk that takes a few bytes at a time, and looks after each what a kill at that moment would leave."""

    def write(self, data: object) -> int:
        n_bytes = super().write(bytes(data)[:97])  # type: ignore[call-overload]
        told = struct.unpack_from("<4sI", Path(str(self.name)).read_bytes(), 72)
        assert told[0] == b"data"
        assert told[1] <= os.fstat(self.fileno()).st_size - 80
        return n_bytes


def test_at_no_moment_does_the_header_promise_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with WavFile(path, 1000) as file:
        file._file.close()
        file._file = Watched(path, "r+b")
        for at_sample in (0, 100, 2000, 50):
            file.write_at(at_sample, b"ab" * 300)
            file.flush()
    assert len(read(path)[2]) == 2300 * 2


def test_a_process_that_is_killed_leaves_a_file_that_plays(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    code = (
        "import sys; from vapimedia.io.wav_file import WavFile\n"
        "file = WavFile(sys.argv[1], 8000, 2)\n"
        "while True: file.append(b'abcd' * 160)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)])
    until = time.monotonic() + 30
    while (not path.exists() or path.stat().st_size < 100_000) and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rate, channels, pcm = read(path)
    assert (rate, channels) == (8000, 2)
    assert pcm == b"abcd" * (len(pcm) // 4)
    assert 0 <= path.stat().st_size - 80 - len(pcm) <= 4000 * 4 + 640


def test_the_file_is_for_its_owner_and_is_never_overwritten_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"precious" * 100)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match=r"a\.wav exists already"):
        WavFile(path, 8000)
    assert path.read_bytes() == b"precious" * 100
    WavFile(path, 8000, overwrite=True).close()
    assert read(path) == (8000, 1, b"")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("rate", "channels", "name"),
    [(0, 1, "a.wav"), (8000, 3, "a.wav"), (8000, 1, "no/a.wav"), (8000, 1, "a\0.wav"), (8000, 1, ".")],
)
def test_what_cannot_be_made_is_told_before_anything_is(
    tmp_path: Path, rate: int, channels: int, name: str
) -> None:
    with pytest.raises(ConfigError):
        WavFile(tmp_path / name, rate, channels)
    with pytest.raises(ConfigError):
        WavFile("/dev/full", 8000, overwrite=True)
    assert list(tmp_path.iterdir()) == []


class Disk(io.FileIO):
    """A disk that has room up to ``limit``."""

    limit = 1 << 40

    def write(self, data: object) -> int:
        part = bytes(data)[: max(0, self.limit - self.tell())]  # type: ignore[call-overload]
        if not part:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(part)


def test_a_full_disk_is_told_once_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.wav"
    file = WavFile(path, 8000)
    file._file.close()
    disk = file._file = Disk(path, "r+b")
    assert file.append(b"ab" * 100)
    disk.limit = 80 + 300
    assert not file.append(b"cd" * 100)
    assert not file.append(b"ef" * 100)
    assert (file.n_samples, file.lost_samples, file.position) == (100, 200, 300)
    assert "No space left" in file.trouble
    file.flush()
    assert read(path)[2] == b"ab" * 100  # the part of what failed is not told
    disk.limit = 1 << 40
    assert file.append(b"gh" * 100)  # there is room again: later audio stands at its time
    file.close()
    pcm = read(path)[2]
    assert (len(pcm), pcm[:200], pcm[600:]) == (800, b"ab" * 100, b"gh" * 100)
    assert [record.getMessage() for record in caplog.records] == [file.trouble]


def test_beyond_4_gib_the_sizes_are_64_bits_long(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with WavFile(path, 16000, 2) as file:
        file.write_at((1 << 32) // 4 - 20, b"abcd")  # the last that fits, with the header's 72 bytes
        file.flush()
        with path.open("rb") as raw:
            assert raw.read(4) == b"RIFF"
        file.write_at((1 << 32) // 4 + 7, b"abcd")  # a hole on the disk, not 4 GiB
        file.flush()
    with path.open("rb") as raw:
        head = raw.read(80)
    n_bytes = (1 << 32) + 8 * 4
    assert head[:20] == b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0"
    assert struct.unpack_from("<QQQ", head, 20) == (n_bytes + 72, n_bytes, n_bytes // 4)
    assert head[72:] == b"data\xff\xff\xff\xff"
    assert path.stat().st_size == n_bytes + 80


def test_half_a_sample_and_a_closed_file_are_the_callers_mistakes(tmp_path: Path) -> None:
    file = WavFile(tmp_path / "a.wav", 8000, 2)
    for at_sample, pcm in [(0, b"abc"), (-1, b"abcd")]:
        with pytest.raises(ValueError, match="write whole samples"):
            file.write_at(at_sample, pcm)
    file.close()
    file.close()
    file.flush()
    with pytest.raises(StateError, match="is closed"):
        file.append(b"abcd")


def test_a_disk_without_room_for_a_header_keeps_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_file: WavFile, _at: int, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(WavFile, "_write", full)
    with pytest.raises(ConfigError, match="No space left"):
        WavFile(tmp_path / "a.wav", 8000)
    assert list(tmp_path.iterdir()) == []
