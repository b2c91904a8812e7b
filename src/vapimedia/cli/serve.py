"""``vapimedia serve``: run a bridge until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from vapimedia.cli import options, report
from vapimedia.errors import ConfigError
from vapimedia.io.config import BridgeConfig
from vapimedia.io.config_sources import load_config
from vapimedia.io.log_format import write_log

if TYPE_CHECKING:
    from vapimedia.io.bridge import Bridge
    from vapimedia.io.workers.supervisor import Supervisor

__all__ = ["EPILOG", "prepare", "run_bridge", "serve", "set_up_logging"]

EPILOG = """
Keys come by environment or file only:
VAPI_API_KEY, VAPI_WEBHOOK_SECRET; TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN; VONAGE_API_KEY, VONAGE_APPLICATION_ID,
VONAGE_PRIVATE_KEY (the PEM text or its file), VONAGE_SIGNATURE_SECRET; VAPIMEDIA_BROWSER_SECRET.
Every flag is also a variable (--drain-s: VAPIMEDIA_DRAIN_S) and a key of the TOML file (drain_s = 30).
Flags win over variables, variables over the file, and the file over what the app's bridge was built with.

Examples:

  vapimedia serve --assistant-id asst_1 --public-url https://bridge.example.com

  vapimedia serve --config bridge.toml --app myshop.phone:bridge

  vapimedia serve --vapi-url http://127.0.0.1:9001 --assistant-id asst_1 --no-auth   (development)
"""


@report.ends_with_exit_code
def serve(
    *,
    host: options.Host = None,
    port: options.Port = None,
    provider: options.Providers = None,
    public_url: options.PublicUrl = None,
    vapi_url: options.VapiUrl = None,
    assistant_id: options.AssistantId = None,
    app: options.App = None,
    admin: options.Admin = None,
    config: options.ConfigFile = None,
    workers: options.Workers = None,
    log_level: options.LogLevel = None,
    log_format: options.LogFormat = None,
    wire_log: options.WireLog = None,
    vapi_format: options.VapiFormat = None,
    vonage_rate: options.VonageRate = None,
    quality: options.Quality = None,
    lead_ms: options.LeadMs = None,
    prebuffer_ms: options.PrebufferMs = None,
    coalesce_us: options.CoalesceUs = None,
    dtmf: options.Dtmf = None,
    barge_in: options.BargeIn = None,
    interrupt_guard_ms: options.InterruptGuardMs = None,
    record: options.Record = None,
    drain_s: options.DrainS = None,
    token_ttl_s: options.TokenTtlS = None,
    max_calls: options.MaxCalls = None,
    ping_interval_s: options.PingIntervalS = None,
    tool_timeout_s: options.ToolTimeoutS = None,
    webhook_timeout_s: options.WebhookTimeoutS = None,
    on_vapi_lost: options.OnVapiLost = None,
    on_callback_error: options.OnCallbackError = None,
    vapi_transfers: options.VapiTransfers = None,
    auth: options.Auth = None,
    unpaced: options.Unpaced = None,
    vapi_ws_auth: options.VapiWsAuth = None,
    vapi_host: options.VapiHosts = None,
) -> int:
    """Run a bridge: calls come in from the provider, an assistant of Vapi answers."""
    flags: dict[str, object] = dict(locals())  # the parameters carry the settings' names
    for name in ("config", "log_level"):
        flags.pop(name)
    flags["providers"] = flags.pop("provider") or None
    flags["vapi_hosts"] = flags.pop("vapi_host") or None
    set_up_logging(log_level)  # for what the user's module logs when it is imported
    bridge, settings = prepare(flags, os.environ, config)
    level = set_up_logging(log_level, settings.log_format)
    if bridge is None and not settings.assistant_id:
        raise ConfigError(
            "assistant_id is not set; pass --assistant-id, or an --app that chooses one per call"
        )
    for text in settings.warnings():
        report.print_warning(text)

    from vapimedia.io.bridge import Bridge  # noqa: PLC0415  loads picows and aiohttp
    from vapimedia.io.loop import run  # noqa: PLC0415

    bridge = bridge or Bridge()
    bridge.configure(settings)
    bridge.check()
    if settings.workers == 1:
        return run(run_bridge(bridge, settings))
    from vapimedia.io.workers.supervisor import Supervisor  # noqa: PLC0415

    async def supervise() -> int:
        return await run_bridge(Supervisor(settings, log_level=level), settings)

    return run(supervise())


def prepare(
    flags: dict[str, object], environ: Mapping[str, str], file: Path | None
) -> tuple[Bridge | None, BridgeConfig]:
    """Return the user's bridge, if there is one, and the checked settings. Raises ``ConfigError``.

    What the bridge was built with counts where no other source says anything.
    """
    settings = load_config(flags=flags, environ=environ, file=options.config_file(file, environ))
    bridge = None
    if settings.app:
        from vapimedia.io.user_app import load_app  # noqa: PLC0415  loads picows and aiohttp

        bridge = load_app(settings.app)
        settings = load_config(flags=flags, environ=environ, file=file, defaults=bridge.config)
    settings.check()
    return bridge, settings


async def run_bridge(bridge: Bridge | Supervisor, settings: BridgeConfig) -> int:
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
    if "vonage" in settings.providers:
        rows.append(("Vonage: answer URL (GET or POST)", f"{base}/vonage/answer"))
        rows.append(("Vonage: event URL (POST)", f"{base}/vonage/event"))
    if "browser" in settings.providers:
        rows.append(("Browser: the page to call from", f"{base}/phone"))
    rows.append(("Vapi: server URL", f"{base}/vapi/webhook"))
    rows.append(("Health, readiness", f"{local}/healthz /readyz"))
    admin = f"http://{_bracketed(settings.admin_address()[0])}:{admin_port}"
    rows.append(("Admin", f"{admin}/metrics /calls"))
    if settings.workers > 1:
        rows.append(("Workers", str(settings.workers)))
    lines = ["[bold green]vapimedia serves[/]"]
    lines += [f"  {name:<36}[bold]{escape(value)}[/]" for name, value in rows]
    if not settings.auth:
        lines.append("[bold white on red] NO AUTH: anyone can place calls here. Development only. [/]")
    return "\n".join(lines)


def _bracketed(host: str) -> str:
    """Return *host* as it stands in a URL."""
    return f"[{host}]" if ":" in host else host


def set_up_logging(flag: str | None, form: str = "text", *, default: str = "info") -> str:
    """Log to standard error, in *form*, from the level on that *flag* or the environment names, and return it.

    Raises ``ConfigError``.
    """
    level = flag or os.environ.get("VAPIMEDIA_LOG_LEVEL") or default
    if level.lower() not in options.LOG_LEVELS:
        raise ConfigError(f"log level must be one of {', '.join(options.LOG_LEVELS)}, not {level!r}")
    write_log(level, "json" if form == "json" else "text")
    return level
