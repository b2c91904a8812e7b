"""``vapimedia serve``: run a bridge until it is told to stop."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from vapimedia.cli import report
from vapimedia.errors import ConfigError
from vapimedia.io.config import BridgeConfig
from vapimedia.io.config_sources import load_config
from vapimedia.io.user_code import place_of

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge

__all__ = ["EPILOG", "load_app", "prepare", "run_bridge", "serve"]

EPILOG = """
Keys come by environment or file only:
VAPI_API_KEY, VAPI_WEBHOOK_SECRET, TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN.
Every flag is also a variable (--drain-s: VAPIMEDIA_DRAIN_S) and a key of the TOML file (drain_s = 30).
Flags win over variables, variables over the file, and the file over what the app's bridge was built with.

Examples:

  vapimedia serve --assistant-id asst_1 --public-url https://bridge.example.com

  vapimedia serve --config bridge.toml --app myshop.phone:bridge

  vapimedia serve --vapi-url http://127.0.0.1:9001 --assistant-id asst_1 --no-auth   (development)
"""

_LEVELS = ("debug", "info", "warning", "error")
_BASIC, _MEDIA, _LIMITS = "Where", "Media", "Limits and safety"


def _option(*names: str, text: str, default: object = None, panel: str = _BASIC) -> Any:
    note = "" if default is None else f" Default: {default}."
    return typer.Option(*names, help=text + note, show_default=False, rich_help_panel=panel)


@report.ends_with_exit_code
def serve(
    *,
    host: Annotated[
        str | None, _option("--host", text="Address of the public port.", default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, _option("--port", text="Public port; 0 picks a free one.", default=8080)
    ] = None,
    provider: Annotated[
        list[str] | None, _option("--provider", text="Telephony provider; may be repeated.", default="twilio")
    ] = None,
    public_url: Annotated[
        str | None, _option("--public-url", text="Origin under which the provider reaches us, https://host.")
    ] = None,
    vapi_url: Annotated[
        str | None, _option("--vapi-url", text="Base of Vapi's API.", default="https://api.vapi.ai")
    ] = None,
    assistant_id: Annotated[
        str | None, _option("--assistant-id", text="Assistant that answers, unless the app chooses.")
    ] = None,
    app: Annotated[str | None, _option("--app", text="Your own bridge with tools, pkg.mod:bridge.")] = None,
    admin: Annotated[
        str | None, _option("--admin", text="Address of /metrics and /calls.", default="127.0.0.1:8081")
    ] = None,
    config: Annotated[
        Path | None, _option("--config", text="TOML file with any of these settings; or VAPIMEDIA_CONFIG.")
    ] = None,
    workers: Annotated[int | None, _option("--workers", text="Processes.", default=1)] = None,
    log_level: Annotated[
        str | None, _option("--log-level", text=f"One of {', '.join(_LEVELS)}.", default="info")
    ] = None,
    vapi_format: Annotated[
        str | None,
        _option("--vapi-format", text="auto, mulaw/8000, pcm_s16le/16000, ...", default="auto", panel=_MEDIA),
    ] = None,
    quality: Annotated[
        str | None,
        _option("--quality", text="Resampler: telephone, balanced, high.", default="balanced", panel=_MEDIA),
    ] = None,
    lead_ms: Annotated[
        int | None,
        _option(
            "--lead-ms", text="How far ahead of playout audio is sent.", default="provider's", panel=_MEDIA
        ),
    ] = None,
    prebuffer_ms: Annotated[
        int | None,
        _option("--prebuffer-ms", text="Cushion that starts each utterance.", default=40, panel=_MEDIA),
    ] = None,
    dtmf: Annotated[
        str | None,
        _option(
            "--dtmf",
            text="Keys reach the assistant as message, tone, ignore.",
            default="message",
            panel=_MEDIA,
        ),
    ] = None,
    barge_in: Annotated[
        str | None,
        _option(
            "--barge-in",
            text="What interrupts: user-interrupted, speech-update, off.",
            default="user-interrupted",
            panel=_MEDIA,
        ),
    ] = None,
    interrupt_guard_ms: Annotated[
        int | None,
        _option("--interrupt-guard-ms", text="Drop late audio after a barge-in.", default=0, panel=_MEDIA),
    ] = None,
    record: Annotated[
        str | None, _option("--record", text="Folder for recordings (not available yet).", panel=_MEDIA)
    ] = None,
    drain_s: Annotated[
        float | None,
        _option("--drain-s", text="How long SIGTERM lets calls run on.", default=30, panel=_LIMITS),
    ] = None,
    token_ttl_s: Annotated[
        float | None,
        _option("--token-ttl-s", text="Life of a media socket's one-time token.", default=60, panel=_LIMITS),
    ] = None,
    max_calls: Annotated[
        int | None, _option("--max-calls", text="Calls at a time.", default=500, panel=_LIMITS)
    ] = None,
    ping_interval_s: Annotated[
        float | None,
        _option("--ping-interval-s", text="A dead peer is found within this.", default=20, panel=_LIMITS),
    ] = None,
    tool_timeout_s: Annotated[
        float | None, _option("--tool-timeout-s", text="Limit of a tool.", default=18, panel=_LIMITS)
    ] = None,
    on_vapi_lost: Annotated[
        str | None,
        _option(
            "--on-vapi-lost", text="When Vapi goes away: hang_up, continue.", default="hang_up", panel=_LIMITS
        ),
    ] = None,
    auth: Annotated[
        bool | None,
        _option(
            "--auth/--no-auth", text="Check signatures. --no-auth is for development only.", panel=_LIMITS
        ),
    ] = None,
    unpaced: Annotated[
        bool | None,
        _option("--unpaced", text="Lift lead and flood limits, for benchmarks only.", panel=_LIMITS),
    ] = None,
    vapi_ws_auth: Annotated[
        bool | None,
        _option(
            "--vapi-ws-auth/--no-vapi-ws-auth", text="Send the bearer to Vapi's call socket.", panel=_LIMITS
        ),
    ] = None,
    vapi_host: Annotated[
        list[str] | None,
        _option(
            "--vapi-host", text="Host suffix of call sockets; may repeat.", default="vapi.ai", panel=_LIMITS
        ),
    ] = None,
) -> int:
    """Run a bridge: calls come in from the provider, an assistant of Vapi answers."""
    flags: dict[str, object] = dict(locals())  # the parameters carry the settings' names
    for name in ("config", "log_level"):
        flags.pop(name)
    flags["providers"] = flags.pop("provider") or None
    flags["vapi_hosts"] = flags.pop("vapi_host") or None
    _set_up_logging(log_level or os.environ.get("VAPIMEDIA_LOG_LEVEL") or "info")
    bridge, settings = prepare(flags, os.environ, config)
    if bridge is None and not settings.assistant_id:
        raise ConfigError(
            "assistant_id is not set; pass --assistant-id, or an --app that chooses one per call"
        )
    for text in settings.warnings():
        report.print_warning(text)

    from vapimedia.io.bridge import Bridge  # noqa: PLC0415  loads picows and aiohttp
    from vapimedia.io.loop import run  # noqa: PLC0415

    if bridge is None:
        bridge = Bridge(settings)
    else:
        bridge.configure(settings)
    return run(run_bridge(bridge, settings))


def prepare(
    flags: dict[str, object], environ: Mapping[str, str], file: Path | None
) -> tuple[Bridge | None, BridgeConfig]:
    """Return the user's bridge, if there is one, and the checked settings. Raises ``ConfigError``.

    What the bridge was built with counts where no other source says anything.
    """
    if file is None and environ.get("VAPIMEDIA_CONFIG", "").strip():
        file = Path(environ["VAPIMEDIA_CONFIG"].strip())
    settings = load_config(flags=flags, environ=environ, file=file)
    bridge = None
    if settings.app:
        bridge = load_app(settings.app)
        settings = load_config(flags=flags, environ=environ, file=file, defaults=bridge.config)
    settings.check()
    return bridge, settings


def load_app(spec: str) -> Bridge:
    """Import the bridge that *spec* (``pkg.mod:bridge``) names. Raises ``ConfigError``."""
    module_name, _, attribute = spec.partition(":")
    if not module_name or not attribute.isidentifier():
        raise ConfigError(f"app must look like pkg.mod:bridge, not {spec!r}")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # an installed command does not look where it was started
    try:
        module = importlib.import_module(module_name)
    except (
        Exception
    ) as error:  # the user's module may raise anything; it is the user's error, told in one line
        logging.getLogger("vapimedia").debug("importing %s failed", module_name, exc_info=True)
        raise ConfigError(
            f"cannot import the app {module_name!r}: {type(error).__name__}: {error}{place_of(error)}"
        ) from None
    from vapimedia.io.bridge import Bridge  # noqa: PLC0415  loads picows and aiohttp

    found = getattr(module, attribute, None)
    if not isinstance(found, Bridge):
        what = "has no such name" if found is None else f"holds a {type(found).__name__}, not a Bridge"
        raise ConfigError(f"app {spec!r}: {module_name} {what}")
    return found


async def run_bridge(bridge: Bridge, settings: BridgeConfig) -> int:
    """Serve until SIGTERM or SIGINT has drained the bridge; a second one closes it at once."""
    await bridge.start()
    stopping: list[asyncio.Task[None]] = []
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            report.stderr().print(
                f"{number.name}: draining, up to {settings.drain_s:g} s; again to stop at once"
            )
            stopping.append(asyncio.ensure_future(bridge.drain(number.name)))
        elif len(received) == 2:
            stopping.append(asyncio.ensure_future(bridge.close()))

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        report.stdout().print(banner(settings, bridge.port, bridge.admin_port), soft_wrap=True)
        sys.stdout.flush()  # a supervisor that reads the banner through a pipe waits for it
        await bridge.wait_closed()
        await asyncio.gather(*stopping)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        await bridge.close()
    return report.INTERRUPTED_EXIT if received and received[0] == signal.SIGINT else 0


def banner(settings: BridgeConfig, port: int, admin_port: int) -> str:
    """Return what to paste where, as rich markup. Nothing here is secret."""
    local = f"http://{_bracketed(settings.host)}:{port}"
    base = settings.public_url or local
    rows = [("Listening", local)]
    if "twilio" in settings.providers:
        rows.append(("Twilio: a call comes in (POST)", f"{base}/twilio/voice"))
        rows.append(("Twilio: call status changes (POST)", f"{base}/twilio/status"))
    rows.append(("Vapi: server URL", f"{base}/vapi/webhook"))
    rows.append(("Health, readiness", f"{local}/healthz /readyz"))
    admin = f"http://{_bracketed(settings.admin_address()[0])}:{admin_port}"
    rows.append(("Admin", f"{admin}/metrics /calls"))
    lines = ["[bold green]vapimedia serves[/]"]
    lines += [f"  {name:<36}[bold]{escape(value)}[/]" for name, value in rows]
    if not settings.auth:
        lines.append("[bold white on red] NO AUTH: anyone can place calls here. Development only. [/]")
    return "\n".join(lines)


def _bracketed(host: str) -> str:
    """Return *host* as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def _set_up_logging(level: str) -> None:
    if level.lower() not in _LEVELS:
        raise ConfigError(f"log level must be one of {', '.join(_LEVELS)}, not {level!r}")
    logging.basicConfig(
        level=level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
