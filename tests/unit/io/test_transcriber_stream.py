"""A transcriber's stream without a socket: frames do not depend on messages, and nothing is lost unseen."""

from __future__ import annotations

import asyncio

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from vapimedia.audio import Resampler
from vapimedia.io.endpoints.stream import StereoCutter, StereoFrame, TranscriberStream
from vapimedia.protocols.vapi.transcriber import TranscriberStart


def cutter(channels: int, from_hz: int, to_hz: int) -> StereoCutter:
    return StereoCutter(
        channels,
        to_hz,
        20,
        tuple(Resampler(from_hz, to_hz) for _ in range(channels)) if from_hz != to_hz else (),
    )


def stream(max_frames: int = 100, sent: list[bytes] | None = None) -> TranscriberStream:
    async def write(text: bytes) -> bool:
        if sent is None:
            return False
        sent.append(text)
        return True

    return TranscriberStream(
        TranscriberStart(), cutter(2, 16000, 16000), write, sample_rate=16000, max_frames=max_frames, query={}
    )


@hypothesis.given(
    st.integers(0, 3000),
    st.lists(st.integers(1, 700), min_size=1, max_size=8),
    st.sampled_from(
        [(2, 16000, 16000), (2, 16000, 8000), (2, 8000, 16000), (1, 8000, 16000), (1, 8000, 8000)]
    ),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_frames_do_not_depend_on_the_sizes_of_messages(
    n_bytes: int, sizes: list[int], how: tuple[int, int, int]
) -> None:
    audio = (
        np.random.default_rng(n_bytes).integers(-9000, 9000, n_bytes // 2 + 1, np.int16).tobytes()[:n_bytes]
    )
    whole, cut = cutter(*how), cutter(*how)
    frames, at = [], 0
    while at < n_bytes:
        size = sizes[at % len(sizes)]
        frames += cut.push(audio[at : at + size])
        at += size
    assert frames + cut.flush() == whole.push(audio) + whole.flush()


def test_each_channel_is_heard_alone_and_the_last_frame_is_filled_up() -> None:
    customer, assistant = np.arange(400, dtype=np.int16), -np.arange(400, dtype=np.int16)
    both = StereoCutter(2, 16000, 20)
    frames = both.push(np.stack([customer, assistant], axis=1).tobytes()) + both.flush()
    assert [frame.at_ms for frame in frames] == [0, 20]
    assert b"".join(frame.customer for frame in frames) == customer.tobytes().ljust(1280, b"\0")
    assert b"".join(frame.assistant for frame in frames) == assistant.tobytes().ljust(1280, b"\0")


async def test_frames_that_are_not_taken_are_dropped_oldest_first_and_counted() -> None:
    late = stream(max_frames=3)
    late.feed(bytes(1280) * 10)
    late.end()
    assert [frame.at_ms async for frame in late] == [140, 160, 180]
    assert late.dropped_frames == 7


async def test_a_stream_waits_for_audio_and_stops_at_the_end() -> None:
    live = stream()

    async def feed() -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            live.feed(bytes(1280))
        live.end()

    feeding = asyncio.create_task(feed())
    assert len([frame async for frame in live]) == 3
    await feeding


async def test_what_cannot_be_sent_is_counted() -> None:
    sent: list[bytes] = []
    assert await stream(sent=sent).send("hello", channel="assistant", final=False)
    assert b'"transcriptType":"partial"' in sent[0]
    over = stream()
    assert not await over.send("hello")
    assert (over.sent, over.unsent) == (0, 1)


@pytest.mark.parametrize("one", [StereoFrame(b"\1\2", b"\3\4", 20.0)])
def test_repr_shows_no_samples(one: StereoFrame) -> None:
    assert repr(one) == "StereoFrame(2 bytes each, at 20 ms)"
