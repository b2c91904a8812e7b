"""The demo's verdict finds what was lost, late or left open."""

from __future__ import annotations

import io
import random

import msgspec
import pytest
from rich.console import Console

from vapimedia.audio import Converter
from vapimedia.cli.demo_judge import Direction, Figures, Payload, Spoken, judge, judge_downlink, judge_uplink
from vapimedia.cli.demo_lines import LeftOpen, Result
from vapimedia.cli.demo_report import figures_table
from vapimedia.formats import AudioFormat
from vapimedia.media import HopStats, PathStats
from vapimedia.session.events import CallSummary

MULAW = AudioFormat("mulaw", 8000)
PCM = AudioFormat("pcm_s16le", 16_000)
SILENT = b"\xff" * 160
HOP = HopStats(count=100, p50_us=1.0, p99_us=10.0, max_us=20.0)
PATH = PathStats(audio_out_ms=1000.0, codec_delay_ms=4.0, convert=HOP, queue=HOP, send=HOP)


def voice(n_frames: int, seed: int = 1) -> bytes:
    """Return frames of noise: every one differs from every other."""
    return random.Random(seed).randbytes(160 * n_frames)


def result_of(**changes: object) -> Result:
    summary = CallSummary(
        call_id="CA1",
        vapi_call_id="v1",
        provider="twilio",
        created_ns=0,
        started_ns=0,
        ended_ns=1,
        duration_ms=1000.0,
        end_reason="vapi_ended",
        counters={},
        uplink=PATH,
        downlink=PATH,
        barge_ins=1,
    )
    whole = Result([summary], loop="uvloop", cpu_ms=10.0, loop_lag=None, left_open=LeftOpen())
    return msgspec.structs.replace(whole, **changes)


def verdict(
    result: Result | None = None,
    *,
    uplink: Direction | None = None,
    barge_ins_ms: tuple[float | None, ...] = (20.0,),
) -> Figures:
    good = Direction(expected=50)
    return judge(result or result_of(), uplink or good, good, barge_ins_ms=barge_ins_ms, vapi_format=MULAW)


def test_a_good_call_has_no_reasons() -> None:
    figures = verdict()
    assert figures.ok and figures.reasons == []


def test_cpu_is_shared_by_the_frames_of_both_directions() -> None:
    figures = verdict()
    assert (figures.frames, figures.cpu_us_per_frame) == (100, 100.0)


def test_the_object_holds_what_other_tools_read() -> None:
    names = {"frames_lost", "frames_duplicated", "barge_in_ms", "codec_delay_ms", "cpu_us_per_frame", "hops"}
    assert names <= msgspec.json.decode(msgspec.json.encode(verdict())).keys()


@pytest.mark.parametrize("what", ["lost", "duplicated", "corrupted"])
def test_every_kind_of_damage_is_a_reason(what: str) -> None:
    figures = verdict(uplink=Direction(expected=50, **{what: 1}))
    assert not figures.ok and what in figures.reasons[0]


def test_no_audio_at_all_is_a_reason() -> None:
    assert not verdict(uplink=Direction()).ok


@pytest.mark.parametrize("barge_ins_ms", [(), (None,), (20.0, None), (100.1,)])
def test_a_barge_in_that_never_worked_or_was_slow_is_a_reason(barge_ins_ms: tuple[float | None, ...]) -> None:
    assert not verdict(barge_ins_ms=barge_ins_ms).ok


def test_a_slow_queue_is_a_reason() -> None:
    slow = msgspec.structs.replace(PATH, queue=msgspec.structs.replace(HOP, p99_us=300_000.0))
    [summary] = result_of().summaries
    result = result_of(summaries=[msgspec.structs.replace(summary, uplink=slow)])
    assert "uplink queue" in verdict(result).reasons[0]


@pytest.mark.parametrize("what", ["calls", "tasks", "sockets"])
def test_what_is_left_open_is_a_reason(what: str) -> None:
    assert what in verdict(result_of(left_open=LeftOpen(**{what: 2}))).reasons[0]


@pytest.mark.parametrize("count,said", [(1, "1 call"), (2, "2 calls")])
def test_what_is_left_open_is_counted_in_words(count: int, said: str) -> None:
    assert verdict(result_of(left_open=LeftOpen(calls=count))).reasons == [f"left open in the bridge: {said}"]


@pytest.mark.parametrize("speed,label", [(1.0, "inside speech"), (4.0, "--fast: no cushion")])
def test_gaps_of_a_fast_demo_are_labelled(speed: float, label: str) -> None:
    console = Console(file=io.StringIO(), width=120)
    console.print(figures_table(msgspec.structs.replace(verdict(), speed=speed)))
    (line,) = (line for line in console.file.getvalue().splitlines() if "gaps heard" in line)
    assert label in line


def test_a_bridge_without_a_summary_is_a_reason_and_not_an_error() -> None:
    assert not verdict(result_of(summaries=[])).ok


@pytest.mark.parametrize("vapi_format", [MULAW, PCM])
def test_an_untouched_uplink_loses_nothing(vapi_format: AudioFormat) -> None:
    sent = voice(30)
    received = vapi_format.silence * 320 + Converter(MULAW, vapi_format).push(sent)
    found = judge_uplink(sent, received, vapi_format, 0)
    assert (found.lost, found.duplicated, found.corrupted) == (0, 0, 0)


def test_a_frame_missing_from_the_uplink_is_lost() -> None:
    sent = voice(30)
    assert judge_uplink(sent, sent[: 160 * 10] + sent[160 * 11 :], MULAW, 0).lost == 1


def test_missing_silence_is_lost_beyond_what_is_excused() -> None:
    sent = voice(5) + SILENT * 10 + voice(5, seed=2)
    received = voice(5) + SILENT * 6 + voice(5, seed=2)
    assert judge_uplink(sent, received, MULAW, 4).lost == 0
    assert judge_uplink(sent, received, MULAW, 1).lost == 3


@pytest.mark.parametrize("vapi_format", [MULAW, PCM])
def test_a_downlink_in_pieces_of_any_size_loses_nothing(vapi_format: AudioFormat) -> None:
    one, two = (Converter(MULAW, vapi_format).push(voice(10, seed)) for seed in (1, 2))
    heard = Converter(vapi_format, MULAW).push(one + two)
    payloads = [Payload(heard[at : at + 371], 100 + at) for at in range(0, len(heard), 371)]
    found = judge_downlink([Spoken(one, 50, False), Spoken(two, 1000, False)], payloads, vapi_format)
    assert (found.lost, found.duplicated, found.corrupted) == (0, 0, 0)


def test_the_unheard_end_of_an_interrupted_utterance_is_not_lost() -> None:
    one, two = voice(10, 1), voice(10, 2)
    payloads = [Payload(one[: 160 * 6], 110), Payload(two, 210)]
    found = judge_downlink([Spoken(one, 100, True), Spoken(two, 200, False)], payloads, MULAW)
    assert (found.expected, found.lost, found.corrupted) == (16, 0, 0)


def test_a_hole_in_an_interrupted_utterance_is_lost() -> None:
    one = voice(20)
    payloads = [Payload(one[: 160 * 3] + one[160 * 4 : 160 * 12], 110)]
    assert judge_downlink([Spoken(one, 100, True)], payloads, MULAW).lost == 1


def test_a_repeated_payload_is_duplicated() -> None:
    one = voice(10)
    payloads = [Payload(one[: 160 * 4], 1), Payload(one[160 * 3 :], 2)]
    assert judge_downlink([Spoken(one, 0, False)], payloads, MULAW).duplicated == 1
