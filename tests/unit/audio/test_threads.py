"""Python's lock: kept for frames, given up for longer work. A stream in use by another thread says so."""

import contextlib
import itertools
import operator
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
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
NEVER_S = 1000.0
ATTEMPTS = 200  # the other thread may come too late for a short piece of work, but not that often
# Rates whose filters no test has had designed.
FRESH = itertools.count(70_001, 2)


@contextlib.contextmanager
def meanwhile(work: Callable[[], object], interval_s: float) -> Iterator[Callable[[], int]]:
    """Do *work* over and over in another thread; yield what tells how often.

    Between two steps of Python, a thread must give up the lock if another has waited for *interval_s*.
    """
    done: list[None] = []
    ended, before_s = threading.Event(), sys.getswitchinterval()

    def run() -> None:
        while not ended.is_set():
            work()
            done.append(None)
            time.sleep(0.0002)

    other = threading.Thread(target=run)
    sys.setswitchinterval(interval_s)
    try:
        other.start()
        yield done.__len__
    finally:
        ended.set()
        other.join()
        sys.setswitchinterval(before_s)


def nothing() -> None:
    pass


def lets_others_run(work: Callable[[], object], n_turns: int = 1) -> bool:
    """Whether another thread comes to its turn *n_turns* times during *work*, where nobody is made to wait."""
    with meanwhile(nothing, NEVER_S) as count:
        for _ in range(ATTEMPTS):
            before = count()
            work()
            if count() >= before + n_turns:
                return True
    return False


def gives_up_the_lock(*calls: Callable[[], object], n_times: int = 20_000) -> bool:
    """Whether any of *calls*, which must be of C, gives up the lock however shortly: another thread waits for it.

    All are made, and turns counted, in one step of Python.
    """
    with meanwhile(nothing, 1e-6) as count:
        before, *_, after = map(operator.call, [count, *calls * n_times, count])
    return after > before


def flushing(stream: Any) -> Callable[[], object]:
    return lambda: (stream.flush(), stream.reset())


def alaw(sample_rate: int) -> AudioFormat:
    return AudioFormat("alaw", sample_rate)


# Little input may become much output, and each of it may be much work. Streams are made before: that gives up the lock.
LONG: dict[str, Callable[[], Callable[[], object]]] = {
    "a long chunk": lambda: partial(Resampler(8000, 16_000).push, bytes(400_000)),
    "a long chunk into": lambda: partial(
        Resampler(8000, 16_000).push_into, bytes(400_000), bytearray(800_000)
    ),
    "a few slow samples": lambda: partial(Resampler(1000, 192_000, quality="high").push, bytes(2000)),
    "codes": lambda: partial(Converter(MULAW, PCM).push, bytes(200_000)),
    "a copy": lambda: partial(Resampler(8000, 8000).push, bytes(4_000_000)),
    "a long tail": lambda: flushing(Resampler(1000, 191_999, quality="high")),
    "codes of a long tail": lambda: flushing(Converter(alaw(1000), alaw(191_999), quality="high")),
    "decoding": lambda: partial(audio.mulaw_decode, bytes(2_000_000)),
    "encoding": lambda: partial(audio.alaw_encode_into, bytes(2_000_000), bytearray(1_000_000)),
}
FRAME = Resampler(8000, 16_000)
SHORT: dict[str, list[Callable[[], object]]] = {
    "a frame": [partial(FRAME.push, bytes(320))],
    "a frame into": [partial(FRAME.push_into, bytes(320), bytearray(640))],
    "a frame of 48 kHz": [partial(Resampler(48_000, 16_000).push, bytes(1920))],
    "codes": [partial(Converter(MULAW, PCM).push, bytes(160))],
    "a tail": [FRAME.flush, FRAME.reset],
    "decoding": [partial(audio.mulaw_decode, bytes(160))],
    "encoding": [partial(audio.alaw_encode_into, bytes(320), bytearray(160))],
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


def test_a_whole_signal_lets_other_threads_run_all_along():
    """More than once: the look for its filter gives up the lock for a moment too."""
    signal = np.zeros(2_000_000, np.float32)
    assert lets_others_run(lambda: resample(signal, 8000, 16_000), n_turns=4)


@pytest.mark.skipif(not IS_LOCKED, reason="this Python has no lock")
@pytest.mark.parametrize("calls", SHORT.values(), ids=SHORT.keys())
def test_a_frame_is_too_short_to_give_up_the_lock(calls):
    assert not gives_up_the_lock(*calls)


@pytest.mark.skipif(not IS_LOCKED, reason="this Python has no lock")
def test_what_gives_up_the_lock_for_a_moment_is_seen():
    assert gives_up_the_lock(partial(time.sleep, 0), n_times=5000)


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

    with meanwhile(intrude, NEVER_S):
        for _ in range(ATTEMPTS):
            assert stream.push(chunk) == alone.push(chunk)
            if told:
                break
    name = type(stream).__name__.lower()
    assert set(told) == {f"the {name} is in use by another thread; give each stream its own"}
    assert stream.flush() == alone.flush()
