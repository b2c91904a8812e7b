"""The demo ends quietly however it is ended, and looks at its folder before the call."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vapimedia.cli import main


@pytest.mark.parametrize("name", ["caller-heard.wav", "assistant-heard.wav"])
def test_a_recording_that_cannot_be_written_is_told_before_the_call(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).mkdir()
    assert main(["demo", "--fast", "--out", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"cannot write {tmp_path / name}" in said.err.replace("\n", "")


def test_a_recording_of_fake_twilio_that_cannot_be_written_is_told_before_the_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fake", "twilio", "http://127.0.0.1:9/twilio/voice", "--out", str(tmp_path)]) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_demo_quietly_and_its_bridge_with_it(
    number: signal.Signals, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "vapimedia", "demo", "--fast", "--out", str(tmp_path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}
    ) as demo:
        try:
            assert demo.stdout is not None and demo.stderr is not None
            for _ in range(2):
                demo.stdout.readline()  # the second line is the bridge's own
            demo.send_signal(number)
            # The bridge holds standard error too: its end is the end of both.
            assert demo.stderr.read() == ""
            assert demo.wait(timeout=20) == 128 + number
        finally:
            demo.kill()
    assert list(tmp_path.iterdir()) == []


def test_the_demos_bridge_is_silent_when_its_parent_is_gone() -> None:
    code = "from vapimedia.cli.demo_bridge import say\nfor _ in range(3): say('phone', 'starts')"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(timeout=20) == 0


def test_help_and_readme_agree_on_how_long_the_demo_takes(capsys: pytest.CaptureFixture[str]) -> None:
    readme = Path(__file__).parents[3] / "README.md"
    assert main(["demo", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    (said,) = re.findall(r"Takes about (\d+) seconds", shown)
    assert f"takes about {said} seconds" in readme.read_text(encoding="utf-8")
