"""``vapimedia demo``: one whole call on this machine, no account and no network, with a verdict."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from vapimedia.cli import report
from vapimedia.cli.demo_legs import leg_of
from vapimedia.errors import ConfigError
from vapimedia.io.config import BridgeConfig

__all__ = ["demo"]

T = TypeVar("T")

FAST = 4.0


@report.ends_with_exit_code
def demo(
    *,
    provider: Annotated[
        str, typer.Option("--provider", help="Who calls: twilio, vonage, or browser (a web page).")
    ] = "twilio",
    rate: Annotated[
        int | None,
        typer.Option(
            "--rate",
            help="Samples a second of the caller's side: 8000, 16000 or 24000 with vonage, 48000 or 44100 with "
            "browser.",
            show_default="16000 with vonage, 48000 with browser",
        ),
    ] = None,
    vapi_format: Annotated[
        str,
        typer.Option(
            "--vapi-format",
            help="mulaw/8000, pcm_s16le/16000, ...: other than the caller's, audio is transcoded; "
            "auto picks what needs least work.",
        ),
    ] = "auto",
    fast: Annotated[
        bool,
        typer.Option(
            "--fast",
            metavar="",
            help=f"{FAST:g} times real time; the bridge's lead and flood limits are lifted for it.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="Print one JSON object and nothing else.")
    ] = False,
    out: Annotated[Path, typer.Option("--out", help="Folder for the two WAV files.")] = Path(),
) -> int:
    """Run one call between a fake provider and a fake Vapi through the real bridge, and judge it.

    Takes about 25 seconds and writes caller-heard.wav and assistant-heard.wav. Exit code 1, with the reason,
    if anything was lost, late or left open.

    Examples: vapimedia demo, vapimedia demo --provider vonage --rate 24000,
    vapimedia demo --vapi-format pcm_s16le/16000, vapimedia demo --fast --json
    """
    leg = leg_of(provider, rate)
    wanted = BridgeConfig(vapi_format=vapi_format).vapi_audio_format()
    if not out.is_dir():
        raise ConfigError(f"--out: there is no folder {out}")
    files = out / "caller-heard.wav", out / "assistant-heard.wav"
    for file in files:
        report.check_writable(file)

    # These load aiohttp and the compiled kernels.
    from vapimedia.cli.demo_report import Timeline, figures_table, hops_table  # noqa: PLC0415
    from vapimedia.cli.demo_run import run_demo  # noqa: PLC0415
    from vapimedia.io.loop import run  # noqa: PLC0415
    from vapimedia.testing import write_wav  # noqa: PLC0415

    console = report.stdout()
    timeline = Timeline(console)
    speed = FAST if fast else 1.0
    if not as_json:
        console.print(f"[bold]One call: fake {leg} <-> bridge <-> fake Vapi ({wanted or leg.auto_format})[/]")
    work = run_demo(leg, wanted, speed=speed, on_moment=(lambda moment: None) if as_json else timeline)
    signals: list[int] = []
    try:
        done = run(_until_signal(work, signals))
    except asyncio.CancelledError:
        return 128 + signals[0]  # what a shell reports
    written = False
    try:
        write_wav(files[0], leg.format, done.caller_heard)
        write_wav(files[1], done.vapi_format, done.assistant_heard)
        written = True
    except OSError as error:
        done.figures.reasons.append(f"the recordings could not be written: {error.strerror}")
        done.figures.ok = False
    if as_json:
        typer.echo(msgspec.json.encode(done.figures).decode())
    else:
        console.print(figures_table(done.figures))
        console.print(hops_table(done.figures))
        if written:
            console.print(f"Listen: {files[0]}, {files[1]}", soft_wrap=True, markup=False)
    for reason in done.figures.reasons:
        report.print_error(reason)
    return 0 if done.figures.ok else report.FAILED_EXIT


async def _until_signal(work: Coroutine[Any, Any, T], received: list[int]) -> T:
    """Run *work*; SIGTERM and SIGHUP (a closed terminal) cancel it, so that it takes its child along."""
    task = asyncio.current_task()

    def stop(number: int) -> None:
        received.append(number)
        if task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            asyncio.get_running_loop().add_signal_handler(number, stop, number)
    return await work
