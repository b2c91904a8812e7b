"""``vapimedia control``: tell a running call something, from a terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, get_args

import msgspec
import typer

from vapimedia.cli import options, report
from vapimedia.cli.vapi_access import call_settings
from vapimedia.errors import ConfigError, ProtocolError, VapiError
from vapimedia.io.config_sources import suggest
from vapimedia.protocols.vapi import commands
from vapimedia.protocols.vapi.call_urls import check_monitor_url, is_url

if TYPE_CHECKING:
    from vapimedia.io.config import BridgeConfig
    from vapimedia.protocols.vapi import CallRecord

__all__ = ["EPILOG", "control"]

EPILOG = """
CALL is Vapi's id of the call, or its controlUrl. An id needs VAPI_API_KEY, a URL does not. Calls with
monitorPlan.controlAuthenticationEnabled need VAPI_PUBLIC_KEY. What has no flag here is a variable or a key of
the TOML file, as for serve.

Exit codes: 0 Vapi took it; 1 it did not, or the call is over; 2 usage or settings.

Examples:

  vapimedia control --list

  vapimedia control 0f6f2b9e-5d0a-4c53-9a37-1d7c6f0a9b11 say "One moment, please." --interrupt

  vapimedia control 0f6f2b9e-5d0a-4c53-9a37-1d7c6f0a9b11 transfer +15555550123 --first "I will connect you."
