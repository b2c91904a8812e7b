"""Judge what came out of a bridge against what went in: frame by frame, or by ear (correlation)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat, Encoding
from vapimedia.testing import sound

__all__ = ["Correlation", "FrameReport", "compare_frames", "correlate", "heard_share", "speech_ratio"]

_LOOK_AHEAD = 24  # frames lost or added in one place before alignment gives up on them
_CONFIRM = 3  # frames that must agree again after a difference
_QUIET_PEAK = 64  # of 32768, -54 dBFS: what a telephone line calls silence
# A sample of silence tells the encoding; the rate does not matter here.
_FORMATS = {AudioFormat(name, 8000).silence[:1]: AudioFormat(name, 8000) for name in get_args(Encoding)}
_RECENT = 8  # how far back a frame still counts as a duplicate


@dataclass
class FrameReport:
    """What became of the expected frames.

    ``lost`` and ``lost_silence`` are expected frames that never came (``lost_silence``: those no ear tells
    from silence, which a bridge may leave out to repay silence it inserted); ``duplicated`` are repeats of a
    recent frame; ``corrupted`` frames are neither expected, nor repeats, nor silence.
    """

    frames_expected: int = 0
    frames_received: int = 0
    matched: int = 0
    lost: int = 0
    lost_silence: int = 0
    duplicated: int = 0
    corrupted: int = 0
    inserted_silence: int = 0

    @property
    def intact(self) -> bool:
        """Nothing that carries sound was lost, repeated or changed."""
        return not (self.lost or self.duplicated or self.corrupted)


class _Alignment:
    def __init__(self, expected: list[bytes], received: list[bytes], silent: bytes) -> None:
        self.expected, self.received, self.silent = expected, received, silent
        self.i = self.j = 0
        self.fmt = _FORMATS.get(silent[:1])
        self.recent: deque[bytes] = deque(maxlen=_RECENT)
        self.report = FrameReport(frames_expected=len(expected), frames_received=len(received))

    def run(self) -> FrameReport:
        while self.i < len(self.expected) and self.j < len(self.received):
            if self.expected[self.i] == self.received[self.j]:
                self.recent.append(self.expected[self.i])
                self.report.matched += 1
                self.i += 1
                self.j += 1
            else:
                self._skip(*self._resync())
        self._skip(len(self.expected) - self.i, len(self.received) - self.j)
        return self.report

    def _is_quiet(self, frame: bytes) -> bool:
        return frame == self.silent or (
            self.fmt is not None
            and int(np.abs(sound.decode(frame, self.fmt).astype(np.int32)).max()) <= _QUIET_PEAK
        )

    def _resync(self) -> tuple[int, int]:
        """Return how many expected and received frames to step over; the cheapest that agrees again."""
        for n_expected, n_received in self._candidates():
            i, j = self.i + n_expected, self.j + n_received
            if i > len(self.expected) or j > len(self.received):
                continue
            wanted = self.expected[i : i + _CONFIRM]
            found = self.received[j : j + _CONFIRM]
            n_both = min(len(wanted), len(found))
            # Near an end fewer frames can confirm; none at all only when both ends are reached together.
            at_end = i == len(self.expected) and j == len(self.received)
            if (n_both and wanted[:n_both] == found[:n_both]) or at_end:
                return n_expected, n_received
        return 1, 1

    def _candidates(self) -> Iterator[tuple[int, int]]:
        silence_run = 0
        while self.received[self.j + silence_run : self.j + silence_run + 1] == [self.silent]:
            silence_run += 1
        for total in range(1, 2 * _LOOK_AHEAD + 1):
            for n_received in range(max(0, total - _LOOK_AHEAD), min(total, _LOOK_AHEAD) + 1):
                yield total - n_received, n_received
            if total == 1 and silence_run > 1:
                # A whole run of inserted silence, however long, is one event.
                for n_expected in range(_LOOK_AHEAD + 1):
                    yield n_expected, silence_run

    def _skip(self, n_expected: int, n_received: int) -> None:
        report = self.report
        gone = self.expected[self.i : self.i + n_expected]
        added = 0
        for frame in self.received[self.j : self.j + n_received]:
            if frame == self.silent:
                report.inserted_silence += 1
            elif frame in self.recent:
                report.duplicated += 1
            else:
                added += 1
        report.corrupted += added
        # A changed frame stands for one that was expected: it is not lost as well.
        gone_sound = sum(not self._is_quiet(frame) for frame in gone)
        gone_silent = len(gone) - gone_sound
        replaced = min(added, gone_sound)
        report.lost += gone_sound - replaced
        report.lost_silence += gone_silent - min(added - replaced, gone_silent)
        self.recent.extend(gone)
        self.i += n_expected
        self.j += n_received


def compare_frames(expected: bytes, received: bytes, frame_bytes: int, silence: bytes) -> FrameReport:
    """Align *received* to *expected* in whole frames and count every difference.

    Both must start at a frame boundary. Whole frames of *silence* (one sample, as ``AudioFormat.silence``)
    may stand anywhere in *received*. A partial last frame of *expected* may be missing, cut, or padded.
    """
    if frame_bytes <= 0 or not silence or frame_bytes % len(silence):
        raise ConfigError(f"{frame_bytes} bytes are not a whole number of {len(silence)}-byte samples")
    silent = silence * (frame_bytes // len(silence))
    wanted, rest = _split(bytes(expected), frame_bytes, silent)
    found, cut = _split(bytes(received), frame_bytes, silent)
    if cut and not any(frame == found[-1] for frame in wanted[-1:]):
        # A call ends anywhere: an unfinished last message counts as whatever expected frame it begins.
        found = _complete(found, wanted, cut)
    if rest and wanted[-1] not in found[-_LOOK_AHEAD:]:
        wanted.pop()
    return _Alignment(wanted, found, silent).run()


def _split(data: bytes, frame_bytes: int, silent: bytes) -> tuple[list[bytes], int]:
    frames = [data[at : at + frame_bytes] for at in range(0, len(data), frame_bytes)]
    cut = len(data) % frame_bytes
    if cut:
        frames[-1] += silent[cut:]
    return frames, cut


def _complete(found: list[bytes], wanted: list[bytes], cut: int) -> list[bytes]:
    head = found[-1][:cut]
    begun = any(frame[:cut] == head for frame in wanted)
    return found[:-1] if begun else found


@dataclass(frozen=True)
class Correlation:
    """Where the needle lies in the haystack: ``peak`` is 1.0 for a perfect copy at any loudness."""

    peak: float
    lag_samples: int


def heard_share(
    speech: npt.ArrayLike,
    recording: npt.ArrayLike,
    sample_rate: int,
    *,
    piece_ms: int = 240,
    peak: float = 0.9,
    fmt: AudioFormat | None = None,
) -> float:
    """Return the share of *speech* that is to be heard in *recording*: 1.0 is all of it.

    Both are int16 or float samples on the scale of int16, or bytes in the format *fmt*, as ``load_clip``
    and ``read_wav`` give them.
    Voiced pieces of *piece_ms* are looked for one by one, so that a gap or a lost frame costs the piece it
    falls into and not the rest. A piece counts when its normalised cross-correlation is at least *peak*.
    """
    samples, heard = _samples(speech, fmt), _samples(recording, fmt)
    n_piece = sample_rate * piece_ms // 1000
    pieces = [samples[at : at + n_piece] for at in range(0, len(samples) - n_piece + 1, n_piece)]
    voiced = [piece for piece in pieces if np.sqrt(np.mean(np.square(piece))) >= sound.SPEECH_RMS]
    if not voiced or len(heard) < n_piece:
        return 0.0
    return sum(correlate(piece, heard).peak >= peak for piece in voiced) / len(voiced)


def correlate(
    needle: npt.ArrayLike, haystack: npt.ArrayLike, *, fmt: AudioFormat | None = None
) -> Correlation:
    """Find *needle* in *haystack* by normalised cross-correlation: int16 or float samples of one rate.

    Bytes (``load_clip``, ``read_wav``) are decoded from *fmt*, without which they raise ``ConfigError``.
    The needle must be no longer than the haystack, or ``ConfigError`` is raised.
    """
    short, long = _samples(needle, fmt), _samples(haystack, fmt)
    if not 0 < len(short) <= len(long):
        raise ConfigError(f"cannot look for {len(short)} samples in {len(long)}")
    size = 1 << (len(short) + len(long) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(long, size) * np.conj(np.fft.rfft(short, size)), size)
    n_lags = len(long) - len(short) + 1
    squares = np.concatenate(([0.0], np.cumsum(np.square(long))))
    energy = squares[len(short) :] - squares[:n_lags]
    # A stretch much quieter than the needle's own level would turn rounding noise into a peak.
    floor = max(float(np.dot(short, short)) * 1e-4, 1e-9)
    scores = product[:n_lags] / np.sqrt(np.maximum(energy, floor) * max(float(np.dot(short, short)), 1e-9))
    lag = int(np.argmax(scores))
    return Correlation(float(scores[lag]), lag)


def _samples(given: npt.ArrayLike, fmt: AudioFormat | None) -> npt.NDArray[np.float64]:
    if isinstance(given, bytes | bytearray):
        if fmt is None:
            raise ConfigError(f"{len(given)} bytes are not samples; pass fmt, the AudioFormat they are in")
        return sound.decode(given, fmt).astype(np.float64)
    try:
        samples = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        samples = np.empty((0, 0))  # numpy's message would quote the whole recording
    if samples.ndim != 1:
        raise ConfigError(
            f"a {type(given).__name__} of this shape is not samples; pass one row of int16 or float samples"
        )
    return samples


def speech_ratio(data: bytes, fmt: AudioFormat) -> float:
    """Return the share of 20 ms frames that hold a voice, 0.0 for no frames."""
    step = fmt.frame_bytes()
    frames = [data[at : at + step] for at in range(0, len(data) - step + 1, step)]
    return sum(sound.is_speech(frame, fmt) for frame in frames) / len(frames) if frames else 0.0
