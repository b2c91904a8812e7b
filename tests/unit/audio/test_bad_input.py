"""What is no input is refused in a sentence that names it, and the object goes on as if it had not been given."""

from __future__ import annotations

import array
import ctypes
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vapimedia import audio
from vapimedia.audio import Converter, FrameSlicer, Resampler, StereoSplitter, resample
from vapimedia.errors import ConfigError, VapimediaError
from vapimedia.formats import AudioFormat

MULAW, PCM = AudioFormat("mulaw", 8000), AudioFormat("pcm_s16le", 16_000)
FRAME = np.random.default_rng(7).integers(-20_000, 20_000, 320).astype("<i2").tobytes()

STREAMS: dict[str, Callable[[], Any]] = {
    "resampler": lambda: Resampler(16_000, 8000),
    "copying resampler": lambda: Resampler(16_000, 16_000),
    "converter": lambda: Converter(PCM, MULAW),
    "copying converter": lambda: Converter(PCM, PCM),
}
G711_INTO = [
    audio.mulaw_decode_into,
    audio.alaw_decode_into,
    audio.mulaw_encode_into,
    audio.alaw_encode_into,
]
streams = pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS.keys())


def read_only(n_bytes: int) -> np.ndarray:
    array = np.zeros(n_bytes, np.uint8)
    array.flags.writeable = False
    return array


def released() -> memoryview:
    view = memoryview(bytes(8))
    view.release()
    return view


SCATTERED = {
    "array": (np.zeros(64, np.int16)[::2], r"ndarray of strides \(4,\) .* not C-contiguous"),
    "backward array": (np.zeros(64, np.int16)[::-1], r"strides \(-2,\)"),
    "columns": (np.zeros((8, 4), np.int16, order="F"), r"strides \(2, 16\)"),
    "memoryview": (memoryview(bytearray(64))[::2], r"memoryview of strides \(2,\)"),
    "released memoryview": (released(), "released memoryview"),
}
scattered = pytest.mark.parametrize(("given", "why"), SCATTERED.values(), ids=SCATTERED.keys())
NO_BUFFERS = ["text", 5, None, [1, 2], 2.5, object()]
NO_SAMPLES = r"bytes-like|-byte items of format '.*', expected bytes"
NO_PCM = [
    *(np.zeros(8, kind) for kind in ("f4", "i4", "f8", "f2", ">i2", ">u2", "?", "S2", "S1", "i1,i1", "c8")),
    array.array("f", range(8)),
    (ctypes.c_int16.__ctype_be__ * 8)(),
]
SAMPLES = np.frombuffer(FRAME, "<i2")
SPELLINGS = {
    "bytearray": bytearray(FRAME),
    "memoryview": memoryview(FRAME),
    "characters": memoryview(FRAME).cast("c"),
    "array of shorts": array.array("h", FRAME),
    "array of bytes": array.array("b", FRAME),
    "samples of C": (ctypes.c_int16 * 320).from_buffer_copy(FRAME),
    "bytes of C": (ctypes.c_ubyte * 640).from_buffer_copy(FRAME),
    "int16": SAMPLES,
    "odd address": np.frombuffer(b"\x00" + FRAME, np.uint8)[1:].view("<i2"),
    "row": SAMPLES.reshape(1, 320),
    "column": SAMPLES.reshape(320, 1),
    **{kind: SAMPLES.view(kind) for kind in ("=i2", "u2", "i1", "u1")},
}


