"""``vapimedia fake``: the fakes of ``vapimedia.testing`` from the command line, to try a bridge by hand."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from vapimedia.cli import report
from vapimedia.errors import ConfigError
from vapimedia.formats import AudioFormat

if TYPE_CHECKING:
    from vapimedia.testing import FakeTwilioCall, FakeVapiCall
    from vapimedia.testing.vapi_webhooks import ToolCall

__all__ = ["app", "tool_reply", "trouble"]

app = typer.Typer(
    no_args_is_help=True, help="Stand in for Vapi or for Twilio, with no account and no network."
)


@app.command()
@report.ends_with_exit_code
def vapi(
    *,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 picks a free one.")] = 9001,
    echo: Annotated[
        bool, typer.Option("--echo", metavar="", help="Send the caller's voice back, play no dialogue.")
    ] = False,
    server_url: Annotated[str | None, typer.Option("--server-url", help="Where webhooks go.")] = None,
) -> int:
    """Run a fake Vapi until Ctrl-C. It takes the key in VAPI_API_KEY (unset: vapi-test-key).

    Its webhooks carry VAPI_WEBHOOK_SECRET.

    Example: vapimedia fake vapi --port 9001 --server-url http://127.0.0.1:8080/vapi/webhook
    """
    from vapimedia.io.loop import run  # noqa: PLC0415

    return run(_serve_vapi(host, port, echo, server_url))


@app.command()
@report.ends_with_exit_code
def twilio(
    voice_url: Annotated[
        str, typer.Argument(help="The bridge's voice webhook, http://127.0.0.1:8080/twilio/voice.")
    ],
    *,
    public_url: Annotated[
        str | None,
        typer.Option("--public-url", help="Origin the bridge was told; signatures are made over it."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="WAV file for what the caller hears.")] = None,
    max_s: Annotated[float, typer.Option("--max-s", min=1, help="Hang up after this long.")] = 60.0,
) -> int:
    """Make one scripted call to a bridge, signed with TWILIO_AUTH_TOKEN (unset: twilio-test-token).

    Exit code 1, with the reason, if it went wrong.

    Example: vapimedia fake twilio http://127.0.0.1:8080/twilio/voice --public-url https://bridge.example.com
    """
    from vapimedia.io.loop import run  # noqa: PLC0415

    if not voice_url.startswith(("http://", "https://")):
        raise ConfigError(f"the voice URL must start with http:// or https://, not {voice_url!r}")
    if out is not None:
        report.check_writable(out)
    call = run(_call(voice_url, public_url, max_s))
    console = report.stdout()
    if call.voice_status:
        upgrade = call.upgrade_status or "none"
        console.print(f"webhook {call.voice_status}, upgrade {upgrade}, ended by {call.ended_by}")
    console.print(f"sent {len(call.sent) / 8000:.1f} s, received {len(call.received) / 8000:.1f} s of audio")
    found = [*call.violations, *trouble(call)]
    for text in found:
        report.print_error(text)
    if out is not None:
        from vapimedia.testing import write_wav  # noqa: PLC0415

        write_wav(out, AudioFormat("mulaw", 8000), call.heard)
    return report.FAILED_EXIT if found else 0


def trouble(call: FakeTwilioCall) -> list[str]:
    """Return why the call did not go well, in one sentence or none. Violations are not repeated."""
    log = "the bridge's log says why"
    if call.voice_status == 403:
        return [
            "the bridge refused the signature with 403: TWILIO_AUTH_TOKEN must be the same here and there, "
            "and --public-url the one that the bridge was given"
        ]
    if call.voice_status != 200:
        answered = f"answered {call.voice_status}; {log}"
        return [call.voice_error or f"the voice webhook {answered}"]
    if call.twiml is None or call.twiml.stream_url is None:
        return ["the bridge answered the call without a media stream: it rejected it"]
    if call.upgrade_status != 101:
        return [f"the media stream was refused ({call.upgrade_status or 'no connection'}); {log}"]
    if call.ended_by == "timeout":
        return [f"nobody ended the call: it was cut after {call.max_s:g} s (--max-s)"]
    if call.close_code != 1000:
        return [f"the bridge ended the call early, with close code {call.close_code}; {log}"]
    return [] if call.received else [f"the call was answered, but no audio came; {log}"]


def tool_reply(tool: ToolCall) -> str:
    """Return what became of a tool call, in one line."""
    match tool.status:
        case 0:
            return "; ".join(tool.problems)
        case 200:
            said = f"error: {tool.error}" if tool.error is not None else tool.result
            return f"200: {'; '.join(tool.problems) or said}"
        case 401 | 403:
            return f"{tool.status}: is VAPI_WEBHOOK_SECRET the same at the bridge?"
    return f"{tool.status}: Vapi reads 200 only"


async def _serve_vapi(host: str, port: int, echo: bool, server_url: str | None) -> int:
    from vapimedia.testing import Echo, FakeVapi, default_script  # noqa: PLC0415  loads aiohttp

    console = report.stdout()

    def show(call: FakeVapiCall, event: dict[str, Any]) -> None:
        fields = (event.get(name) for name in ("transcript", "status", "output", "input"))
        text = next((value for value in fields if value), "")
        tools = ", ".join(f"{one['function']['name']}" for one in event.get("toolCallList", ()))
        line(call, event["type"], str(text or tools))

    def line(call: FakeVapiCall, what: str, text: str) -> None:
        console.print(f"{call.id[:8]}  {what:<20} {escape(text)}", soft_wrap=True)

    vapi = FakeVapi(
        host,
        port,
        api_key=os.environ.get("VAPI_API_KEY") or "vapi-test-key",
        assistant=Echo() if echo else default_script(),
        server_url=server_url,
        server_secret=os.environ.get("VAPI_WEBHOOK_SECRET") or None,
        on_event=show,
        on_tool_reply=lambda call, tool: line(call, "tool reply", tool_reply(tool)),
    )
    try:
        await vapi.start()
    except OSError as error:
        await vapi.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    try:
        stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def stop(code: int) -> None:
            if not stopped.done():
                stopped.set_result(code)

        for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, report.INTERRUPTED_EXIT)):
            asyncio.get_running_loop().add_signal_handler(number, stop, code)
        console.print(f"[bold green]a fake Vapi serves[/] {vapi.url}", soft_wrap=True)
        return await stopped
    finally:
        await vapi.close()


async def _call(voice_url: str, public_url: str | None, max_s: float) -> Any:
    from vapimedia.testing import FakeTwilioCall, default_caller  # noqa: PLC0415  loads aiohttp

    token = os.environ.get("TWILIO_AUTH_TOKEN") or "twilio-test-token"
    call = FakeTwilioCall(
        voice_url, auth_token=token, caller=default_caller(), public_url=public_url, max_s=max_s
    )
    return await call.run()
