"""Short, long and irregular messages are cut anew, exactly: all samples are there, in whole frames where frames must
be, and none is held back for longer than a frame (20 ms)."""

from __future__ import annotations

import pytest
from fault_scene import faulty
from hypothesis import given, settings
from hypothesis import strategies as st
from media_drivers import Line, Speaker
from media_feeds import FIELD_SIZES, TWILIO_SIZES, cut, heard_by_phone, heard_by_vapi, noise
from media_laws import MULAW, PCM_16K, missing_from_ledger_ms, missing_ms
from scene import media
from wire import on_both_loops

from vapimedia.audio import Converter
from vapimedia.formats import AudioFormat
from vapimedia.media import PlayoutPolicy

FRAME = MULAW.frame_bytes()
SIZES = pytest.mark.parametrize("sizes", [(118,), (25,), (2048,), TWILIO_SIZES, FIELD_SIZES], ids=str)
EXACT = PlayoutPolicy(exact_frames=True)


@SIZES
@pytest.mark.parametrize("target", [MULAW, PCM_16K], ids=str)
def test_a_caller_in_irregular_messages_is_heard_in_whole_frames_within_20_ms(
    sizes: tuple[int, ...], target: AudioFormat
) -> None:
    line = Line(target=target).open()
    audio, ratio = noise(24_000), target.sample_rate * target.bytes_per_sample // 8000
    line.feed(audio[:4000])  # what lies ahead of the silence before the call
    n_fed, heard = 4000, b"".join(line.out)
    for message in cut(audio[4000:], sizes):
        line.wait(len(message) / 8)
        line.feed(message)
        n_fed += len(message)
        heard = b"".join(line.out)
        assert 0 <= n_fed * ratio - len(heard) < target.frame_bytes()
    assert {len(frame) for frame in line.out} == {target.frame_bytes()}
    assert Converter(MULAW, target).push(audio).startswith(heard)
    stats = line.stats
    assert stats.inserted_silence_ms == stats.dropped_flood_ms == 0
    assert missing_ms(stats) == pytest.approx(0, abs=1e-6)


@SIZES
@pytest.mark.parametrize("policy", [PlayoutPolicy(), EXACT], ids=["any size", "exact"])
def test_an_assistant_in_irregular_messages_is_heard_exactly_and_within_20_ms(
    sizes: tuple[int, ...], policy: PlayoutPolicy
) -> None:
    audio, speaker = noise(40_000), Speaker(policy).open()
    # As if it spoke: a message comes when all of it has been said. The cushion covers what the longest takes.
    speaker.feed(audio[:4000])
    n_fed = 4000
    for message in cut(audio[4000:], sizes):
        speaker.wait(len(message) / 8)
        speaker.feed(message)
        n_fed += len(message)
        assert 0 <= n_fed - len(speaker.heard) < FRAME
    if policy.exact_frames:
        assert set(speaker.sizes) == {FRAME}
    assert audio.startswith(speaker.heard)
    speaker.end()
    speaker.wait(5000)
    assert speaker.heard.rstrip(MULAW.silence) == audio
    assert len(speaker.heard) - len(audio) < FRAME
    assert missing_from_ledger_ms(speaker.stats) == pytest.approx(0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(170, 743), min_size=1, max_size=20), exact=st.booleans())
def test_sizes_of_the_field_in_any_order_lose_no_sample(sizes: list[int], exact: bool) -> None:
    audio, speaker = noise(12_000), Speaker(EXACT if exact else PlayoutPolicy()).open()
    speaker.feed(audio[:2000])
    for message in cut(audio[2000:], sizes):
        speaker.wait(len(message) / 8)
        speaker.feed(message)
    speaker.end()
    speaker.wait(3000)
    assert speaker.heard.rstrip(MULAW.silence) == audio


@on_both_loops
async def test_both_ears_hear_all_samples_of_irregular_messages() -> None:
    async with faulty() as scene, scene.call() as (phone, leg):
        up, down = noise(12_000), noise(12_000, seed=2)
        for message in cut(up, TWILIO_SIZES):
            phone.text(media(message))
        for message in cut(down, FIELD_SIZES):
            await leg.socket.send_bytes(message)
        assert await heard_by_phone(phone, len(down)) == down
        at = await heard_by_vapi(leg, up, MULAW.silence)
        assert at >= 0
        assert at % FRAME == len(leg.audio) % FRAME == 0
        uplink = scene.bridge.calls[0].summary().uplink
        assert uplink is not None
        assert uplink.audio_in_ms == 1500
        assert uplink.dropped_flood_ms == uplink.dropped_closed_ms == 0