class Judged:
    """A stream in the middle of its work, half a sample carried, beside one that is left in peace."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self.stream, self.untroubled = make(), make()
        self.goes_on(FRAME[:321])

    def goes_on(self, chunk: bytes = FRAME) -> None:
        assert self.stream.push(chunk) == self.untroubled.push(chunk)

    def refuses(self, error: type[Exception], match: str, call: Callable[[Any], object]) -> None:
        with pytest.raises(error, match=match):
            call(self.stream)
        self.goes_on()
        assert self.stream.flush() == self.untroubled.flush()


@streams
@scattered
def test_scattered_chunks_are_refused(make, given, why):
    Judged(make).refuses(BufferError, why, lambda stream: stream.push(given))
    Judged(make).refuses(BufferError, why, lambda stream: stream.push_into(given, bytearray(999)))


@streams
@pytest.mark.parametrize("shape", [(160, 2), (2, 160), (4, 5, 16)])
def test_several_channels_are_refused(make, shape):
    match = re.escape(f"got an array of shape {shape}, expected (n,): a stream is mono")
    given = np.zeros(shape, np.uint8)
    Judged(make).refuses(ValueError, match, lambda stream: stream.push(given))
    Judged(make).refuses(ValueError, match, lambda stream: stream.push_into(given, bytearray(999)))


@pytest.mark.parametrize(
    ("call", "given", "advice"),
    [
        (Resampler(8000, 16_000).push, np.zeros(8, np.float32), r"\(array \* 32767\)\.astype\('int16'\)"),
        (audio.mulaw_decode, np.zeros(8, np.int16), "16-bit samples become codes by mulaw_encode"),
        (Converter(MULAW, PCM).push, np.zeros(8, np.int16), "16-bit samples become codes by mulaw_encode"),
        (Resampler(8000, 16_000).push, np.zeros(8, np.int32), "convert them to int16"),
    ],
)
def test_the_refusal_tells_what_would_be_right(call, given, advice):
    with pytest.raises(TypeError, match=advice):
        call(given)


@streams
@pytest.mark.parametrize("given", NO_BUFFERS + NO_PCM, ids=repr)
def test_chunks_that_are_no_samples_are_refused(make, given):
    Judged(make).refuses(TypeError, NO_SAMPLES, lambda stream: stream.push(given))
    Judged(make).refuses(TypeError, NO_SAMPLES, lambda stream: stream.push_into(given, bytearray(999)))


@streams
@pytest.mark.parametrize("given", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_bytes_and_samples_are_taken_in_any_spelling(make, given):
    expected = make().push(FRAME)
    assert make().push(given) == expected
    if make is STREAMS["converter"]:  # to codes, which are bytes
        out = bytearray(1280)
    elif isinstance(given, np.ndarray):
        out = np.zeros(1280 // given.itemsize, given.dtype)
    elif isinstance(given, array.array):
        out = array.array(given.typecode, bytes(1280))
    else:
        out = (ctypes.c_int16 * 640)() if isinstance(given, ctypes.Array) else bytearray(1280)
    make().push_into(FRAME, out)
    assert bytes(memoryview(out).cast("B"))[: len(expected)] == expected


@streams
@scattered
def test_scattered_outputs_are_refused(make, given, why):
    Judged(make).refuses(BufferError, f"{why}|read-only", lambda stream: stream.push_into(FRAME, given))


@streams
@pytest.mark.parametrize("out", [bytes(999), read_only(999), memoryview(bytes(999))], ids=repr)
def test_read_only_outputs_are_refused_and_left_alone(make, out):
    name = type(out).__name__
    why = f"cannot write into a read-only {name}; pass a bytearray or a writable contiguous array"
    Judged(make).refuses(BufferError, why, lambda stream: stream.push_into(FRAME, out))
    assert bytes(out) == bytes(999)


@streams
@pytest.mark.parametrize("out", NO_BUFFERS + NO_PCM, ids=repr)
def test_outputs_that_hold_no_samples_are_refused(make, out):
    Judged(make).refuses(TypeError, NO_SAMPLES, lambda stream: stream.push_into(FRAME, out))


@streams
def test_small_outputs_are_refused_and_left_alone(make):
    judged = Judged(make)
    n_needed = len(make().push(FRAME))
    out = bytearray(n_needed - 1)
    judged.refuses(
        ValueError,
        f"the output holds {n_needed - 1} bytes, {n_needed} are needed",
        lambda stream: stream.push_into(FRAME, out),
    )
    assert not any(out)


@streams
@pytest.mark.parametrize("n", [-1, 2**40 + 1, 2**70])
def test_lengths_that_no_chunk_has_are_refused(make, n):
    Judged(make).refuses(ValueError, f"{n} is no length", lambda stream: stream.max_output(n))


@streams
@pytest.mark.parametrize("n", [1.5, 320.0, "320", None])
def test_lengths_that_are_no_whole_numbers_are_refused(make, n):
    Judged(make).refuses(TypeError, "integer", lambda stream: stream.max_output(n))


@streams
def test_lengths_may_be_numpys(make):
    assert make().max_output(np.int64(320)) == make().max_output(320)


@pytest.mark.parametrize(
    "rate_hz",
    [0, -8000, 999, 192_001, 10**30, True, np.True_, 8000.0, np.float64(8000), float("nan"), "8000", None],
)
def test_wrong_rates_are_refused(rate_hz):
    told = re.escape(f"{rate_hz!r} is not a whole number of Hz in 1000..192000")
    for make in (Resampler, lambda a, b: resample(np.zeros(8, np.int16), a, b)):
        with pytest.raises(ValueError, match=f"from_hz {told}"):
            make(rate_hz, 16_000)
        with pytest.raises(ValueError, match=f"to_hz {told}"):
            make(16_000, rate_hz)


@pytest.mark.parametrize("kind", [np.int64, np.uint16, np.int32])
def test_whole_rates_may_be_numpys(kind):
    stream, same = Resampler(kind(8000), kind(16_000)), Resampler(8000, 16_000)
    assert (stream.from_hz, stream.to_hz, repr(stream)) == (8000, 16_000, repr(same))
    assert stream.push(FRAME) == same.push(FRAME)
    assert len(resample(SAMPLES, kind(8000), kind(16_000))) == 640


@pytest.mark.parametrize("rate_hz", [0, -8000, 999, 192_001, 10**30, True, 999.5, 8000.0, "8000", None])
def test_wrong_rates_make_no_format(rate_hz):
    with pytest.raises(ValueError, match=r"is not a whole number of Hz in 1000\.\.192000"):
        AudioFormat("mulaw", rate_hz)


@pytest.mark.parametrize("quality", ["best", "", None, 3, b"high"])
def test_unknown_presets_are_refused(quality):
    for make in (
        lambda: Resampler(8000, 16_000, quality=quality),
        lambda: Converter(MULAW, PCM, quality=quality),
        lambda: resample(np.zeros(8, np.int16), 8000, 16_000, quality=quality),
    ):
        with pytest.raises(ValueError, match=re.escape(f"{quality!r}; known are telephone, balanced, high")):
            make()


def test_wrong_settings_are_errors_of_the_package_and_of_values():
    with pytest.raises(ConfigError) as caught:
        Resampler(8000, 0)
    assert isinstance(caught.value, VapimediaError)
    assert isinstance(caught.value, ValueError)


def refuses_to_slice(given: object, error: type[Exception], match: str) -> None:
    """Before and after the refusal the same bytes are pending, and the slicer goes on."""
    slicer = FrameSlicer(MULAW)
    slicer.push(bytes(7))
    for push in (slicer.push, slicer.push_views):
        with pytest.raises(error, match=match):
            push(given)
    assert slicer.pending_bytes == 7
    assert slicer.push(FRAME[:153]) == [bytes(7) + FRAME[:153]]


@scattered
def test_scattered_chunks_are_not_sliced(given, why):
    refuses_to_slice(given, BufferError, why)


@pytest.mark.parametrize("given", NO_BUFFERS + NO_PCM, ids=repr)
def test_chunks_that_are_no_samples_are_not_sliced(given):
    refuses_to_slice(given, TypeError, NO_SAMPLES)


@pytest.mark.parametrize("ptime_ms", [0, -20, 1001, 10**9, 2.5, "20"])
def test_frames_of_absurd_lengths_are_refused(ptime_ms):
    with pytest.raises(ValueError, match=rf"ptime_ms {ptime_ms!r} is not a whole number in 1\.\.1000"):
        FrameSlicer(MULAW, ptime_ms=ptime_ms)


@pytest.mark.parametrize("function", G711_INTO)
@pytest.mark.parametrize(
    "given", [np.zeros(64, np.uint8)[::2], memoryview(bytearray(64))[::2]], ids=["array", "view"]
)
def test_g711_refuses_scattered_memory(function, given):
    with pytest.raises(BufferError, match=r"strides \(2,\) .* not C-contiguous"):
        function(given, bytearray(999))
    with pytest.raises(BufferError, match=r"strides \(2,\) .* not C-contiguous"):
        function(FRAME, given)


@pytest.mark.parametrize("function", G711_INTO)
def test_g711_refuses_outputs_that_it_cannot_write(function):
    for out in (bytes(999), read_only(999)):
        with pytest.raises(BufferError, match=f"cannot write into a read-only {type(out).__name__}"):
            function(FRAME, out)
        assert not any(out)
    with pytest.raises(TypeError, match="bytes-like"):
        function(FRAME, "text")
    for out in (np.zeros(999), np.zeros(999, "?")):
        with pytest.raises(TypeError, match=f"{out.itemsize}-byte items of format '.', expected bytes"):
            function(FRAME, out)


@pytest.mark.parametrize(
    ("made", "signature"),
    [
        (Resampler, "(from_hz, to_hz, *, quality='balanced')"),
        (Converter, "(source, target, *, quality='balanced')"),
        (FrameSlicer, "(fmt, *, ptime_ms=20)"),
        (StereoSplitter, "()"),
    ],
)
def test_constructors_tell_what_they_take(made, signature):
    assert str(inspect.signature(made)) == signature
