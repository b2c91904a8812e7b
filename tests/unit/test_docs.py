"""The documentation is true where it can be checked.

``python tests/unit/test_docs.py`` writes the settings table anew.
"""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec
import pytest
import typer.main

from vapimedia import VapiClient
from vapimedia.cli.app import app
from vapimedia.io import live_control, vapi_client
from vapimedia.io.config import SECRETS, BridgeConfig
from vapimedia.io.config_sources import load_config
from vapimedia.io.config_webhooks import WebhookSettings
from vapimedia.protocols import DIALECTS, get_dialect
from vapimedia.session.events import EndReason
from vapimedia.session.lifecycle import State
from vapimedia.testing import Callee, FakeVapi

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
CLI = ROOT / "docs" / "cli.md"
BEGIN, END = "<!-- settings: begin -->\n", "<!-- settings: end -->"
# Settings whose variable or flag has another name than they have.
OWN_VARIABLES = {
    "vapi_api_key": "VAPI_API_KEY",
    "vapi_public_key": "VAPI_PUBLIC_KEY",
    "vapi_webhook_secret": "VAPI_WEBHOOK_SECRET",
    "twilio_account_sid": "TWILIO_ACCOUNT_SID",
    "twilio_auth_token": "TWILIO_AUTH_TOKEN",
    "twilio_api_url": "TWILIO_API_URL",
    "vonage_api_key": "VONAGE_API_KEY",
    "vonage_application_id": "VONAGE_APPLICATION_ID",
    "vonage_private_key": "VONAGE_PRIVATE_KEY",
    "vonage_signature_secret": "VONAGE_SIGNATURE_SECRET",
    "vonage_api_url": "VONAGE_API_URL",
    "providers": "VAPIMEDIA_PROVIDER",
    "vapi_hosts": "VAPIMEDIA_VAPI_HOST",
    "auth": "VAPIMEDIA_NO_AUTH",
    "vapi_ws_auth": "VAPIMEDIA_NO_VAPI_WS_AUTH",
}
FLAG_OF = {"providers": "provider", "vapi_hosts": "vapi_host"}
MEANINGS = {
    "lead_ms": "How far ahead of playout audio is sent; unset: the provider's limit (Twilio: 60000).",
    "vapi_api_key": "Vapi's private key. Required.",
    "vapi_public_key": "Vapi's public key, for calls whose `monitorPlan` wants it for control or listening.",
    "vapi_webhook_secret": "What Vapi's webhooks must carry. Without it they are refused.",
    "twilio_account_sid": "The Twilio account; needed to hang up by REST, to forward and to dial.",
    "twilio_auth_token": "Checks Twilio's signatures. Required unless `auth` is off.",
    "twilio_api_url": "Base of Twilio's REST API.",
    "twilio_from": "The account's number that outbound calls come from, in E.164; `dial --from` replaces it.",
    "vonage_api_key": "The Vonage account; what another one signed is refused.",
    "vonage_application_id": "The Vonage application; needed to hang up by REST, to forward and to dial.",
    "vonage_private_key": "The application's private key, the PEM text or the path of its file; needed likewise.",
    "vonage_signature_secret": "Checks Vonage's signatures. Required unless `auth` is off.",
    "vonage_api_url": "Base of Vonage's REST API.",
    "vonage_from": "The account's number that outbound calls, and the bridge's part of calls, come from.",
    "endpointing_timeout_s": "Limit of `on_endpointing`: the caller waits for it.",
    "webhook_max_kib": "A longer server message of Vapi's is refused with 413.",
    "phone_call_control": "Whether Vapi's `phone-call-control` forwards and hangs up the phone leg.",
    "assistant_request_error": "What a caller hears when no assistant could be chosen.",
    "vapi_webhook_auth": "The one way in which the secret may come ([all of them](webhooks.md#authentication)).",
    "vapi_webhook_bearer_header": "Header of the bearer credential.",
    "vapi_webhook_bearer_prefix": "What stands before the token; in TOML empty for nothing.",
    "vapi_webhook_signature_header": "Header of the HMAC credential.",
    "vapi_webhook_signature_prefix": "What stands before the signature, such as `sha256=`.",
    "vapi_webhook_timestamp_header": "Header of the time that is signed too.",
    "vapi_webhook_message_id_header": "Header that `{svix-id}` stands for.",
    "vapi_webhook_payload": "What is signed; empty: `{timestamp}.{body}`, or `{body}` if untimed.",
    "vapi_webhook_algorithm": "The HMAC's hash.",
    "vapi_webhook_encoding": "How the signature is written.",
    "vapi_webhook_secret_is_base64": "The HMAC's key is the secret decoded.",
    "vapi_webhook_untimed": "No timestamp is signed: a webhook can be replayed for ever.",
    "vapi_webhook_url": "The server URL as Vapi knows it, for `{url}`; else `public_url` and the path.",
    "browser_secret": "What a page must know to call; without it the browser provider serves this machine only.",
}


def serve_flags() -> dict[str, Any]:
    commands: Any = typer.main.get_command(app)
    return {parameter.name: parameter for parameter in commands.commands["serve"].params}


def shown_default(value: object) -> str:
    if isinstance(value, tuple):
        return f"`{', '.join(value)}`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return "" if value in (None, "") else f"`{value}`"


def allowed(type_: Any) -> str:
    if get_origin(type_) is Literal:
        return ", ".join(f"`{value}`" for value in get_args(type_))
    for part in (type_, *get_args(type_)):
        for meta in getattr(part, "__metadata__", ()):
            return str(meta.description).replace("a list of providers such as twilio", "a list")
    return "true, false" if type_ is bool else "text"


