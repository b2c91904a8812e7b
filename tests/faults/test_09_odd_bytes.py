"""An odd number of bytes of pcm_s16le in a message: its last byte is the first half of the next message's sample.

No later sample is shifted, in either direction, at any provider, whatever is dropped between the halves.
"""

from __future__ import annotations

import pytest
from fault_scene import faulty
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import Speaker
from media_feeds import cut, heard_by_page, heard_by_phone, heard_by_vapi, page, ramp
from media_laws import MULAW, PCM_16K, missing_from_ledger_ms
from scene import Leg
from wire import BINARY, on_both_loops

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import LivePath, LivePolicy, PlayoutPolicy

SIZES = (1, 743, 3, 186, 641, 5, 639, 333)
TARGETS = pytest.mark.parametrize("target", [PCM_16K, MULAW, AudioFormat("pcm_s16le", 48_000)], ids=str)
CUTS = st.lists(st.integers(1, 1500), min_size=1, max_size=8)


async def say(leg: Leg, audio: bytes) -> None:
    for message in cut(audio, SIZES):
        await leg.socket.send_bytes(message)


@TARGETS
@settings(max_examples=8, deadline=None)
@given(sizes=CUTS)
def test_a_caller_is_heard_alike_however_the_audio_is_cut(target: AudioFormat, sizes: list[int]) -> None:
    path, audio = LivePath(PCM_16K, target, policy=LivePolicy(paced=False)), ramp(8000)
    heard = b"".join(
        path.open(0) + [frame for message in cut(audio, sizes) for frame in path.feed(message, 0)]
    )
    expected = Converter(PCM_16K, target).push(audio)
    assert heard == expected[: len(expected) // target.frame_bytes() * target.frame_bytes()]


@TARGETS
@pytest.mark.parametrize("is_exact", [False, True])
@settings(max_examples=8, deadline=None)
@given(sizes=CUTS)
def test_an_assistant_is_heard_alike_however_the_audio_is_cut(
    target: AudioFormat, is_exact: bool, sizes: list[int]
) -> None:
    speaker = Speaker(PlayoutPolicy(exact_frames=is_exact), source=PCM_16K, target=target).open()
    audio = ramp(8000)
    speaker.feed(audio[:3201])
    for message in cut(audio[3201:], sizes):
        speaker.wait(len(message) / 32)
        speaker.feed(message)
    expected = Converter(PCM_16K, target).push(audio)
    assert expected.startswith(speaker.heard)
    assert len(expected) - len(speaker.heard) < target.frame_bytes()
    assert missing_from_ledger_ms(speaker.stats) == pytest.approx(0, abs=1e-6 if target == PCM_16K else 0.1)


def test_a_clear_between_the_halves_of_a_sample_shifts_nothing() -> None:
    speaker, audio = Speaker(source=PCM_16K, target=PCM_16K).open(), ramp(3200)
    speaker.feed(audio[:641])
    speaker.path.clear(speaker.now_ns)
    speaker.take()
    for message in (audio[641:1281], audio[1281:]):
        speaker.feed(message)
    # The torn sample is gone, and its place is kept.
    assert speaker.heard[2:] == audio[642:]


@on_both_loops
async def test_a_phone_hears_what_vapi_says_in_odd_messages_as_if_they_were_even() -> None:
    async with faulty(vapi_format="pcm_s16le/16000", prebuffer_ms=200) as scene, scene.call() as (phone, leg):
        audio = ramp(16_000)
        await say(leg, audio)
        expected = Converter(PCM_16K, MULAW).push(audio)
        heard = await heard_by_phone(phone, len(expected) - 200)
        assert expected.startswith(heard)


@on_both_loops
async def test_a_page_and_vapi_hear_each_other_bit_by_bit() -> None:
    audio = ramp(6000)
    settings = {"providers": ("browser",), "public_url": "", "vapi_format": "pcm_s16le/16000"}
    async with faulty(**settings) as scene, page(scene) as (wire, leg):
        await say(leg, audio)
        messages = await heard_by_page(wire, len(audio))
        assert b"".join(messages) == audio
        assert all(len(message) % 2 == 0 for message in messages)  # a page cannot read half a sample
        for message in cut(audio, SIZES):
            wire.frame(BINARY, message)
        at = await heard_by_vapi(leg, audio, b"\0\0")
        assert at >= 0
        assert at % PCM_16K.frame_bytes() == 0
