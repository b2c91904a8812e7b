"""The judge's own laws: it counts exactly the edits that were made, and nothing else."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat
from vapimedia.testing import sound
from vapimedia.testing.clips import CLIPS, load_clip
from vapimedia.testing.verify import FrameReport, compare_frames, correlate, heard_share, speech_ratio
from vapimedia.testing.wav import read_wav, write_wav

MULAW = AudioFormat("mulaw", 8000)
SIZE = 8
SILENT = b"\xff" * SIZE


def frames(count: int, seed: int = 1) -> list[bytes]:
    draw = random.Random(seed)
    return [bytes([index % 251, index // 251]) + draw.randbytes(SIZE - 2) for index in range(count)]


def compare(expected: list[bytes], received: list[bytes]) -> FrameReport:
    return compare_frames(b"".join(expected), b"".join(received), SIZE, b"\xff")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_edit_is_counted_and_only_it(data: st.DataObject) -> None:
    sent = frames(60, data.draw(st.integers(0, 999)))
    for quiet in data.draw(st.lists(st.integers(0, 59), max_size=20)):
        sent[quiet] = SILENT
    spots = sorted(data.draw(st.sets(st.sampled_from(range(3, 57, 6)), max_size=8)))
    got: list[bytes] = []
    wanted = {"lose": 0, "repeat": 0, "change": 0, "quiet": 0}
    for index, frame in enumerate(sent):
        got.append(frame)
        if index not in spots or frame == SILENT:
            continue
        edit = data.draw(st.sampled_from(sorted(wanted)))
        wanted[edit] += 1
        if edit == "lose":
            got.pop()
        elif edit == "repeat":
            got.append(frame)
        elif edit == "change":
            got[-1] = frame[:-1] + bytes([frame[-1] ^ 1])
        else:
            got.extend([SILENT] * data.draw(st.integers(1, 1)))
    report = compare(sent, got)
    counted = (report.lost, report.duplicated, report.corrupted, report.inserted_silence)
    assert counted == tuple(wanted[edit] for edit in ("lose", "repeat", "change", "quiet"))
    assert report.lost_silence == 0


@settings(max_examples=30, deadline=None)
@given(at=st.integers(0, 40), length=st.integers(1, 400))
def test_a_run_of_inserted_silence_is_tolerated_at_any_length(at: int, length: int) -> None:
    sent = frames(40)
    report = compare(sent, sent[:at] + [SILENT] * length + sent[at:])
    assert report.intact
    assert (report.inserted_silence, report.matched) == (length, 40)


@settings(max_examples=30, deadline=None)
@given(at=st.integers(0, 30), length=st.integers(1, 10))
def test_a_lost_run_is_counted_frame_by_frame(at: int, length: int) -> None:
    sent = frames(40)
    report = compare(sent, sent[:at] + sent[at + length :])
    assert (report.lost, report.corrupted, report.duplicated) == (length, 0, 0)


def test_silence_left_out_is_told_apart_from_lost_sound() -> None:
    sent = [*frames(5), *[SILENT] * 4, *frames(5, seed=2)]
    report = compare(sent, sent[:6] + sent[8:])
    assert (report.lost, report.lost_silence) == (0, 2)


@pytest.mark.parametrize("fmt", [MULAW, AudioFormat("pcm_s16le", 16000)], ids=str)
def test_a_frame_of_line_noise_left_out_counts_as_silence(fmt: AudioFormat) -> None:
    voice = sound.tone(fmt, 200, hz=431.0)
    noise = sound.encode(
        np.random.default_rng(2).integers(-60, 60, fmt.sample_rate // 50).astype(np.int16), fmt
    )
    report = compare_frames(voice + noise + voice[::-1], voice + voice[::-1], fmt.frame_bytes(), fmt.silence)
    assert (report.lost, report.lost_silence) == (0, 1)


def test_equal_streams_have_no_findings() -> None:
    sent = frames(50)
    assert compare(sent, sent) == FrameReport(frames_expected=50, frames_received=50, matched=50)


def test_nothing_received_is_everything_lost() -> None:
    assert compare(frames(7), []).lost == 7


def test_a_shift_by_one_byte_corrupts_everything() -> None:
    sent = b"".join(frames(30))
    assert compare_frames(sent, b"\x00" + sent, SIZE, b"\xff").corrupted > 25


@pytest.mark.parametrize("tail", [b"", b"abc", b"abc" + b"\xff" * 5, b"ab"])
def test_a_partial_last_frame_may_be_missing_cut_or_padded(tail: bytes) -> None:
    sent = b"".join(frames(10))
    report = compare_frames(sent + b"abc", sent + tail, SIZE, b"\xff")
    assert report.intact


def test_a_stream_cut_inside_a_frame_has_no_corrupted_frame() -> None:
    sent = b"".join(frames(10))
    report = compare_frames(sent, sent[: 7 * SIZE + 3], SIZE, b"\xff")
    assert (report.corrupted, report.lost) == (0, 3)


def test_a_frame_of_half_samples_is_refused() -> None:
    with pytest.raises(ConfigError, match="whole number"):
        compare_frames(b"", b"", 7, b"\0\0")


def test_a_quieter_noisy_copy_is_found_at_its_place() -> None:
    clip = sound.decode(load_clip("ask_monday", MULAW), MULAW)
    noise = np.random.default_rng(1).normal(0, 60, 40_000)
    noise[12_345 : 12_345 + len(clip)] += clip * 0.4
    found = correlate(clip, noise)
    assert found.peak > 0.9
    assert found.lag_samples == 12_345


def test_another_voice_does_not_correlate() -> None:
    other = sound.decode(load_clip("monday_hours", MULAW), MULAW)
    assert correlate(sound.decode(load_clip("ask_monday", MULAW), MULAW), other).peak < 0.5


def test_speech_ratio_tells_speech_from_silence() -> None:
    assert speech_ratio(load_clip("greeting", MULAW), MULAW) > 0.6
    assert speech_ratio(b"\xff" * 8000, MULAW) == 0.0
    assert speech_ratio(b"", MULAW) == 0.0


@pytest.mark.parametrize("name", ["mulaw/8000", "alaw/8000", "pcm_s16le/16000"])
def test_wav_files_read_back_as_written(name: str, tmp_path) -> None:
    fmt = AudioFormat.parse(name)
    data = load_clip("ask_sunday", fmt)[:1002]
    write_wav(tmp_path / "a.wav", fmt, data + b"\0" * (fmt.bytes_per_sample - 1))
    assert read_wav(tmp_path / "a.wav") == (fmt, data)


def test_files_that_are_not_mono_wav_are_refused(tmp_path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"RIFFxxxxWAVE")
    with pytest.raises(ConfigError, match="holds no audio"):
        read_wav(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="not a WAV"):
        read_wav(path)


def test_clips_are_small_and_loud_in_every_format() -> None:
    assert sum(len(load_clip(name, MULAW)) for name in CLIPS) < 300_000
    for name in CLIPS:
        narrow = sound.decode(load_clip(name, MULAW), MULAW)
        wide_fmt = AudioFormat("pcm_s16le", 16000)
        wide = sound.decode(load_clip(name, wide_fmt), wide_fmt)
        assert len(wide) == 2 * len(narrow)
        assert correlate(narrow, wide[::2]).peak > 0.99


def test_an_unknown_clip_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="greeting"):
        load_clip("nope", MULAW)


def test_g711_of_the_fakes_round_trips_every_code() -> None:
    codes = bytes(range(256))
    for fmt in (MULAW, AudioFormat("alaw", 8000)):
        again = sound.encode(sound.decode(codes, fmt), fmt)
        assert again == (codes.replace(b"\x7f", b"\xff") if fmt == MULAW else codes)


def test_heard_share_survives_gaps_and_notices_missing_words() -> None:
    clip = sound.decode(load_clip("greeting", MULAW), MULAW)
    gap = np.zeros(160, np.int16)
    assert heard_share(clip, np.concatenate([gap, clip[:9000], gap, clip[9000:]]), 8000) > 0.8
    assert heard_share(clip, clip[: len(clip) // 2], 8000) < 0.7
    assert heard_share(clip, np.zeros(100), 8000) == 0.0


def test_bytes_are_judged_in_the_format_they_are_in() -> None:
    clip = load_clip("greeting", MULAW)
    assert heard_share(clip, bytearray(clip), 8000, fmt=MULAW) == 1.0
    assert correlate(clip[800:8000], clip, fmt=MULAW).lag_samples == 800


@pytest.mark.parametrize("wrong", [b"\xff" * 9000, (MULAW, b"\xff" * 9000), "ff" * 4000, np.zeros((9, 9))])
def test_what_is_not_samples_is_one_short_sentence(wrong: object) -> None:
    clip = sound.decode(load_clip("greeting", MULAW), MULAW)
    for judge in (lambda: heard_share(clip, wrong, 8000), lambda: correlate(clip, wrong)):
        with pytest.raises(ConfigError, match="samples") as caught:
            judge()
        assert len(str(caught.value)) < 120