"""

_LISTED = 50
_Options = dict[str, Any]


class _Verb(NamedTuple):
    """What follows a verb (nothing: no word may), the flags that go with it, and the message they make."""

    wants: str
    flags: tuple[str, ...]
    message: Callable[[str, _Options], bytes]


def _fixed(name: commands.ControlName) -> _Verb:
    return _Verb("", (), lambda _text, _options: commands.control(name))


def _say(text: str, given: _Options) -> bytes:
    return commands.say(
        text,
        end_call_after_spoken=given["end_call_after"] or None,
        interruptions_enabled=False if given["no_interruptions"] else None,
        interrupt_assistant_enabled=given["interrupt"] or None,
    )


def _add_message(text: str, given: _Options) -> bytes:
    return commands.add_message(given["role"] or "system", text, not given["silent"])


def _transport_message(text: str, _given: _Options) -> bytes:
    try:
        message = msgspec.json.encode(
            {"type": "send-transport-message", "message": msgspec.json.decode(text)}
        )
        return commands.decode_control(message).encode()
    except (ProtocolError, msgspec.DecodeError) as error:
        reason = str(error) if isinstance(error, ProtocolError) else "it is not JSON"
        raise ConfigError(
            f'{reason}; give JSON such as \'{{"transport":"twilio","twiml":"<Response/>"}}\''
        ) from None


_VERBS = {
    "say": _Verb("what to say", ("end_call_after", "no_interruptions", "interrupt"), _say),
    "add-message": _Verb("the message", ("role", "silent"), _add_message),
    "append-context": _Verb(
        "the context",
        ("kind",),
        lambda text, given: commands.append_context(given["kind"] or "commentary", text),
    ),
    **{name: _fixed(name) for name in get_args(commands.ControlName)},
    "end-call": _Verb("", (), lambda _text, _given: commands.end_call()),
    "transfer": _Verb(
        "a number or a sip: address",
        ("first",),
        lambda text, given: commands.transfer(text, given["first"] or ""),
    ),
    "handoff": _Verb(
        "the other assistant's id",
        ("first",),
        lambda text, given: commands.handoff(text, given["first"] or ""),
    ),
    "send-transport-message": _Verb("JSON", (), _transport_message),
}


def _flag(*names: str, text: str) -> Any:
    return typer.Option(*names, metavar="", help=text, rich_help_panel="What a verb takes")


def _word(name: str, text: str) -> Any:
    return options.option(name, text=text, panel="What a verb takes")


@report.ends_with_exit_code
def control(
    call: Annotated[
        str | None, typer.Argument(metavar="CALL", help="Its id, or its controlUrl.", show_default=False)
    ] = None,
    verb: Annotated[
        str | None,
        typer.Argument(metavar="VERB", help=f"One of {', '.join(_VERBS)}.", show_default=False),
    ] = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="What the verb is about.", show_default=False),
    ] = None,
    *,
    end_call_after: Annotated[bool, _flag("--end-call-after", text="say: then end the call.")] = False,
    interrupt: Annotated[
        bool, _flag("--interrupt", text="say: instead of what the assistant is saying now.")
    ] = False,
    no_interruptions: Annotated[
        bool, _flag("--no-interruptions", text="say: the caller cannot interrupt it.")
    ] = False,
    role: Annotated[
        str | None, _word("--role", f"add-message: {', '.join(get_args(commands.Role))}. Default: system.")
    ] = None,
    silent: Annotated[bool, _flag("--silent", text="add-message: the assistant does not answer it.")] = False,
    kind: Annotated[
        str | None,
        _word("--kind", f"append-context: {', '.join(get_args(commands.ContextKind))}. Default: commentary."),
    ] = None,
    first: Annotated[str | None, _word("--first", "transfer, handoff: what is said before it.")] = None,
    list_calls: Annotated[
        bool, typer.Option("--list", metavar="", help="Show the account's live calls and their ids.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print one JSON document.")] = False,
    vapi_url: options.VapiUrl = None,
    vapi_host: options.VapiHosts = None,
    config: options.ConfigFile = None,
) -> int:
    """Tell a running call something: say, mute, transfer, end it, ..."""
    if list_calls:
        if call is not None:
            raise ConfigError("--list takes no CALL: it shows which there are")
        settings = _settings(vapi_url, vapi_host, config, call=None)
        return _list(settings, as_json=as_json)
    given = {
        "end_call_after": end_call_after,
        "interrupt": interrupt,
        "no_interruptions": no_interruptions,
        "role": role,
        "silent": silent,
        "kind": kind,
        "first": first,
    }
    if call is None:
        raise ConfigError(
            "which call? give its id or its controlUrl; vapimedia control --list shows live calls"
        )
    call = call.strip()
    message = _message(call, verb, " ".join(words or ()), given)
    if is_url(call):
        check_monitor_url(call, "control")
    return _tell(_settings(vapi_url, vapi_host, config, call), call, str(verb), message, as_json=as_json)


def _message(call: str, verb: str | None, text: str, given: _Options) -> bytes:
    known = _VERBS.get(verb or "")
    if known is None:
        if call in _VERBS:
            raise ConfigError(
                f"the call comes first: vapimedia control CALL {call} ...; vapimedia control --list shows live calls"
            )
        what = f"unknown verb {verb!r}{_meant(verb)}" if verb else "no verb says what it shall do"
        raise ConfigError(f"{what}; verbs are {', '.join(_VERBS)}")
    for flag, value in given.items():
        if value and flag not in known.flags:
            whose = " and ".join(name for name, other in _VERBS.items() if flag in other.flags)
            raise ConfigError(f"--{flag.replace('_', '-')} goes with {whose}, not with {verb}")
    if known.wants and not text.strip():
        raise ConfigError(f"{verb} needs {known.wants}: vapimedia control CALL {verb} ...")
    if text and not known.wants:
        raise ConfigError(f"{verb} takes no text")
    return known.message(text, given)


def _meant(verb: str) -> str:
    word = verb.lower().replace("_", "-")
    if word in ("hangup", "hang-up", "end"):
        word = "end-call"
    return suggest(next((name for name in _VERBS if name.startswith(word)), word), _VERBS)


def _settings(
    vapi_url: str | None, vapi_hosts: list[str] | None, file: Path | None, call: str | None
) -> BridgeConfig:
    return call_settings(call, vapi_url=vapi_url, vapi_hosts=vapi_hosts, file=file, url_name="controlUrl")


def _tell(settings: BridgeConfig, call: str, verb: str, message: bytes, *, as_json: bool) -> int:
    from vapimedia.io.loop import run  # noqa: PLC0415  these load aiohttp
    from vapimedia.io.vapi_client import VapiClient  # noqa: PLC0415

    async def send() -> None:
        async with VapiClient.of(settings) as client:
            await client.control(call).send(message)

    started = time.monotonic()
    error: VapiError | None = None
    try:
        run(send())
    except VapiError as failed:
        error = failed
    took_ms = round((time.monotonic() - started) * 1000, 1)
    if as_json:
        known = {"verb": verb, "ok": error is None, "took_ms": took_ms}
        known |= {} if is_url(call) else {"call": call}
        known |= {} if error is None else {"error": str(error), "status": error.status}
        typer.echo(json.dumps(known))
    elif error is None:
        report.stdout().print(f"[bold green]taken[/] {verb}, in {took_ms:.0f} ms", soft_wrap=True)
    if error is not None:
        report.print_error(str(error))
    return report.FAILED_EXIT if error is not None else 0


def _list(settings: BridgeConfig, *, as_json: bool) -> int:
    from vapimedia.io.loop import run  # noqa: PLC0415  these load aiohttp
    from vapimedia.io.vapi_client import VapiClient  # noqa: PLC0415

    async def ask() -> list[CallRecord]:
        async with VapiClient.of(settings) as client:
            return await client.list_calls(limit=_LISTED)

    calls = [call for call in run(ask()) if not call.has_ended]
    rows = [
        {
            "id": call.id,
            "status": call.status or "",
            "type": call.type or "",
            "created_at": call.created_at or "",
        }
        for call in calls
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return 0
    if not rows:
        report.stdout().print(f"none of the {_LISTED} latest calls is live")
        return 0
    # No table: an id that is cut to fit is of no use.
    for id_, status, type_, created_at in [
        ("id", "status", "type", "created at"),
        *(row.values() for row in rows),
    ]:
        line = f"{id_:<36}  {status:<11}  {type_:<18}  {created_at[:19]}"
        clean = "".join(char if char.isprintable() else " " for char in line)
        report.stdout().print(clean.rstrip(), markup=False, soft_wrap=True)
    return 0
