"""Python's lock: kept for frames, given up for longer work. A stream in use by another thread says so."""

import contextlib
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from vapimedia import audio
from vapimedia.audio import Converter, Resampler, resample
from vapimedia.audio.resampler import resample_lines
from vapimedia.errors import StateError
from vapimedia.formats import AudioFormat
from vapimedia.media import MediaPath

MULAW, PCM = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)
IS_LOCKED = getattr(sys, "_is_gil_enabled", lambda: True)()
ATTEMPTS = 200  # the other thread may come too late for a short piece of work, but not that often
# Rates whose filters no test has had designed.
FRESH = itertools.count(70_001, 2)


@contextlib.contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[Callable[[], int]]:
    """Do *work* over and over in another thread, which is told how often.

    Neither thread is made to give up Python's lock: each runs only while the other does so by itself.
    """
    n_done, ended, interval = 0, threading.Event(), sys.getswitchinterval()

    def run() -> None:
        nonlocal n_done
        while not ended.is_set():
            work()
            n_done += 1
            time.sleep(0.0002)

    other = threading.Thread(target=run)
    sys.setswitchinterval(1000)
    try:
        other.start()
        yield lambda: n_done
    finally:
        ended.set()
        other.join()
        sys.setswitchinterval(interval)


def lets_others_run(work: Callable[[], object]) -> bool:
    with meanwhile(lambda: None) as count:
        for _ in range(ATTEMPTS):
            before = count()
            work()
            if count() > before:
                return True
    return False


def pushing(stream: Any, n_bytes: int) -> Callable[[], object]:
    chunk = bytes(n_bytes)
    return lambda: stream.push(chunk)


def pushing_into(stream: Any, n_bytes: int) -> Callable[[], object]:
    chunk, out = bytes(n_bytes), bytearray(4 * n_bytes)
    return lambda: stream.push_into(chunk, out)


def flushing(stream: Any) -> Callable[[], object]:
    return lambda: (stream.flush(), stream.reset())


def calling(function: Callable[..., object], *arguments: object) -> Callable[[], object]:
    return lambda: function(*arguments)


def alaw(sample_rate: int) -> AudioFormat:
    return AudioFormat("alaw", sample_rate)


# Little input may become much output, and each of it may be much work. Streams are made before: that gives up the lock.
LONG: dict[str, Callable[[], Callable[[], object]]] = {
    "a long chunk": lambda: pushing(Resampler(8000, 16_000), 400_000),
    "a long chunk into": lambda: pushing_into(Resampler(8000, 16_000), 400_000),
    "a few slow samples": lambda: pushing(Resampler(1000, 192_000, quality="high"), 2000),
    "codes": lambda: pushing(Converter(MULAW, PCM), 200_000),
    "a copy": lambda: pushing(Resampler(8000, 8000), 4_000_000),
    "a long tail": lambda: flushing(Resampler(1000, 191_999, quality="high")),
    "codes of a long tail": lambda: flushing(Converter(alaw(1000), alaw(191_999), quality="high")),
    "a signal": lambda: calling(resample, np.zeros(100_000, np.float32), 8000, 16_000),
    "decoding": lambda: calling(audio.mulaw_decode, bytes(2_000_000)),
    "encoding": lambda: calling(audio.alaw_encode_into, bytes(2_000_000), bytearray(1_000_000)),
}
SHORT: dict[str, Callable[[], Callable[[], object]]] = {
    "a frame": lambda: pushing(Resampler(8000, 16_000), 320),
    "a frame into": lambda: pushing_into(Resampler(8000, 16_000), 320),
    "a frame of 48 kHz": lambda: pushing(Resampler(48_000, 16_000), 1920),
    "codes": lambda: pushing(Converter(MULAW, PCM), 160),
    "a tail": lambda: flushing(Resampler(8000, 16_000)),
    "decoding": lambda: calling(audio.mulaw_decode, bytes(160)),
    "encoding": lambda: calling(audio.alaw_encode, bytes(320)),
}


def design_alone(from_hz: int) -> None:
    """The filter of a whole signal is designed before lengths are compared: here no sample is worked on."""
    with pytest.raises(ValueError, match="do not become"):
        resample_lines(np.zeros(9, np.int16), np.zeros(0, np.int16), from_hz, 8000, "high")


DESIGN: dict[str, Callable[[int], object]] = {
    "Resampler": lambda hz: Resampler(hz, 8000, quality="high"),
    "Converter": lambda hz: Converter(alaw(hz), MULAW, quality="high"),
    "resample": design_alone,
    "MediaPath": lambda hz: MediaPath(alaw(hz), MULAW, quality="high"),
}


@pytest.mark.parametrize("make", LONG.values(), ids=LONG.keys())
def test_long_work_lets_other_threads_run(make):
    assert lets_others_run(make())


@pytest.mark.parametrize("design", DESIGN.values(), ids=DESIGN.keys())
def test_the_design_of_a_filter_lets_other_threads_run(design):
    assert lets_others_run(lambda: design(next(FRESH)))


@pytest.mark.skipif(not IS_LOCKED, reason="this Python has no lock")
@pytest.mark.parametrize("make", SHORT.values(), ids=SHORT.keys())
def test_frames_are_too_short_to_let_other_threads_run(make):
    assert not lets_others_run(make())


@pytest.mark.parametrize("use", ["push", "push_into"])
@pytest.mark.parametrize(
    ("make", "n_samples"),
    [
        (lambda: Resampler(8000, 16_000), 100_000),
        (lambda: Resampler(1000, 192_000, quality="high"), 1000),
        (lambda: Converter(PCM, MULAW), 100_000),
    ],
    ids=["resampler", "slow resampler", "converter"],
)
def test_a_stream_in_use_by_another_thread_says_so_and_goes_on(make, n_samples, use):
    stream, alone = make(), make()
    chunk = np.random.default_rng(3).integers(-9000, 9000, n_samples).astype("<i2").tobytes()
    told = []

    def intrude() -> None:
        try:
            stream.push(b"") if use == "push" else stream.push_into(b"", bytearray())
        except StateError as error:
            told.append(str(error))

    with meanwhile(intrude):
        for _ in range(ATTEMPTS):
            assert stream.push(chunk) == alone.push(chunk)
            if told:
                break
    name = type(stream).__name__.lower()
    assert set(told) == {f"the {name} is in use by another thread; give each stream its own"}
    assert stream.flush() == alone.flush()
