"""A WAV file that is written while the audio comes, and can be played at any moment."""

from __future__ import annotations

import logging
import os
import struct
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Final, Self

from vapimedia.errors import ConfigError, StateError
from vapimedia.formats import AudioFormat

__all__ = ["WavFile"]

_log = logging.getLogger("vapimedia.io")

_SAMPLE_BYTES: Final = 2
_PCM: Final = 1  # format tag
_MAX_CHANNELS: Final = 2
# RIFF, the room for 64-bit sizes (a JUNK chunk until they are needed), fmt, the head of data.
_HEAD: Final = struct.Struct("<4sI4s 4sIQQQI 4sIHHIIHH 4sI")
_RIFF_AND_SIZE: Final = 8  # the RIFF size counts neither its own name nor itself
_DS64_BYTES: Final = 28
_FMT_BYTES: Final = 16
_IN_DS64: Final = 0xFFFFFFFF  # in a 32-bit size: the real one is 64 bits long, and in ds64
_UNFLUSHED_PARTS: Final = 2  # of a second: what may be in the file without being in its header


class WavFile:
    """Write 16-bit PCM to a new WAV file as it comes. ``with``, or ``close`` it. Blocks for as long as the disk does.

    Samples are counted per channel; *pcm* is interleaved, in little-endian order. The header tells what is
    in the file after each ``flush``, and at least for every half second of audio: whenever the process is
    killed, the file plays. Beyond 4 GiB it becomes an RF64 file (EBU Tech 3306).

    The file is readable by its owner only. Raises ``ConfigError`` if it exists already, unless *overwrite*, or
    cannot be made. Once made, nothing that the disk does raises: ``trouble`` says what went wrong first,
    ``lost_samples`` counts, per channel, what could not be written. Later audio stands at its own time, should it be
    possible again.
    """

    def __init__(
        self, path: str | PathLike[str], sample_rate: int, channels: int = 1, *, overwrite: bool = False
    ) -> None:
        AudioFormat("pcm_s16le", sample_rate)  # judges the rate
        if channels not in range(1, _MAX_CHANNELS + 1):
            raise ConfigError(f"a WAV file has 1 or 2 channels here, not {channels!r}")
        self.path = Path(path)
        self.sample_rate, self.channels = int(sample_rate), int(channels)
        self.trouble = ""
        self.lost_samples = 0
        self._block_bytes = _SAMPLE_BYTES * self.channels  # a sample of each channel
        self._unflushed_samples = self.sample_rate // _UNFLUSHED_PARTS
        self._n_samples = self._told_samples = self._next_sample = 0
        if overwrite and self.path.exists() and not self.path.is_file():
            raise ConfigError(f"cannot write {self.path}: it is no regular file")
        try:
            self._file = open(  # noqa: SIM115  Path.open takes no opener
                self.path, "wb" if overwrite else "xb", buffering=0, opener=_private
            )
        except FileExistsError:
            raise ConfigError(f"{self.path} exists already; choose another name or remove it") from None
        except (OSError, ValueError) as error:
            raise ConfigError(f"cannot write {self.path}: {_why(error)}") from None
        try:
            self._write(0, self._head())
        except OSError as error:
            self._file.close()
            if not overwrite:  # then it is ours, and no file is better than an empty one
                with suppress(OSError):
                    self.path.unlink()
            raise ConfigError(f"cannot write {self.path}: {_why(error)}") from None

    @property
    def n_samples(self) -> int:
        """What a reader finds after ``flush``, per channel."""
        return self._n_samples

    @property
    def position(self) -> int:
        """The sample that ``append`` writes next: where the last write ended, whether it succeeded or not."""
        return self._next_sample

    def write_at(self, at_sample: int, pcm: bytes | bytearray | memoryview) -> bool:
        """Write *pcm* from *at_sample* on, over what is there; what was never written is silence.

        Returns whether all of it is in the file. Raises ``ValueError`` for half a sample, one channel's alone, or a
        negative place.
        """
        with memoryview(pcm) as view, view.cast("B") as data:
            n_samples, rest = divmod(len(data), self._block_bytes)
            if rest or at_sample < 0:
                raise ValueError(
                    f"{len(data)} bytes at sample {at_sample}: write whole samples of all channels, "
                    f"{self._block_bytes} bytes together, from 0 on"
                )
            if self._file.closed:
                raise StateError(f"{self.path} is closed; nothing can be written to it")
            if not n_samples:
                return True
            self._next_sample = at_sample + n_samples
            try:
                self._write(_HEAD.size + at_sample * self._block_bytes, data)
            except (OSError, OverflowError) as error:
                self.lost_samples += n_samples
                self._fails(error)
                return False
        self._n_samples = max(self._n_samples, self._next_sample)
        if self._n_samples - self._told_samples >= self._unflushed_samples:
            self.flush()
        return True

    def append(self, pcm: bytes | bytearray | memoryview) -> bool:
        """Write *pcm* after what was written last. As ``write_at``."""
        return self.write_at(self._next_sample, pcm)

    def flush(self) -> None:
        """Make the header tell all that is in the file: safe from the end of the process, not from a power cut."""
        if self._file.closed or self._told_samples == self._n_samples:
            return
        try:
            # After the audio, never before: the sizes must not promise what is not there.
            self._write(0, self._head())
        except OSError as error:
            self._fails(error)
        else:
            self._told_samples = self._n_samples

    def close(self) -> None:
        """Flush and close. May be called again."""
        self.flush()
        try:
            self._file.close()
        except OSError as error:
            self._fails(error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"WavFile({str(self.path)!r}, {self.sample_rate} Hz, {self.channels} ch, {self._n_samples} samples)"

    def _write(self, at: int, data: bytes | memoryview) -> None:
        self._file.seek(at)
        left = memoryview(data)
        while left:
            # A disk that fills up takes a part first; the next attempt says why.
            left = left[self._file.write(left) or 0 :]

    def _head(self) -> bytes:
        data_bytes = self._n_samples * self._block_bytes
        riff_bytes = _HEAD.size - _RIFF_AND_SIZE + data_bytes
        name, sizes, wide = (b"RIFF", b"JUNK", (0, 0, 0))
        told = (riff_bytes, data_bytes)
        if riff_bytes >= _IN_DS64:
            name, sizes, wide = (b"RF64", b"ds64", (riff_bytes, data_bytes, self._n_samples))
            told = (_IN_DS64, _IN_DS64)
        bytes_per_s = self.sample_rate * self._block_bytes
        fmt = (_PCM, self.channels, self.sample_rate, bytes_per_s, self._block_bytes, 8 * _SAMPLE_BYTES)
        return _HEAD.pack(
            *(name, told[0], b"WAVE"),
            *(sizes, _DS64_BYTES, *wide, 0),
            *(b"fmt ", _FMT_BYTES, *fmt),
            *(b"data", told[1]),
        )

    def _fails(self, error: Exception) -> None:
        if not self.trouble:
            self.trouble = f"cannot write {self.path}: {_why(error)}"
            _log.error("%s", self.trouble)


def _private(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, 0o600)
    if hasattr(os, "fchmod") and flags & os.O_TRUNC:  # an old file keeps its mode otherwise
        os.fchmod(descriptor, 0o600)
    return descriptor


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
