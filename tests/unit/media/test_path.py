"""Without policies: out comes the converter's output, cut and wrapped; every byte is counted."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_laws import (
    ALAW,
    MS,
    MULAW,
    PCM_8K,
    PCM_16K,
    PCM_24K,
    TEXT_IN,
    TEXT_OUT,
    loud,
    missing_ms,
    silent,
    twilio,
    unwrap,
)

from vapimedia.audio import Converter
from vapimedia.errors import ConfigError, StateError
from vapimedia.formats import AudioFormat
from vapimedia.media import Envelope, LivePath, MediaPath, PlayoutPath

PAIRS = [
    (MULAW, MULAW),
    (MULAW, PCM_16K),
    (PCM_16K, MULAW),
    (ALAW, MULAW),
    (PCM_16K, PCM_16K),
    (PCM_24K, MULAW),
    (MULAW, PCM_24K),
    (PCM_16K, AudioFormat("pcm_s16le", 44_100)),
]
pairs = pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]}-{pair[1]}")


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    """Return *data* in chunks of *sizes*, over and over."""
    chunks, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        chunks.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return chunks


CUTS = st.lists(st.integers(1, 2500), min_size=1, max_size=6)


@pairs
@settings(max_examples=12, deadline=None)
@given(sizes=CUTS)
def test_chunk_boundaries_never_matter(pair: tuple[AudioFormat, AudioFormat], sizes: list[int]) -> None:
    source, target = pair
    audio = loud(source, 700)
    path = MediaPath(source, target)
    frames = [frame for chunk in cut(audio, sizes) for frame in path.feed(chunk, 0)]
    expected = Converter(source, target).push(audio)
    n_whole = len(expected) // target.frame_bytes() * target.frame_bytes()
    assert b"".join(frames) == expected[:n_whole]
    assert {len(frame) for frame in frames} == {target.frame_bytes()}


@pairs
@settings(max_examples=6, deadline=None)
@given(sizes=CUTS)
def test_flush_returns_the_tail_in_whole_frames(
    pair: tuple[AudioFormat, AudioFormat], sizes: list[int]
) -> None:
    source, target = pair
    audio = loud(source, 130)
    path, converter = MediaPath(source, target), Converter(source, target)
    frames = [frame for chunk in cut(audio, sizes) for frame in path.feed(chunk, 0)] + path.flush()
    expected = converter.push(audio) + converter.flush()
    n_padding = -len(expected) % target.frame_bytes()
    assert b"".join(frames) == expected + target.silence * (n_padding // target.bytes_per_sample)
    assert {len(frame) for frame in frames} == {target.frame_bytes()}


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PAIRS[:5]),
    st.lists(
        st.integers(0, 3000).map(lambda n: ("feed", n))
        | st.sampled_from([("clear", 0), ("flush", 0), ("stall", 0), ("go on", 0)]),
        max_size=20,
    ),
    st.booleans(),
)
def test_what_came_in_is_out_or_queued_or_counted(
    pair: tuple[AudioFormat, AudioFormat], steps: list[tuple[str, int]], closes: bool
) -> None:
    source, target = pair
    path, n_out = MediaPath(source, target), 0
    for action, n in steps:
        if action == "feed":
            # Whole samples, and whole pairs of them: an odd one is neither half of an output sample nor none.
            audio = loud(source, n)[: n // 4 * 4]
            n_out += sum(map(len, path.feed(audio, 0)))
        elif action == "clear":
            path.clear()
        elif action == "flush":
            n_out += sum(map(len, path.flush()))
        else:
            path.set_stalled(action == "stall")
    if closes:
        path.close()
        path.feed(loud(source, 20), 0)
    stats = path.stats()
    assert missing_ms(stats) == 0
    assert stats.audio_out_ms == n_out * 1000 / (target.sample_rate * target.bytes_per_sample)


def test_messages_in_and_out_are_counted() -> None:
    path = MediaPath(MULAW, PCM_16K)
    out = [frame for _ in range(3) for frame in path.feed(loud(MULAW, 50), 0)]
    stats = path.stats()
    assert (stats.messages_in, stats.messages_out) == (3, len(out)) == (3, 7)
    assert (stats.audio_in_ms, stats.audio_out_ms, stats.queued_ms) == (150, 140, 10)


def test_a_split_sample_is_carried_to_the_next_message() -> None:
    audio = loud(PCM_16K, 100)
    path = MediaPath(PCM_16K, PCM_8K)
    frames = [frame for chunk in cut(audio, [1, 639, 641, 3]) for frame in path.feed(chunk, 0)]
    assert b"".join(frames) == Converter(PCM_16K, PCM_8K).push(audio)


def test_a_clear_between_the_halves_of_a_sample_keeps_later_samples_whole() -> None:
    audio = loud(PCM_16K, 40)
    path = MediaPath(PCM_16K, PCM_16K)
    path.feed(audio[:101], 0)
    path.clear()
    (frame,) = path.feed(audio[101:], 0)[:1]
    assert frame[2:] == audio[102 : 100 + len(frame)]
    assert frame[1:2] == audio[101:102]  # its first half was dropped by the clear


def test_a_flush_drops_half_a_sample_and_starts_anew() -> None:
    audio = loud(PCM_16K, 20)
    path = MediaPath(PCM_16K, PCM_16K)
    path.feed(audio[:101], 0)
    path.flush()
    assert path.feed(audio, 0) == [audio]


def test_a_60_kb_message_is_taken_whole() -> None:
    audio = loud(MULAW, 7500)
    text = MediaPath(MULAW, PCM_16K, unwrap=TEXT_IN)
    binary = MediaPath(MULAW, PCM_16K)
    assert b"".join(text.feed(twilio(audio), 0)) == Converter(MULAW, PCM_16K).push(audio)
    assert b"".join(binary.feed(audio, 0)) == Converter(MULAW, PCM_16K).push(audio)


@pytest.mark.parametrize("n", [*range(764, 773), 1535, 1536, 1537])
def test_payloads_around_the_size_of_a_piece_are_taken_whole(n: int) -> None:
    audio = loud(MULAW, 200)[:n]
    path = MediaPath(MULAW, MULAW, unwrap=TEXT_IN)
    assert b"".join(path.feed(twilio(audio), 0) + path.flush())[:n] == audio


@pytest.mark.parametrize("unwrap", [None, TEXT_IN])
def test_an_empty_payload_is_invalid_and_harmless(unwrap: Envelope | None) -> None:
    path = MediaPath(MULAW, MULAW, unwrap=unwrap)
    assert path.feed(twilio(b"") if unwrap else b"", 0) == []
    stats = path.stats()
    assert (stats.messages_in, stats.invalid, stats.audio_in_ms) == (0, 1, 0)


@pytest.mark.parametrize(
    "payload",
    ["A", "AAA", "AA=A", "=AAA", "====", "AA==AAAA", "A===", "AA-_", "AA A", "A" * 1203 + "*", "AA==" * 300],
)
def test_invalid_base64_is_left_to_the_caller_and_nothing_of_it_is_taken(payload: str) -> None:
    path = MediaPath(MULAW, MULAW, unwrap=TEXT_IN)
    message = f'{{"event":"media","media":{{"payload":"{payload}"}}}}'.encode()
    assert path.feed(message, 0) == []
    stats = path.stats()
    assert (stats.messages_in, stats.invalid, stats.audio_in_ms, stats.queued_ms) == (0, 1, 0, 0)


@settings(max_examples=60)
@given(st.text("AB+/=-_ ", max_size=12) | st.binary(max_size=9).map(lambda b: base64.b64encode(b).decode()))
def test_what_is_taken_is_what_strict_base64_decodes(payload: str) -> None:
    path = MediaPath(MULAW, MULAW, unwrap=TEXT_IN)
    path.feed(f'{{"event":"media","media":{{"payload":"{payload}"}}}}'.encode(), 0)
    try:
        # Python lets too much padding pass.
        audio = base64.b64decode(payload, validate=True) if len(payload) % 4 == 0 else b""
    except ValueError:
        audio = b""
    assert path.stats().audio_in_ms == len(audio) / 8


def test_foreign_media_is_counted_and_dropped() -> None:
    path = MediaPath(MULAW, MULAW, unwrap=TEXT_IN)
    assert path.feed(twilio(loud(MULAW, 20), stream="MZ2"), 0) == []
    assert (path.stats().foreign, path.stats().messages_in, path.stats().invalid) == (1, 0, 0)


def test_take_leaves_to_the_caller_what_the_path_cannot_read() -> None:
    path = MediaPath(MULAW, MULAW, unwrap=TEXT_IN)
    audio = loud(MULAW, 20)
    assert path.take(twilio(audio), 0) == [audio]
    assert path.take(twilio(audio, stream="MZ2"), 0) == []
    bad_base64 = b'{"event":"media","media":{"payload":"%%%%"},"streamSid":"MZ1"}'
    for message in (b'{"event":"stop"}', b"{", b"", bad_base64):
        assert path.take(message, 0) is None
    stats = path.stats()
    assert (stats.messages_in, stats.foreign, stats.invalid) == (1, 1, 0)
    assert MediaPath(MULAW, MULAW).take(audio, 0) == [audio]


def test_media_is_told_from_what_is_not() -> None:
    path = MediaPath(MULAW, MULAW, unwrap=TEXT_IN)
    assert path.is_media(twilio(b"x"))
    assert path.is_media(twilio(b"x", stream="MZ2"))
    assert not path.is_media(b'{"event":"stop"}')
    assert MediaPath(MULAW, MULAW).is_media(b"anything")


@settings(max_examples=30)
@given(st.binary(min_size=160, max_size=160), st.binary(max_size=255), st.binary(max_size=255))
def test_a_message_is_prefix_base64_suffix(frame: bytes, prefix: bytes, suffix: bytes) -> None:
    path = MediaPath(MULAW, MULAW, wrap=Envelope(text=True, prefix=prefix, suffix=suffix))
    assert path.feed(frame, 0) == [prefix + base64.b64encode(frame) + suffix]


def test_the_way_of_wrapping_may_come_late() -> None:
    path = MediaPath(PCM_16K, MULAW)
    assert path.sends == "binary"
    path.set_wrap(TEXT_OUT)
    assert path.sends == "text"
    (message,) = path.feed(loud(PCM_16K, 20), 0)
    assert unwrap(message) == Converter(PCM_16K, MULAW).push(loud(PCM_16K, 20))


def test_messages_are_their_own_memory() -> None:
    path = MediaPath(MULAW, MULAW)
    first = path.feed(loud(MULAW, 20), 0)[0]
    before = bytes(bytearray(first))
    path.feed(silent(MULAW, 200), 0)
    assert first == before


def test_clear_returns_what_it_dropped_and_starts_anew() -> None:
    path = MediaPath(PCM_16K, MULAW)
    path.feed(loud(PCM_16K, 35), 0)
    assert path.clear() == 15
    stats = path.stats()
    assert (stats.cleared_ms, stats.clears, stats.queued_ms) == (15, 1, 0)
    frame = loud(PCM_16K, 20, seed=1)
    assert path.feed(frame, 0) == [Converter(PCM_16K, MULAW).push(frame)]


def test_close_counts_what_is_left_and_what_still_comes() -> None:
    path = MediaPath(MULAW, PCM_16K)
    path.feed(loud(MULAW, 30), 0)
    path.close()
    assert path.feed(loud(MULAW, 20), 0) == []
    assert path.stats().dropped_closed_ms == 30
    assert path.next_due_ns is None
    with pytest.raises(StateError, match="closed"):
        path.flush()


def test_closing_twice_counts_once() -> None:
    path = MediaPath(MULAW, MULAW)
    path.feed(loud(MULAW, 30), 0)
    path.close()
    path.close()
    assert path.stats().dropped_closed_ms == 10


def test_the_wait_in_the_queue_is_measured_from_the_oldest_byte() -> None:
    path = MediaPath(MULAW, MULAW)
    path.feed(loud(MULAW, 10), 1 * MS)
    path.feed(loud(MULAW, 10), 9 * MS)
    hop = path.stats().queue
    assert hop is not None
    assert (hop.count, hop.max_us) == (1, 8000)


@pytest.mark.parametrize("arguments", [{"quality": "best"}, {"ptime_ms": 0}, {"ptime_ms": -20}], ids=str)
def test_wrong_settings_are_config_errors(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        MediaPath(MULAW, MULAW, **arguments)  # type: ignore[arg-type]


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(TypeError):
        MediaPath(MULAW, MULAW, ptime=20)  # type: ignore[call-arg]


@pytest.mark.parametrize("ptime_ms", [10, 30, 60])
def test_frames_may_have_another_length(ptime_ms: int) -> None:
    frames = MediaPath(MULAW, PCM_16K, ptime_ms=ptime_ms).feed(loud(MULAW, 120), 0)
    assert {len(frame) for frame in frames} == {ptime_ms * 32}
    assert len(frames) == 120 // ptime_ms


def test_a_path_takes_formats_and_not_their_names() -> None:
    with pytest.raises(TypeError, match="AudioFormat"):
        MediaPath("mulaw/8000", MULAW)  # type: ignore[arg-type]


def test_the_paths_tell_at_run_time_what_they_do() -> None:
    for public in (MediaPath, LivePath, PlayoutPath, MediaPath.feed, PlayoutPath.mark_played):
        assert public.__doc__
