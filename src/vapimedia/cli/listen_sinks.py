"""Where the audio of ``vapimedia listen`` goes: WAV files, or raw samples for another program."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from pathlib import Path
from typing import Final, Protocol

from vapimedia.errors import ConfigError
from vapimedia.io.listen_items import AudioChunk
from vapimedia.io.wav_file import WavFile

__all__ = ["NoSink", "RawSink", "Sink", "WavSink"]

_MAX_QUEUED: Final = 500  # pieces that wait for the other program, some 10 s of a call
_MAX_SILENCE_BYTES: Final = 1 << 16
_LAST_WRITE_S: Final = 2.0


class Sink(Protocol):
    """Takes audio in order; whatever happens to it there raises nothing."""

    @property
    def trouble(self) -> str:
        """What went wrong first; empty if nothing did."""

    @property
    def is_broken(self) -> bool:
        """Whether nothing more can come through."""

    @property
    def lost_ms(self) -> float:
        """How much audio could not be written."""

    def take(self, chunk: AudioChunk) -> None:
        """Write *chunk* at its time."""

    def flush(self) -> None:
        """Make sure of what was written so far."""

    def close(self) -> None:
        """Finish."""


class NoSink:
    """Keeps nothing."""

    trouble = ""
    is_broken = False
    lost_ms = 0.0

    def take(self, chunk: AudioChunk) -> None:
        """Let it pass."""

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class WavSink:
    """Writes *path* as the audio comes; another format in the middle of the call begins ``path-2.wav``."""

    is_broken = False

    def __init__(self, path: Path, *, overwrite: bool) -> None:
        self._path, self._overwrite = path, overwrite
        self._from_sample = 0
        self._refused = ""
        self.files: list[WavFile] = []

    @property
    def trouble(self) -> str:
        """What the disk said first."""
        return next((file.trouble for file in self.files if file.trouble), self._refused)

    @property
    def lost_ms(self) -> float:
        """How much audio could not be written."""
        return sum(1000 * file.lost_samples / file.sample_rate for file in self.files)

    def take(self, chunk: AudioChunk) -> None:
        """Write *chunk* at its time."""
        last = self.files[-1] if self.files else None
        if last is None or (last.sample_rate, last.channels) != (chunk.sample_rate, chunk.channels):
            if self._refused:
                return
            number = len(self.files) + 1
            path = self._path if last is None else self._path.with_stem(f"{self._path.stem}-{number}")
            try:
                file = WavFile(path, chunk.sample_rate, chunk.channels, overwrite=self._overwrite)
            except ConfigError as error:
                self._refused = str(error)
                return
            if last is not None:
                last.close()
            self.files.append(file)
            self._from_sample = chunk.at_sample if last is not None else 0
        self.files[-1].write_at(chunk.at_sample - self._from_sample, chunk.pcm)

    def flush(self) -> None:
        """Make the header tell all that is there."""
        if self.files:
            self.files[-1].flush()

    def close(self) -> None:
        """Finish the file."""
        if self.files:
            self.files[-1].close()


class RawSink:
    """Writes samples to a descriptor, from a thread: a reader that is slow, or stops, holds up nothing here."""

    trouble = ""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._pieces: queue.Queue[bytes | None] = queue.Queue(_MAX_QUEUED)
        self._next_sample = 0
        self._sample_rate = 0
        self.is_broken = False
        self.lost_ms = 0.0
        self._thread = threading.Thread(target=self._write, name="vapimedia-raw", daemon=True)
        self._thread.start()

    def take(self, chunk: AudioChunk) -> None:
        """Write *chunk*, and before it silence for what is missing; count it as lost if the reader is too slow."""
        if chunk.sample_rate != self._sample_rate:  # the same place, in the new rate's samples
            self._next_sample = round(self._next_sample * chunk.sample_rate / (self._sample_rate or 1))
            self._sample_rate = chunk.sample_rate
        block_bytes = 2 * chunk.channels
        n_missing = (chunk.at_sample - self._next_sample) * block_bytes if self._next_sample else 0
        while n_missing > 0:
            n_bytes = min(n_missing, _MAX_SILENCE_BYTES)
            if not self._put(bytes(n_bytes)):
                self.lost_ms += 1000 * n_missing / (block_bytes * chunk.sample_rate)
                break
            n_missing -= n_bytes
        self._next_sample = chunk.at_sample + chunk.n_samples
        if not self._put(chunk.pcm):
            self.lost_ms += chunk.duration_ms

    def flush(self) -> None:
        """Do nothing: nothing is kept."""

    def close(self) -> None:
        """Wait a moment for the reader."""
        with contextlib.suppress(queue.Full):
            self._pieces.put(None, timeout=_LAST_WRITE_S)
            self._thread.join(_LAST_WRITE_S)

    def _put(self, piece: bytes) -> bool:
        try:
            self._pieces.put_nowait(piece)
        except queue.Full:
            return False
        return True

    def _write(self) -> None:
        while (piece := self._pieces.get()) is not None:
            left = memoryview(piece)
            while left and not self.is_broken:
                try:
                    left = left[os.write(self._descriptor, left) :]
                except OSError:  # the reader has gone
                    self.is_broken = True
