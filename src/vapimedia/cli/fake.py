"""``vapimedia fake``: the fakes of ``vapimedia.testing`` from the command line, to try a bridge by hand."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from vapimedia.cli import fake_call, fake_faults, report
from vapimedia.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vapimedia.testing import FakeVapiCall
    from vapimedia.testing.vapi_webhooks import ToolCall, WebhookPost

__all__ = ["app", "event_text", "tool_reply", "webhook_trouble"]

_LONGEST_CALL_S = 24 * 3600.0
_SPELLINGS = ("function", "arguments", "parameters")

app = typer.Typer(
    no_args_is_help=True, help="Stand in for Vapi, Twilio or Vonage, with no account and no network."
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
    tool_spelling: Annotated[
        str,
        typer.Option("--tool-spelling", help="How tool calls are spelled: function, arguments, parameters."),
    ] = "function",
    listen_channels: Annotated[
        int,
        typer.Option(
            "--listen-channels", min=1, max=2, help="1: both mixed; 2: caller left, assistant right."
        ),
    ] = 1,
    phone_call: Annotated[
        bool,
        typer.Option(
            "--phone-call", metavar="", help="Start a phone call at once, to listen to and to control."
        ),
    ] = False,
    fault: fake_faults.Faults = None,
) -> int:
    """Run a fake Vapi until Ctrl-C. It takes the key in VAPI_API_KEY (unset: vapi-test-key).

    Its webhooks carry VAPI_WEBHOOK_SECRET; where a call's monitor plan demands a key it is VAPI_PUBLIC_KEY.

    Example: vapimedia fake vapi --port 9001 --server-url http://127.0.0.1:8080/vapi/webhook
    """
    from vapimedia.io.loop import run  # noqa: PLC0415

    if tool_spelling not in _SPELLINGS:
        raise ConfigError(f"--tool-spelling: {tool_spelling!r} is not one of {', '.join(_SPELLINGS)}")
    return run(
        _serve_vapi(
            host=host,
            port=port,
            echo=echo,
            server_url=server_url,
            tool_spelling=tool_spelling,
            listen_channels=listen_channels,
            phone_call=phone_call,
            asked=fault or (),
        )
    )


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


def webhook_trouble(post: WebhookPost) -> str:
    """Return what was wrong with the answer to a webhook, in one line; empty for nothing, or for a tool call."""
    if post.type == "tool-calls" or not post.problems:
        return ""
    if post.status in {401, 403}:
        return f"{post.type}: {post.status}, is VAPI_WEBHOOK_SECRET the same at the bridge?"
    return f"{post.type}: {'; '.join(post.problems)}"


def _what_went_wrong(post: WebhookPost) -> str:
    if not post.status:
        return "webhook unanswered"
    return "webhook answer wrong" if post.status < 300 else "webhook refused"


def event_text(event: dict[str, Any]) -> str:
    """Return what an event or a control message says, in a few words."""
    fields = (event.get(name) for name in ("transcript", "status", "output", "input", "content", "control"))
    text = next((value for value in fields if value), "")
    tools = (one.get("name") or one["function"]["name"] for one in event.get("toolCallList", ()))
    told = event.get("message")
    said = told.get("content") if isinstance(told, dict) else told
    return str(text or ", ".join(tools) or said or "")


async def _serve_vapi(
    *,
    host: str,
    port: int,
    echo: bool,
    server_url: str | None,
    tool_spelling: Any,
    listen_channels: int,
    phone_call: bool,
    asked: Sequence[str],
) -> int:
    from vapimedia.testing import Callee, Echo, FakeVapi, default_script, long_dialogue  # noqa: PLC0415  loads aiohttp

    console = report.stdout()
    faults, pacing = fake_faults.vapi_faults(asked)

    def line(call: FakeVapiCall, what: str, text: str) -> None:
        console.print(f"{call.id[:8]}  {what:<20} {escape(text)}", soft_wrap=True)

    def show_trouble(call: FakeVapiCall, post: WebhookPost) -> None:
        if trouble := webhook_trouble(post):
            line(call, _what_went_wrong(post), trouble)

    vapi = FakeVapi(
        host,
        port,
        api_key=os.environ.get("VAPI_API_KEY") or "vapi-test-key",
        public_key=os.environ.get("VAPI_PUBLIC_KEY") or "vapi-test-public-key",
        assistant=Echo() if echo else default_script(),
        server_url=server_url,
        server_secret=os.environ.get("VAPI_WEBHOOK_SECRET") or None,
        tool_spelling=tool_spelling,
        listen_channels=listen_channels,
        listen_events=True,
        faults=faults,
        pacing=pacing,
        on_event=lambda call, event: line(call, event["type"], event_text(event)),
        on_tool_reply=lambda call, tool: line(call, "tool reply", tool_reply(tool)),
        on_webhook=show_trouble,
        on_control=lambda call, message: line(call, f"told to {message['type']}", event_text(message)),
    )
    try:
        await vapi.start()
    except OSError as error:
        await vapi.close()
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from None
    ending: asyncio.Task[None] | None = None
    try:
        stopped: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def stop(code: int) -> None:
            if not stopped.done():
                stopped.set_result(code)

        for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, report.INTERRUPTED_EXIT)):
            asyncio.get_running_loop().add_signal_handler(number, stop, code)
        console.print(f"[bold green]a fake Vapi serves[/] {vapi.url}", soft_wrap=True)
        if phone_call:
            script, caller = long_dialogue()
            call = await vapi.place_call(assistant=Echo() if echo else script, callee=Callee(caller=caller))
            console.print("a phone call begins; listen to it and control it from another terminal:")
            console.print(f"  vapimedia listen {call.listen_url}", soft_wrap=True)
            console.print(f"  vapimedia control {call.control_url} say 'Let me check.'", soft_wrap=True)
            ending = asyncio.create_task(_tell_end(call, line))
        return await stopped
    finally:
        if ending is not None:
            ending.cancel()
        await vapi.close()
        for text in fake_faults.told_of_vapi(vapi, asked):
            console.print(text, markup=False, soft_wrap=True)


async def _tell_end(call: FakeVapiCall, line: Callable[[FakeVapiCall, str, str], None]) -> None:
    await call.ended(_LONGEST_CALL_S)
    line(call, "the call is over", "for another, start vapimedia fake vapi --phone-call again")


app.command()(fake_call.twilio)
app.command()(fake_call.vonage)
