"""No Python object is made, and no Python memory asked for, while media passes."""

from __future__ import annotations

import sysconfig

import pytest
from media_laws import MS, MULAW, PCM_16K, TEXT_IN, TEXT_OUT, loud, twilio

from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope, LivePath, MediaPath, PlayoutPath, ReorderPath
from vapimedia.media._probe import count_allocations

N = 50

pytestmark = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="allocators cannot be swapped without the GIL"
)


def frames(fmt: AudioFormat) -> list[bytes]:
    return [loud(fmt, 20, seed=i) for i in range(N)]


def run(path: MediaPath, messages: list[bytes], *, is_text: bool, n_out: int) -> None:
    assert count_allocations(path, messages, is_text, 20 * MS, 20 * MS) == (0, N, n_out)


def test_the_counter_counts() -> None:
    n_calls, _, _ = count_allocations(None, [], False, 0, 0)
    assert n_calls >= 4  # two objects made and dropped


@pytest.mark.parametrize(("vapi", "n_bytes"), [(MULAW, 160), (PCM_16K, 640)], ids=str)
@pytest.mark.parametrize("is_text", [True, False])
def test_uplink_media_makes_no_object(vapi: AudioFormat, n_bytes: int, is_text: bool) -> None:
    path = LivePath(MULAW, vapi, unwrap=TEXT_IN if is_text else None)
    path.open(0)
    path.due(20 * MS)  # the frame of silence before the first media
    messages = [twilio(audio) for audio in frames(MULAW)] if is_text else frames(MULAW)
    run(path, messages, is_text=is_text, n_out=N * n_bytes)


def test_media_out_of_order_makes_no_object() -> None:
    path = ReorderPath(
        MULAW, MULAW, unwrap=Envelope(text=True, payload=("media", "payload"), number=("chunk",))
    )
    path.open(0)
    path.due(20 * MS)
    numbers = [1] + [number for at in range(2, 49, 4) for number in (at + 1, at + 3, at + 2, at)] + [N]
    messages = [
        twilio(audio).replace(b"{", b'{"chunk":%d,' % number, 1)
        for audio, number in zip(frames(MULAW), numbers, strict=True)
    ]
    run(path, messages, is_text=True, n_out=N * 160)
    assert path.stats(0).reordered == 24


@pytest.mark.parametrize("vapi", [MULAW, PCM_16K], ids=str)
@pytest.mark.parametrize("is_text", [True, False])
def test_downlink_media_makes_no_object(vapi: AudioFormat, is_text: bool) -> None:
    path = PlayoutPath(vapi, MULAW, wrap=TEXT_OUT if is_text else None)
    path.open(0)
    path.feed(loud(vapi, 140), 20 * MS)  # with its cushion
    n_message = len(twilio_out(b"\0" * 160)) if is_text else 160
    run(path, frames(vapi), is_text=False, n_out=N * n_message)


def twilio_out(audio: bytes) -> bytes:
    path = MediaPath(MULAW, MULAW, wrap=TEXT_OUT)
    return path.feed(audio, 0)[0]


def test_foreign_media_and_broken_text_make_no_object() -> None:
    path = LivePath(MULAW, PCM_16K, unwrap=TEXT_IN)
    path.open(0)
    texts = [twilio(b"x" * 160, stream="MZ2"), b'{"event":"stop"}', b"\xff{", b"", twilio(b"")]
    n_calls, n_taken, _ = count_allocations(path, texts, True, 20 * MS, 0)
    assert (n_calls, n_taken) == (0, 2)


def test_inserted_silence_and_bursts_make_no_object() -> None:
    path = LivePath(MULAW, PCM_16K)
    path.open(0)
    # An empty message is no media: the pause before it is filled.
    messages = [loud(MULAW, 400, seed=i) if i % 2 else b"" for i in range(N)]
    n_calls, n_taken, n_out = count_allocations(path, messages, False, 20 * MS, 1500 * MS)
    assert (n_calls, n_taken) == (0, N)
    assert n_out > N // 2 * 400 * 32
    assert path.stats().inserted_silence_ms > 0
