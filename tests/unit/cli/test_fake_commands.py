"""The fakes as commands: wrong usage is one line; a fake Vapi serves until it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from vapimedia.cli import main


def test_a_url_without_a_scheme_is_exit_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake", "twilio", "127.0.0.1:8080"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_bridge_that_is_not_there_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fake", "twilio", "http://127.0.0.1:9/twilio/voice"]) == 1
    assert "webhook 0" in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["--vapi-format", "auto"], ["--vapi-format", "opus"], ["--out", "absent"]])
def test_wrong_usage_of_the_demo_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", *argv]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_a_fake_vapi_serves_until_sigterm() -> None:
    command = [sys.executable, "-m", "vapimedia", "fake", "vapi", "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"NO_COLOR": "1"}
    ) as child:
        try:
            assert child.stdout is not None
            assert "http://127.0.0.1:" in child.stdout.readline()
            child.send_signal(signal.SIGTERM)
            assert child.wait(timeout=20) == 0
        finally:
            child.kill()
