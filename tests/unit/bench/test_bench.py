"""Budgets: every case runs, is timed, and is judged by its own limit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vapimedia.bench import CASES, Case, load_budgets, measure
from vapimedia.cli import main
from vapimedia.errors import ConfigError


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_handles_one_frame(case: Case) -> None:
    call = case.make()
    assert any(call() for _ in range(3))


def test_names_are_unique_and_budgets_positive() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.budget_us > 0 for case in CASES)


def test_the_verdict_is_about_the_median() -> None:
    case = Case("nothing", 1000.0, lambda: lambda: None)
    assert not measure(case, n_calls=50).over
    assert measure(Case("sum", 1.0, lambda: lambda: sum(range(10_000))), n_calls=20, budget_us=0.001).over


def test_json_holds_every_case_and_the_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--json", "--calls", "20"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [case["name"] for case in found["cases"]] == [case.name for case in CASES]
    assert {"median_us", "p99_us", "budget_us", "over"} <= found["cases"][0].keys()
    assert found["machine"]["simd"]


def test_the_table_names_every_chosen_case(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--calls", "20", "--only", "mulaw_"]) == 0
    text = capsys.readouterr().out
    assert "audio.mulaw_decode" in text and "alaw_decode" not in text.replace("mulaw_decode", "")


def test_over_budget_is_exit_code_1_that_names_the_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text('[budget_us]\n"audio.resample.8k-16k" = 0.0001\n')
    argv = ["bench", "--calls", "20", "--only", "resample.8k-16k"]
    assert main([*argv, "--budget", str(limits)]) == 1
    assert "audio.resample.8k-16k" in capsys.readouterr().err
    assert main(argv) == 0


@pytest.mark.parametrize(
    "text,word",
    [
        ('[budget_us]\n"audio.mulaw_decod" = 1', "did you mean 'audio.mulaw_decode'?"),
        ('[budget_us]\n"audio.mulaw_decode" = "fast"', "budget_us"),
        ('[budget_us]\n"audio.mulaw_decode" = 0', "above 0"),
        ("[budgets]", "budget_us"),
        ("[", "limits.toml"),
    ],
)
def test_a_wrong_file_of_budgets_is_one_clear_line(tmp_path: Path, text: str, word: str) -> None:
    file = tmp_path / "limits.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_budgets(file)
    assert word in str(caught.value)


@pytest.mark.parametrize("argv", [["limits.toml"], ["--budget", "absent.toml"], ["--only", "nonsense"]])
def test_wrong_usage_of_bench_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", *argv]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_documented_table_of_budgets_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^```toml\n([^`]*\[budget_us\][^`]*)^```", page, re.MULTILINE)
    file = tmp_path / "limits.toml"
    file.write_text(table)
    assert load_budgets(file) == {"audio.mulaw_decode": 0.5}
