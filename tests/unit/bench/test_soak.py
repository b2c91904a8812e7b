"""What a soak makes of its samples, how it draws them, and one short one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vapimedia.bench import soak_figures, soak_plot
from vapimedia.bench.soak_figures import Sample
from vapimedia.cli import main
from vapimedia.errors import ConfigError

pytest.importorskip("vapimedia.bench.load.generator", reason="the load generator is built on Linux only")
from vapimedia.bench.load.churn import Churn, ChurnRun
from vapimedia.bench.load.run import LoadRun
from vapimedia.bench.soak import SoakPlan, SoakReport, make_report

PLAN = SoakPlan(calls=10, seconds=600, churn=2)


def samples(n: int = 120, *, rss_kb_per_s: float = 0.0, **changes: float) -> list[Sample]:
    """Ten minutes, five seconds apart."""
    values = {"allocated_kb": 20_000.0, "python_blocks": 300_000.0, "descriptors": 40.0, "p99_us": 900.0}
    return [
        Sample(5.0 * i, 10, ended=40, rss_kb=80_000 + rss_kb_per_s * 5 * i, **values | changes)
        for i in range(1, n + 1)
    ]


def judged(taken: list[Sample], churned: Churn | None = None, after: float = 16) -> SoakReport:
    return make_report(PLAN, taken, churned or Churn(ended=Counter(stop=1200)), before=16, after=after)


@given(st.floats(-1e3, 1e3), st.floats(0, 1e6), st.integers(2, 50))
def test_the_slope_of_a_straight_line_is_its_own(per_s: float, at_0: float, n: int) -> None:
    points = [(float(i), at_0 + per_s * i) for i in range(n)]
    assert soak_figures.slope_per_h(points) == pytest.approx(3600 * per_s, abs=1e-2)


def test_a_single_moment_has_no_slope() -> None:
    assert soak_figures.slope_per_h([(1.0, 2.0), (1.0, 3.0)]) == 0


def test_growth_is_taken_from_minute_3_and_single_samples_do_not_count() -> None:
    taken = samples(rss_kb_per_s=1.0)
    for one in taken[:30]:
        one.rss_kb = 0.0  # before minute 3
    taken[-1].rss_kb = 1e9
    growth = soak_figures.growth_of(taken, lambda one: one.rss_kb, from_s=soak_figures.baseline_s(600))
    assert growth is not None
    assert growth.growth == pytest.approx(600 - 180 - 30, abs=10)


@pytest.mark.parametrize(("seconds", "settled_s"), [(10, 3), (600, 180), (1800, 180)])
def test_a_soak_has_settled_at_minute_3_or_after_three_tenths(seconds: float, settled_s: float) -> None:
    assert soak_figures.baseline_s(seconds) == settled_s


@pytest.mark.parametrize("per_period", [0.0, 50.0])
def test_garbage_that_is_collected_now_and_then_is_no_growth(per_period: float) -> None:
    taken = [
        Sample(5.0 * i, 10, allocated_kb=20_000 + (7 * i) % 119 * 40 + per_period * (i // 17))
        for i in range(120)
    ]
    growth = soak_figures.live_growth_of(taken, lambda one: one.allocated_kb, from_s=180)
    assert growth is not None
    assert growth.growth == pytest.approx(per_period * 5, abs=200)


def test_what_is_not_told_has_no_growth() -> None:
    told = [Sample(float(i), 1) for i in range(5)]
    assert soak_figures.growth_of(told, lambda one: one.rss_kb, from_s=0) is None


def test_what_stays_as_it_is_holds() -> None:
    found = judged(samples())
    assert found.faults == [] and found.notes == []
    assert found.p99_us["quarter_4"] == found.p99_us["worst"] == 900


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (judged(samples(rss_kb_per_s=3.0)), "rss_kb grew"),
        (judged(samples(), after=22), "6 descriptors are left"),
        (judged(samples(), Churn(ended=Counter(stop=1200), not_ended=1)), "1 calls did not end on both legs"),
        (judged(samples(), Churn(ended=Counter(stop=1200), not_joined=2)), "2 calls were not joined"),
        (judged(samples(), Churn(ended=Counter(stop=1200), died=3)), "3 calls ended though nobody"),
        (
            judged(samples(), Churn(ended=Counter(stop=1200), frames=Counter(sent=9, lost=1))),
            "of 9 frames: 1 lost",
        ),
    ],
    ids=["memory", "descriptors", "not ended", "not joined", "died", "damage"],
)
def test_every_fault_is_told(found: SoakReport, fault: str) -> None:
    assert len(found.faults) == 1 and fault in found.faults[0]


def test_a_churn_that_was_not_reached_and_a_bridge_that_still_fills_up_are_noted() -> None:
    taken = samples()
    for one in taken:
        one.ended = 1
    notes = judged(taken, Churn(ended=Counter(stop=120))).notes
    assert "0.2 calls a second were replaced, not 2" in notes[0] and "36 had ended by second 180" in notes[1]


def test_bounds_of_memory_are_in_proportion() -> None:
    usual = soak_figures.Bounds()
    assert soak_figures.Bounds.of(1) == usual
    assert soak_figures.Bounds.of(2).python_blocks == 2 * usual.python_blocks
    assert soak_figures.Bounds.of(2).descriptors == usual.descriptors


def test_a_sparkline_shows_lowest_to_highest_and_leaves_out_what_is_not_known() -> None:
    assert soak_plot.sparkline([0, None, 7, 3.5]) == "▁█▅"
    assert soak_plot.sparkline([5, 5]) == "▁▁"
    assert soak_plot.sparkline([None]) == ""
    assert len(soak_plot.sparkline(list(range(1000)), width=40)) == 40


def test_the_picture_is_one_file_with_a_line_for_each_figure_that_there_is(tmp_path: Path) -> None:
    file = tmp_path / "soak.html"
    soak_plot.write_plot(file, "a <bridge>", samples(), 180)
    text = file.read_text(encoding="utf-8")
    assert "a &lt;bridge&gt;" in text and "http" not in text.replace("http://www.w3.org/2000/svg", "")
    root = ElementTree.fromstring(soak_plot.svg_of("", samples(p99_us=None), 180))  # type: ignore[arg-type]
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [120] * 4


def test_a_picture_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\.svg or \.html"):
        soak_plot.check_plot(Path("soak.png"))


@pytest.mark.parametrize("argv", [["--calls", "0"], ["--calls", "2", "--churn", "3"], ["--plot", "x.png"]])
def test_wrong_usage_is_exit_code_2_and_one_line(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "soak", *argv]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_elsewhere_than_on_linux_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    assert main(["bench", "soak"]) == 2
    assert "Linux only" in capsys.readouterr().err


def test_hanging_up_a_call_closes_no_socket_of_another() -> None:
    run = LoadRun()
    run.begin(2, mulaw=True)
    run.aim(f"ws://127.0.0.1:{run.vapi_port}/")
    places = [run._connect() for _ in range(2)]
    run.hang_up(0)
    assert run._connect() not in places


def test_a_call_in_the_place_of_another_begins_anew() -> None:
    run = ChurnRun()
    run.begin(1, mulaw=True)
    run.let_end(0)
    run.renew(0, b"MZ" + b"1" * 32)
    assert run.ends(0) == (0, 0) and run.sequence(0) == 1
    with pytest.raises(ValueError, match="34 characters"):
        run.renew(0, b"MZ1")


@pytest.mark.slow
def test_a_short_soak_ends_calls_in_every_way_and_finds_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "soak.svg"
    argv = [
        "--minutes",
        "0.1",
        "--calls",
        "8",
        "--churn",
        "6",
        "--rss-mib",
        "64",
        "--plot",
        str(file),
        "--json",
    ]
    code = main(["bench", "soak", *argv])
    told = capsys.readouterr()
    assert code == 0, told.err
    found = json.loads(told.out)
    assert len(found["churned"]["ended"]) == 10 and "by itself" not in found["churned"]["ended"]
    assert found["growth"]["rss_kb"]["baseline"] > 10_000
    assert found["samples"][-1]["allocated_kb"] and found["samples"][-1]["python_blocks"]
    ElementTree.parse(file)
