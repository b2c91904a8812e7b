"""``vapimedia dial``: call somebody, have an assistant talk to them, and end with the call."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.markup import escape

from vapimedia.cli import options, report
from vapimedia.cli.serve import prepare, set_up_logging
from vapimedia.errors import ConfigError, VapimediaError
from vapimedia.io.config import BridgeConfig

if TYPE_CHECKING:
    from vapimedia.cli.dial_report import DialWatch
    from vapimedia.io.bridge import Bridge

__all__ = ["EPILOG", "dial"]

EPILOG = """
Keys come by environment or file only, as for serve; so do the numbers to call from, unless --from says one:
VAPIMEDIA_TWILIO_FROM, VAPIMEDIA_VONAGE_FROM. What has no flag here is a variable or a key of the TOML file.

Exit codes: 0 it was answered and ended as calls do; 1 it was not (busy, unanswered, refused, ...);
2 settings; 130 Ctrl-C, which hangs up.

Examples:

  vapimedia dial +15555550123 --from +15555550100 --assistant-id asst_1 --public-url https://bridge.example.com

  vapimedia dial +15555550123 --provider vonage --config bridge.toml --json
"""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@report.ends_with_exit_code
def dial(
    to: Annotated[
        str | None,
        typer.Argument(metavar="NUMBER", help="Who is called, in E.164: + and digits.", show_default=False),
    ] = None,
    *,
    provider: Annotated[
        str | None, options.option("--provider", text="Who makes the call: twilio, vonage.", default="twilio")
    ] = None,
    from_: Annotated[str | None, options.option("--from", text="The account's number to call from.")] = None,
    ring_timeout_s: Annotated[
        int, options.option("--ring-timeout-s", text="How long it may ring.", default=60)
    ] = 60,
    machine_detection: Annotated[
        str,
        options.option(
            "--machine-detection",
            text="Tell who answers. Twilio: Enable, DetectMessageEnd. Vonage: continue, hangup.",
        ),
    ] = "",
    document: Annotated[
        Path | None,
        options.option(
            "--document", text="Vonage, without NUMBER: call the media socket alone, which hears this NCCO."
        ),
    ] = None,
    as_json: Annotated[
        bool,
        typer.Option("--json", metavar="", help="Print one JSON object at the end, and nothing before."),
    ] = False,
    public_url: options.PublicUrl = None,
    host: options.Host = None,
    port: options.Port = None,
    vapi_url: options.VapiUrl = None,
    assistant_id: options.AssistantId = None,
    app: options.App = None,
    config: options.ConfigFile = None,
    log_level: Annotated[
        str | None,
        options.option("--log-level", text=f"One of {', '.join(options.LOG_LEVELS)}.", default="warning"),
    ] = None,
    vapi_format: options.VapiFormat = None,
    vonage_rate: options.VonageRate = None,
    dtmf: options.Dtmf = None,
    barge_in: options.BargeIn = None,
    auth: options.Auth = None,
    vapi_ws_auth: options.VapiWsAuth = None,
    vapi_host: options.VapiHosts = None,
) -> int:
    """Call somebody: the provider rings them, and an assistant of Vapi talks to who answers.

    Takes the settings of serve, and no call that comes in.
    """
    if provider is not None:
        provider = provider.strip().lower()
    if provider == "browser":
        raise ConfigError(
            "browser cannot dial: a page calls, nobody calls it; give --provider twilio or vonage"
        )
    if to is None and document is None:
        raise ConfigError("there is nobody to call; give a number such as +15555550123")
    ncco = _read_document(document)
    set_up_logging(log_level, default="warning")
    flags: dict[str, object] = {
        "providers": [provider] if provider else None,
        "public_url": public_url,
        "host": host,
        "port": port,
        "vapi_url": vapi_url,
        "assistant_id": assistant_id,
        "app": app,
        "vapi_format": vapi_format,
        "vonage_rate": vonage_rate,
        "dtmf": dtmf,
        "barge_in": barge_in,
        "auth": auth,
        "vapi_ws_auth": vapi_ws_auth,
        "vapi_hosts": vapi_host or None,
    }
    bridge, settings = prepare(flags, os.environ, config)
    set_up_logging(log_level, settings.log_format, default="warning")
    if bridge is None and not settings.assistant_id:
        raise ConfigError(
            "assistant_id is not set; pass --assistant-id, or an --app that chooses one in on_call"
        )
    _check_caller(from_, settings)
    # Beside the one call there is no room for another, whoever calls in. A serve may have the usual admin port.
    settings = msgspec.structs.replace(settings, max_calls=1, admin="127.0.0.1:0", workers=1)
    for text in settings.warnings(dials=True):
        report.print_warning(text)
    order = {
        "to": to,
        "provider": provider,
        "from_": from_ or "",
        "ring_timeout_s": ring_timeout_s,
        "machine_detection": machine_detection,
        "document": ncco,
    }
    return _dial(bridge, settings, order, as_json=as_json)


def _dial(bridge: Bridge | None, settings: BridgeConfig, order: dict[str, Any], *, as_json: bool) -> int:
    # These load picows and aiohttp.
    from vapimedia.cli.dial_report import DialWatch, masked  # noqa: PLC0415
    from vapimedia.io.bridge import Bridge  # noqa: PLC0415
    from vapimedia.io.loop import run  # noqa: PLC0415

    console = report.stdout()
    heading = [f"[bold]Calling {escape(masked(order['to']))}[/]"]

    def show(at_s: float, what: str, text: str) -> None:
        if heading:  # the first step: before it the order may turn out to be none
            console.print(heading.pop(), soft_wrap=True)
        clean = "".join(char if char.isprintable() else " " for char in text)
        console.print(f"{at_s:7.1f} s  [bold]{what:<10}[/] {escape(clean)}", soft_wrap=True)

    if bridge is None:
        bridge = Bridge(settings)
    else:
        bridge.configure(settings)
    watch = DialWatch((lambda *_: None) if as_json else show)
    bridge.watch(watch)
    received: list[int] = []
    failure: VapimediaError | None = None
    try:
        run(_call(bridge, order, watch, received))
    except ConfigError:
        raise
    except VapimediaError as error:
        failure = error
    record = watch.record
    if received:
        record.error = f"interrupted by {signal.Signals(received[0]).name}"
    elif failure is not None:
        record.error = str(failure)
    if as_json:
        typer.echo(msgspec.json.encode(record).decode())
    if received:
        return 128 + received[0]  # what a shell reports
    if record.error is not None:
        report.print_error(record.error)
    return 0 if record.error is None else report.FAILED_EXIT


async def _call(bridge: Bridge, order: dict[str, Any], watch: DialWatch, received: list[int]) -> None:
    """Dial and wait for the call's end; a signal hangs it up, a second one waits for no answer to that."""
    async with bridge:
        work = asyncio.ensure_future(_dial_and_wait(bridge, order, watch))
        loop = asyncio.get_running_loop()
        hurrying: list[asyncio.Task[None]] = []

        def stop(number: int) -> None:
            received.append(number)
            if len(received) == 1:
                work.cancel()
            elif not hurrying:  # whatever still waits for an API fails at once
                hurrying.append(asyncio.ensure_future(bridge.client.close()))

        for number in _SIGNALS:
            loop.add_signal_handler(number, stop, number)
        try:
            await asyncio.wait([work])
            await bridge.close()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
        if not work.cancelled():
            work.result()


async def _dial_and_wait(bridge: Bridge, order: dict[str, Any], watch: DialWatch) -> None:
    call = await bridge.dial(order.pop("to"), **order)
    watch.step("queued", text=call.id)
    try:
        await call.ended()
    except asyncio.CancelledError:
        call.hang_up("interrupted")
        raise


def _check_caller(from_: str | None, settings: BridgeConfig) -> None:
    """Raise ``ConfigError`` when there is no number to call from; the bridge's own text knows no flag."""
    if from_ or len(settings.providers) != 1:
        return
    (name,) = settings.providers
    if name != "browser" and not settings.number_of(name):
        raise ConfigError(
            f"no number to call from is set; give --from, or set VAPIMEDIA_{name.upper()}_FROM, "
            "to one of the account's"
        )


def _read_document(file: Path | None) -> Any:
    if file is None:
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"--document: cannot read {file}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"--document: {file} is not JSON") from None
