"""A secret shows by ``reveal()`` alone, and whatever holds one shows none."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle
import pprint
import traceback
from dataclasses import asdict, dataclass

import msgspec
import pytest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from vapimedia import BridgeConfig, CreatedCall, Secret, VapiClient
from vapimedia.io.config import SECRETS
from vapimedia.io.workers import channel
from vapimedia.io.workers.messages import Setup
from vapimedia.protocols.browser import BrowserSettings
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.dialect import DialRequest
from vapimedia.protocols.twilio import TwilioSettings
from vapimedia.protocols.vapi import WebhookSecrets
from vapimedia.protocols.vonage import VonageSettings
from vapimedia.secret import hide_received, reveal_to_ourselves
from vapimedia.session.lifecycle import VapiCall

CANARY = "canary-0123456789"


@dataclass
class Holder:
    secret: Secret


HOLDERS: dict[str, object] = {
    "the type itself": Secret(CANARY),
    "a list": [Secret(CANARY)],
    "a dataclass": Holder(Secret(CANARY)),
    "the settings": BridgeConfig(**dict.fromkeys(SECRETS, CANARY)),  # type: ignore[arg-type]
    "Twilio's settings": TwilioSettings(auth_token=CANARY),
    "Vonage's settings": VonageSettings(private_key=CANARY, signature_secret=CANARY),
    "the page's settings": BrowserSettings(secret=CANARY),
    "webhook secrets": WebhookSecrets.any_of(CANARY),
    "a created call": CreatedCall("id", f"wss://{CANARY}", f"https://{CANARY}", f"wss://{CANARY}"),
    "a request": HttpCall("hangup", "POST", f"https://{CANARY}", {"Authorization": Secret(CANARY)}),
    "a call to be made": DialRequest(to=None, from_="", media_url=f"wss://{CANARY}", status_url=""),
    "Vapi's call": VapiCall("id", Secret(CANARY), {"Authorization": Secret(CANARY)}),
    "a client": VapiClient(CANARY, public_key=CANARY),
    "its headers": VapiClient(CANARY).authorization,
    "a worker's settings": Setup(1, BridgeConfig(vapi_api_key=CANARY), b"", 0, 0, ""),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_no_text_form_of_what_holds_a_secret_shows_it(name: str) -> None:
    value = HOLDERS[name]
    shown = [
        repr(value),
        str(value),
        f"{value}",
        f"{value!s:>40}",
        f"{value} {value!r}",
        pprint.pformat(value),
    ]
    shown += [pretty_repr(value), pretty_repr({"x": [value]}), ascii(value)]
    console = Console(file=io.StringIO(), width=400)
    console.print(value, {"x": value})
    assert isinstance(console.file, io.StringIO)
    shown.append(console.file.getvalue())
    shown.append(logging.LogRecord("x", 10, "", 1, "%s %r", (value, value), None).getMessage())
    assert not [text for text in shown if "canary" in text]


@pytest.mark.parametrize("name", HOLDERS)
def test_what_holds_a_secret_is_not_encoded_or_pickled_by_accident(name: str) -> None:
    value = HOLDERS[name]
    for encode in (
        pickle.dumps,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        lambda x: json.dumps(x).encode(),
    ):
        try:
            encoded = encode(value)
        except TypeError as error:
            encoded = str(error).encode()
        assert b"canary" not in encoded


def test_the_locals_of_a_traceback_show_no_secret() -> None:
    config = BridgeConfig(vapi_api_key=CANARY)
    client = VapiClient.of(config)
    try:
        headers = client.authorization
        raise RuntimeError(len(headers))
    except RuntimeError as error:
        console = Console(file=io.StringIO(), width=400)
        console.print(Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True))
        assert isinstance(console.file, io.StringIO)
        shown = console.file.getvalue()
        shown += "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "headers" in shown and "canary-" not in shown


def test_it_reveals_what_it_was_made_of() -> None:
    assert Secret(CANARY).reveal() == Secret(Secret(CANARY)).reveal() == CANARY
    assert copy.copy(Secret(CANARY)).reveal() == copy.deepcopy([Secret(CANARY)])[0].reveal() == CANARY
    assert asdict(Holder(Secret(CANARY)))["secret"].reveal() == CANARY


def test_it_equals_its_text_and_nothing_else() -> None:
    secret = Secret("a\udc80")
    assert secret == "a\udc80" and secret == Secret("a\udc80") and secret == "a\udc80"
    assert secret != "a" and secret != Secret("b") and secret != b"a" and secret != None  # noqa: E711
    assert {secret: 1}[Secret("a\udc80")] == 1 and len({secret, "a\udc80"}) == 1


def test_it_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr("hmac.compare_digest", lambda a, b: asked.append((a, b)) or a == b)
    assert Secret("a") == "a" and Secret("a") != Secret("b")
    assert asked == [(b"a", b"a"), (b"a", b"b")]


def test_an_empty_one_is_false_and_shows_that_it_is_empty() -> None:
    assert not Secret() and Secret("x")
    assert (str(Secret()), repr(Secret()), str(Secret("x")), repr(Secret("x"))) == (
        "",
        "Secret('')",
        "***",
        "Secret('***')",
    )


def test_it_cannot_be_changed() -> None:
    secret = Secret("a")
    for change in (
        lambda: setattr(secret, "_text", "b"),
        lambda: setattr(secret, "x", "b"),
        lambda: delattr(secret, "_text"),
    ):
        with pytest.raises(AttributeError):
            change()
    with pytest.raises(TypeError):
        vars(secret)


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_every_secret_setting_takes_text_and_holds_a_secret(name: str) -> None:
    for given in (CANARY, Secret(CANARY)):
        held = getattr(BridgeConfig(**{name: given}), name)  # type: ignore[arg-type]
        assert type(held) is Secret and held == CANARY


def test_settings_reach_a_worker_with_their_secrets() -> None:
    config = BridgeConfig(vapi_api_key=CANARY, public_url="https://a.example")
    frame = channel._Frame("tell", 1, False, Setup(1, config, b"s", 1, 2, "info"))
    came = channel._decode(channel._encode(frame)).body
    assert isinstance(came, Setup) and came.config == config
    assert came.config.vapi_api_key.reveal() == CANARY


def test_settings_reach_the_demos_bridge_with_their_secrets() -> None:
    config = BridgeConfig(vapi_api_key=CANARY)
    told = msgspec.json.encode(config, enc_hook=reveal_to_ourselves)
    came = msgspec.json.decode(told, type=BridgeConfig, dec_hook=hide_received)
    assert came == config and came.vapi_api_key.reveal() == CANARY
