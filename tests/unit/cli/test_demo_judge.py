"""The demo's verdict finds what was lost, late or left open."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from vapimedia.cli.demo_compare import Direction
from vapimedia.cli.demo_judge import MAX_MESSAGES_AHEAD, Delivery, Figures, judge
from vapimedia.cli.demo_legs import leg_of
from vapimedia.cli.demo_lines import LeftOpen, Result
from vapimedia.cli.demo_report import figures_table
from vapimedia.formats import AudioFormat
from vapimedia.media import HopStats, PathStats
from vapimedia.session.events import CallSummary

MULAW = AudioFormat("mulaw", 8000)
NOTHING_COUNTED = Delivery()
HOP = HopStats(count=100, p50_us=1.0, p99_us=10.0, max_us=20.0)
PATH = PathStats(audio_out_ms=1000.0, codec_delay_ms=4.0, convert=HOP, queue=HOP, send=HOP)


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
    downlink: Direction | None = None,
    barge_ins_ms: tuple[float | None, ...] = (20.0,),
    provider: str = "twilio",
    delivery: Delivery = NOTHING_COUNTED,
    speed: float = 1.0,
) -> Figures:
    good = Direction(expected=50)
    return judge(
        result or result_of(),
        uplink or good,
        downlink or good,
        leg=leg_of(provider),
        delivery=delivery,
        barge_ins_ms=barge_ins_ms,
        vapi_format=MULAW,
        speed=speed,
    )


def test_a_good_call_has_no_reasons() -> None:
    figures = verdict()
    assert figures.ok and figures.reasons == []


def test_cpu_is_shared_by_the_frames_of_both_directions() -> None:
    figures = verdict()
    assert (figures.frames, figures.cpu_us_per_frame) == (100, 100.0)


def test_the_object_holds_what_other_tools_read() -> None:
    names = {
        "provider",
        "rate",
        "wrong_size_messages",
        "max_messages_ahead",
        "frames_lost",
        "frames_duplicated",
        "barge_in_ms",
        "codec_delay_ms",
        "cpu_us_per_frame",
        "hops",
    }
    assert names <= msgspec.json.decode(msgspec.json.encode(verdict())).keys()


@pytest.mark.parametrize("what", ["lost", "duplicated", "corrupted"])
def test_every_kind_of_damage_is_a_reason(what: str) -> None:
    figures = verdict(uplink=Direction(expected=50, **{what: 1}))
    assert not figures.ok and what in figures.reasons[0]


@pytest.mark.parametrize("provider,rate", [("twilio", 8000), ("vonage", 16_000), ("browser", 48_000)])
def test_the_object_names_the_provider_and_its_rate(provider: str, rate: int) -> None:
    figures = verdict(provider=provider)
    assert (figures.ok, figures.provider, figures.rate) == (True, provider, rate)


def test_one_message_of_a_wrong_size_is_a_reason() -> None:
    figures = verdict(provider="vonage", delivery=Delivery(1, 8))
    assert not figures.ok and "exactly one frame" in figures.reasons[0]


def test_a_message_of_a_wrong_size_that_the_bridge_held_back_is_one() -> None:
    [summary] = result_of().summaries
    held = msgspec.structs.replace(summary, downlink=msgspec.structs.replace(PATH, wrong_size=1))
    figures = verdict(result_of(summaries=[held]), provider="vonage", delivery=Delivery(0, 8))
    assert (figures.ok, figures.wrong_size_messages) == (False, 1)


def test_a_window_of_a_thousand_messages_is_kept_to() -> None:
    assert verdict(provider="vonage", delivery=Delivery(0, MAX_MESSAGES_AHEAD)).ok
    figures = verdict(provider="vonage", delivery=Delivery(0, MAX_MESSAGES_AHEAD + 1))
    assert not figures.ok and "1001 messages waited" in figures.reasons[0]


def test_a_fast_demo_has_no_window_to_keep_to() -> None:
    assert verdict(provider="vonage", delivery=Delivery(0, 1024), speed=4.0).ok


def test_no_audio_at_all_is_a_reason() -> None:
    assert not verdict(uplink=Direction()).ok


@pytest.mark.parametrize("barge_ins_ms", [(), (None,), (20.0, None), (100.1,)])
def test_a_barge_in_that_never_worked_or_was_slow_is_a_reason(barge_ins_ms: tuple[float | None, ...]) -> None:
    assert not verdict(barge_ins_ms=barge_ins_ms).ok


def test_speech_played_later_than_the_cushion_and_a_busy_machine_explain_is_a_reason() -> None:
    assert verdict(downlink=Direction(expected=50, late_ms=240.0)).ok
    figures = verdict(downlink=Direction(expected=50, late_ms=999.6))
    assert figures.reasons == ["Vapi to caller: speech was played 1000 ms late, more than 240"]


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


def test_only_a_provider_that_counts_messages_has_rows_for_them() -> None:
    shown = {}
    for provider, delivery in (("twilio", NOTHING_COUNTED), ("vonage", Delivery(0, 8))):
        console = Console(file=io.StringIO(), width=120)
        console.print(figures_table(verdict(provider=provider, delivery=delivery)))
        shown[provider] = console.file.getvalue()
    assert "messages ahead" not in shown["twilio"] and "messages ahead" in shown["vonage"]


def test_a_bridge_without_a_summary_is_a_reason_and_not_an_error() -> None:
    assert not verdict(result_of(summaries=[])).ok