def settings_table() -> str:
    rows = [
        "| TOML key | flag | variable | default | allowed | meaning |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    flags = serve_flags()
    every = msgspec.structs.fields(BridgeConfig)
    webhooks = [info for info in every if info.name in WebhookSettings.__struct_fields__]
    for info in [*(info for info in every if info not in webhooks), *webhooks]:
        flag = flags.get(FLAG_OF.get(info.name, info.name))
        opts = [*flag.opts, *flag.secondary_opts] if flag is not None else []
        meaning = MEANINGS.get(info.name) or re.sub(r" Default: .*", "", flag.help)
        cells = (
            f"`{info.name}`",
            " ".join(f"`{opt}`" for opt in opts),
            f"`{OWN_VARIABLES.get(info.name, f'VAPIMEDIA_{info.name.upper()}')}`",
            shown_default(info.default),
            allowed(info.type),
            meaning,
        )
        rows.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(rows) + "\n"


def parts_of_cli() -> tuple[str, str, str]:
    before, _, rest = CLI.read_text(encoding="utf-8").partition(BEGIN)
    table, _, after = rest.partition(END)
    return before, table, after


def test_the_settings_table_is_the_settings() -> None:
    assert parts_of_cli()[1] == settings_table(), "run: python tests/unit/test_docs.py"


@pytest.mark.parametrize("name", BridgeConfig.__struct_fields__)
def test_every_documented_variable_sets_its_setting(name: str) -> None:
    default = getattr(BridgeConfig(), name)
    variable = OWN_VARIABLES.get(name, f"VAPIMEDIA_{name.upper()}")
    if isinstance(default, bool):
        text, expected = ("true", True) if not default else ("true", False)  # a --no-... variable negates
    elif name == "vonage_rate":
        text, expected = "8000", 8000
    elif isinstance(default, (int, float)) or name == "lead_ms":
        text, expected = "120", 120
    elif isinstance(default, tuple):
        text, expected = "a,b", ("a", "b")
    else:
        info = next(field for field in msgspec.structs.fields(BridgeConfig) if field.name == name)
        words = [value for value in get_args(info.type) if isinstance(value, str)]
        text = expected = words[-1] if words else "https://x"
    config = load_config(flags={}, environ={variable: text})
    assert getattr(config, name) == expected
    assert expected != default


def test_secrets_have_no_flag() -> None:
    assert not SECRETS & set(serve_flags())


def test_every_command_is_in_the_cli_page() -> None:
    commands: Any = typer.main.get_command(app)
    text = CLI.read_text(encoding="utf-8")
    assert [name for name in commands.commands if f"`vapimedia {name}" not in text] == []


def test_every_way_to_end_is_in_the_architecture_page() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert [reason for reason in get_args(EndReason) if f"| `{reason}` |" not in text] == []
    assert [state.name for state in State if state.name not in text] == []


def test_every_dialect_has_a_page() -> None:
    assert [name for name in DIALECTS if not (ROOT / "docs" / f"{name}.md").exists()] == []


@pytest.mark.parametrize("name", DIALECTS)
def test_every_route_of_a_dialect_is_in_the_cli_page(name: str) -> None:
    routes = get_dialect(name).routes
    wanted = [f"{method} /{name}/{routes.answer}" for method in routes.answer_methods]
    wanted += (
        [f"POST /{name}/{routes.status}", f"POST /{name}/{routes.status}/<reference>"]
        if routes.status
        else []
    )
    wanted += [f"WS /{name}/media", f"WS /{name}/media/<token>"]
    text = CLI.read_text(encoding="utf-8")
    assert [route for route in wanted if f"`{route}`" not in text] == []


def anchors_of(page: Path) -> set[str]:
    """What the headings of *page* are called in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ +(.+?) *$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", [*DOCS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_every_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    for link, anchor in links:
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), f"{link}#{anchor}"


@pytest.mark.parametrize("page", [*DOCS, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_source_file_that_is_named_exists(page: Path) -> None:
    named = re.findall(
        r"`((?:src|csrc|tests|benchmarks|examples|docs)/[\w./]+\.\w+)`", page.read_text(encoding="utf-8")
    )
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_example_of_the_kernels_page_runs() -> None:
    (block,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "audio.md").read_text(encoding="utf-8"), re.S
    )
    exec(block, {})


async def test_the_first_example_of_the_client_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    block = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "client.md").read_text(encoding="utf-8"), re.S
    )[0]
    monkeypatch.setattr(live_control, "_BEGUN_PAUSE_S", 0.005)
    monkeypatch.setattr(vapi_client, "_SETTLE_PAUSES_S", (0.005,) * 5)
    monkeypatch.setenv("VAPI_API_KEY", "vapi-test-key")
    names: dict[str, Any] = {}
    exec(block.replace("asyncio.run(main())", ""), names)
    async with FakeVapi(callee=Callee(caller=(), ring_s=0.02), speed=10) as vapi:
        names["VapiClient"] = functools.partial(VapiClient, base_url=vapi.url)
        await names["main"]()
        (call,) = vapi.phone_calls
    assert [message["type"] for message in call.controls] == ["say", "end-call"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_the_examples_of_the_testing_page_run(number: int) -> None:
    blocks = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(encoding="utf-8"), re.S
    )
    assert len(blocks) == 5
    subprocess.run([sys.executable, "-W", "error", "-c", blocks[number]], check=True, timeout=50)


if __name__ == "__main__":
    head, _, tail = parts_of_cli()
    CLI.write_text(head + BEGIN + settings_table() + END + tail, encoding="utf-8")
    sys.stdout.write(settings_table())
