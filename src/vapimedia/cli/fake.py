"""``vapimedia fake``: the fakes of ``vapimedia.testing`` from the command line, to try a bridge by hand."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from vapimedia.cli import fake_call, report
from vapimedia.errors import ConfigError

if TYPE_CHECKING:
    from vapimedia.testing import FakeVapiCall
    from vapimedia.testing.vapi_webhooks import ToolCall

__all__ = ["app", "tool_reply"]

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
) -> int:
    """Run a fake Vapi until Ctrl-C. It takes the key in VAPI_API_KEY (unset: vapi-test-key).

    Its webhooks carry VAPI_WEBHOOK_SECRET.

    Example: vapimedia fake vapi --port 9001 --server-url http://127.0.0.1:8080/vapi/webhook
    """
    from vapimedia.io.loop import run  # noqa: PLC0415

    return run(_serve_vapi(host, port, echo, server_url))


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
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; choose another --host or --port"
        ) from None
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


app.command()(fake_call.twilio)
app.command()(fake_call.vonage)
