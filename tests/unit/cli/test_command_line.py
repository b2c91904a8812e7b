"""The command line: exit codes, one line for an error, help, and nothing heavy at import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from plain_settings import isolate

from vapimedia.cli import main
from vapimedia.cli.serve import banner, prepare
from vapimedia.io.config import BridgeConfig

FLAGS_OF_THE_CONTRACT = (
    *("--host", "--port", "--provider", "--vapi-url", "--assistant-id", "--vapi-format", "--public-url"),
    *("--admin", "--config", "--app", "--workers", "--no-auth", "--unpaced", "--drain-s", "--token-ttl-s"),
    *("--lead-ms", "--prebuffer-ms", "--record", "--vonage-rate"),
)
KEYS_OF_THE_HELP = (
    *("VAPI_API_KEY", "VAPI_WEBHOOK_SECRET", "TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "VONAGE_API_KEY"),
    *("VONAGE_APPLICATION_ID", "VONAGE_PRIVATE_KEY", "VONAGE_SIGNATURE_SECRET", "VAPIMEDIA_BROWSER_SECRET"),
)
KEYS = {"VAPI_API_KEY": "canary-key", "TWILIO_AUTH_TOKEN": "canary-token"}
PUBLIC = ("--public-url", "https://bridge.example.com")
ASSISTANT = ("--assistant-id", "asst_1")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path)


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the only line of standard error, without its ``error:``."""
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0].removeprefix("error: ")


def run_python(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, timeout=50, check=False)


def test_the_module_is_the_command() -> None:
    done = run_python("-m", "vapimedia", "--version")
    assert done.returncode == 0 and done.stdout.startswith("vapimedia ")


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ["typer", "rich", "aiohttp", "uvloop", "picows", "prometheus_client"]
    code = f"import sys, vapimedia, vapimedia.cli; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert run_python("-c", code).returncode == 0


def test_without_the_extra_the_command_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['typer'] = None; from vapimedia.cli import main; sys.exit(main(['serve']))"
    )
    done = run_python("-c", code)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and "pip install 'vapimedia[bridge]'" in done.stderr


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("serve", "bench"))


@pytest.mark.parametrize("argv", [[], ["demo"], ["bench"], ["fake", "vapi"]])
def test_help_shows_no_type_beside_a_switch(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*argv, "--help"]) == 0
    lines = capsys.readouterr().out.lower().splitlines()
    # What --help itself looks like is typer's.
    assert not [line for line in lines if "bool" in line and "--help" not in line]


def test_help_of_bench_names_the_table_of_budgets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--help"]) == 0
    assert "[budget_us]" in capsys.readouterr().out


def test_closed_standard_files_become_the_null_device_before_anything_is_opened() -> None:
    code = (
        "import os, sys; from vapimedia.cli import main\n"
        "os.close(0); os.close(2); sys.stdin = None\n"
        "code = main(['--version'])\n"
        "null = os.stat(os.devnull)\n"
        "sys.exit(code or not all(os.path.samestat(os.fstat(fd), null) for fd in (0, 2)))"
    )
    assert run_python("-c", code).returncode == 0


def test_help_of_serve_shows_every_flag_of_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--help"]) == 0
    text = capsys.readouterr().out
    assert all(flag in text for flag in FLAGS_OF_THE_CONTRACT)
    assert all(key in text for key in KEYS_OF_THE_HELP) and "vapimedia serve --config" in text


@pytest.mark.parametrize(
    "argv", [["--prot"], ["serve", "--prot", "1"], ["nonsense"], ["serve", "--port", "x"]]
)
def test_wrong_usage_is_exit_code_2_without_a_traceback(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_missing_api_key_is_exit_code_2_and_one_line_that_names_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", *ASSISTANT, "--no-auth"]) == 2
    assert "VAPI_API_KEY" in error_line(capsys)


def test_a_missing_twilio_token_is_exit_code_2_and_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VAPI_API_KEY", "canary-key")
    assert main(["serve", *ASSISTANT, *PUBLIC]) == 2
    line = error_line(capsys)
    assert "TWILIO_AUTH_TOKEN" in line and "canary" not in line


def test_a_missing_vonage_secret_is_exit_code_2_and_one_line_that_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "VONAGE_SIGNATURE_SECRET" in serve_error(
        monkeypatch, capsys, *ASSISTANT, *PUBLIC, "--provider", "vonage"
    )


def test_the_rate_of_vonage_is_a_flag(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = serve_error(monkeypatch, capsys, *ASSISTANT, *PUBLIC, "--vonage-rate", "44100")
    assert "one of 8000, 16000, 24000" in line and "(from --vonage-rate)" in line


def test_the_banner_says_what_to_paste_for_each_chosen_provider_and_nothing_else() -> None:
    base, words = "https://bridge.example.com", {}
    paths = {"twilio": "/twilio/voice", "vonage": "/vonage/answer", "browser": "/phone"}
    for provider in paths:
        words[provider] = banner(BridgeConfig(providers=(provider,), public_url=base), 8080, 8081)
    for provider, text in words.items():
        assert {name for name, path in paths.items() if base + path in text} == {provider}
    assert base + "/twilio/status" in words["twilio"] and base + "/vonage/event" in words["vonage"]


def serve_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: str, **environ: str
) -> str:
    for name, value in (KEYS | environ).items():
        monkeypatch.setenv(name, value)
    assert main(["serve", *argv]) == 2
    line = error_line(capsys)
    assert "canary" not in line
    return line


def test_a_missing_assistant_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--assistant-id" in serve_error(monkeypatch, capsys, *PUBLIC)


def test_a_missing_public_url_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--public-url" in serve_error(monkeypatch, capsys, *ASSISTANT)


def test_a_flag_out_of_range_names_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = serve_error(monkeypatch, capsys, *ASSISTANT, *PUBLIC, "--prebuffer-ms", "500")
    assert "prebuffer_ms must be" in line and "(from --prebuffer-ms)" in line


def test_a_wrong_variable_names_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = serve_error(monkeypatch, capsys, *ASSISTANT, *PUBLIC, VAPIMEDIA_DRAIN_S="long")
    assert "VAPIMEDIA_DRAIN_S" in line


def test_an_unknown_key_of_the_file_names_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "bridge.toml").write_text("prot = 1\n")
    line = serve_error(monkeypatch, capsys, "--config", "bridge.toml")
    assert line == "unknown key 'prot' in bridge.toml; did you mean 'port'?"


def test_the_file_can_be_named_by_a_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "absent.toml" in serve_error(monkeypatch, capsys, VAPIMEDIA_CONFIG="absent.toml")


def test_a_wrong_log_level_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "log level" in serve_error(monkeypatch, capsys, *ASSISTANT, *PUBLIC, "--log-level", "loud")


def test_a_folder_for_recordings_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is no folder" in serve_error(monkeypatch, capsys, *ASSISTANT, *PUBLIC, "--record", "nowhere")


@pytest.mark.parametrize(
    "spec,word",
    [
        ("shop", "pkg.mod:bridge"),
        ("./my/shop.py:bridge", "drop .py: my.shop:bridge"),
        ("absent_shop:bridge", "absent_shop"),
        ("broken_shop:bridge", "broken_shop.py, line 2"),
    ],
)
def test_an_app_that_cannot_be_loaded_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, spec: str, word: str
) -> None:
    (tmp_path / "broken_shop.py").write_text("x = 1\nraise ValueError('no\\nstock')\n")
    assert word in serve_error(monkeypatch, capsys, *PUBLIC, "--app", spec)


def test_what_the_app_was_built_with_is_the_lowest_layer_of_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "layered_shop.py").write_text(
        "from vapimedia import Bridge, BridgeConfig\n"
        "bridge = Bridge(BridgeConfig(dtmf='tone', max_calls=7, port=9000, vapi_api_key='k', auth=False))\n"
    )
    (tmp_path / "bridge.toml").write_text("max_calls = 8\nport = 9001\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    flags: dict[str, object] = {"app": "layered_shop:bridge", "port": 9002}
    bridge, settings = prepare(flags, {}, tmp_path / "bridge.toml")
    assert bridge is not None and bridge.config.max_calls == 7
    assert (settings.dtmf, settings.max_calls, settings.port) == ("tone", 8, 9002)
    assert settings.vapi_api_key == "k"  # the settings are judged as a whole
