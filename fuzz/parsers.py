"""The parsers of text from outside, each as a function that takes any bytes and raises where a law is broken.

``tools/fuzz.sh NAME`` throws invented input at one. The suite tries the corpora and what hypothesis makes of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

import msgspec

from vapimedia.errors import ConfigError, ProtocolError, ProviderError, VapiError
from vapimedia.io.http_head import read_head
from vapimedia.io.listen_intake import Intake
from vapimedia.io.listen_items import ListenItem, ListenStats
from vapimedia.protocols import vapi
from vapimedia.protocols.browser import BrowserDialect, BrowserSettings
from vapimedia.protocols.dialect import BaseDialect, Refusal, UpgradeRequest, WebhookRequest
from vapimedia.protocols.token import TokenSigner
from vapimedia.protocols.twilio import TwilioDialect, TwilioSettings
from vapimedia.protocols.vapi.listen import decode_listen
from vapimedia.protocols.vapi.malformed import describe_malformed
from vapimedia.protocols.vapi.tool_calls import ToolCalls
from vapimedia.protocols.vapi.transcriber import TranscriberStart, check_start, decode_transcriber
from vapimedia.protocols.vonage import VonageDialect, VonageSettings

CORPUS = Path(__file__).parent / "corpus"
SECRET = "a secret that no input holds"
PUBLIC_URL = "https://bridge.example"


def law(holds: object, text: str) -> None:
    if not holds:
        raise AssertionError(f"law broken: {text}")


def parts(data: bytes, n: int) -> list[bytes]:
    """Return what stands between zero bytes: *n* parts, the last with all that is left."""
    found = data.split(b"\0", n - 1)
    return found + [b""] * (n - len(found))


def text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def properties(event: object) -> Iterator[object]:
    """Read all that an event offers: nothing there may raise."""
    for name in dir(type(event)):
        if not name.startswith("_") and not callable(getattr(type(event), name)):
            yield getattr(event, name)


def told(event: object) -> None:
    """What was decoded can be shown, without what it was made from, and read."""
    law(repr(event).isprintable(), "a repr is printable")
    list(properties(event))


def vapi_event(data: bytes) -> None:
    """A text message of the call socket."""
    event = vapi.decode_event(data)
    told(event)
    law(vapi.peek_type(data) is not None, "a type is a text")
    if not isinstance(event, vapi.Malformed):
        again = vapi.decode_event(vapi.encode_event(event))
        law(type(again) is type(event), "what is written again reads alike")


def vapi_webhook(data: bytes) -> None:
    """A webhook's body, and a message for a call as a user's program posts it."""
    message = vapi.decode_server_message(data)
    told(message)
    if isinstance(message, vapi.Malformed):
        law("\n" not in describe_malformed(message, data), "what is wrong is told in one line")
    if isinstance(message, ToolCalls):
        for call in message.calls:
            law(isinstance(call.arguments(), dict | str), "arguments are an object or text")
    with contextlib.suppress(ProtocolError):
        told(vapi.decode_control(data))


def vapi_answer(data: bytes) -> None:
    """What Vapi's API answers."""
    status = (200, 201, 400, 429, 500)[data[0] % 5] if data else 200
    for read in (vapi.decode_call, vapi.decode_calls):
        try:
            repr(read(data[1:]))
        except VapiError as error:
            law(SECRET not in str(error), "an error holds no secret")
    try:
        told(vapi.read_created_call(status, data[1:], hide=[SECRET]))
    except VapiError as error:
        law(error.status == status, "an error tells the status")


def listen(data: bytes) -> None:
    """A listenUrl's messages, text and audio in turn, and those of a transcriber's socket."""
    taken: list[ListenItem] = []
    intake = Intake(16_000, 1, taken.append, ListenStats())
    intake.connected()
    for i, message in enumerate(data.split(b"\0")):
        decode_listen(message)
        intake.text(text(message))
        intake.audio(message, i * 0.4)
        transcribed = decode_transcriber(message)
        law(repr(transcribed).isprintable(), "a repr is printable")
        if isinstance(transcribed, TranscriberStart):
            with contextlib.suppress(ProtocolError):
                check_start(transcribed)
    intake.disconnected()
    for item in taken:
        repr(item)


def dialects(auth: bool) -> list[BaseDialect]:
    twilio = TwilioSettings("AC" + "0" * 32, SECRET, public_url=PUBLIC_URL, auth=auth)
    vonage = VonageSettings(signature_secret=SECRET, auth=auth)
    return [TwilioDialect(twilio), VonageDialect(vonage), BrowserDialect(BrowserSettings(SECRET, auth=auth))]


def provider_socket(data: bytes) -> None:
    """Messages on the provider's media socket, between zero bytes; each as text and as binary."""
    for dialect in dialects(auth=False):
        for message in data.split(b"\0"):
            for is_text in (True, False):
                for event in dialect.feed(message, is_text):
                    law(repr(event).isprintable(), "a repr is printable")


def headers_of(data: bytes) -> Mapping[str, str]:
    """Names in lower case, as a server passes them on."""
    lines = (line.partition(":") for line in text(data).split("\n"))
    return {name.strip().lower(): value.strip() for name, _, value in lines}


def provider_webhook(data: bytes) -> None:
    """A provider's webhook or upgrade: path, headers, body. Nobody gets in without the secret."""
    path, head, body = parts(data, 3)
    headers = headers_of(head)
    webhook = WebhookRequest("POST", text(path), headers, body, "127.0.0.1", 1.79e9)
    upgrade = UpgradeRequest(text(path), headers, "127.0.0.1", 1.79e9)
    for dialect in dialects(auth=True):
        law(isinstance(dialect.check_webhook(webhook), Refusal), "a webhook without the secret is refused")
        refused = isinstance(dialect.check_upgrade(upgrade), Refusal)
        law(refused or text(path).startswith("/browser/media/"), "an upgrade without it too")
    for dialect in dialects(auth=False):
        dialect.check_webhook(webhook)
        dialect.check_upgrade(upgrade)
        for read in (dialect.read_voice_webhook, dialect.read_status_webhook):
            with contextlib.suppress(ProtocolError):
                law(repr(read(webhook)).isprintable(), "a repr is printable")
        with contextlib.suppress(ProviderError):
            dialect.read_dialled(201, body)
    secrets = vapi.WebhookSecrets.any_of(SECRET)
    refusal = vapi.check_webhook_secret(headers, body, secrets, 1.79e9)
    law(isinstance(refusal, Refusal), "a webhook without Vapi's secret is refused")


def answer(data: bytes) -> None:
    """What a webhook brought stands in the document that answers it, and nothing else does."""
    name, value = map(text, parts(data, 2))
    twilio, vonage, _ = dialects(auth=False)
    url = "wss://bridge.example/media/token"
    try:
        stream = ElementTree.fromstring(twilio.answer(url, "", {name: value}).body)[0][0]
        law(
            (stream[0].attrib, len(stream)) == ({"name": name, "value": value}, 1), "a parameter stays itself"
        )
        law(stream.attrib == {"url": url}, "and adds nothing")
    except ConfigError:
        pass
    try:
        [action] = msgspec.json.decode(vonage.answer(url, "", {name: value}).body)
        law(action["endpoint"][0]["headers"] == {name: value}, "a parameter stays itself")
    except ConfigError:
        pass


def http_head(data: bytes) -> None:
    """The head of a request, as the public port looks at it."""
    head = read_head(data)
    if head is None:
        law(b"\r\n\r\n" not in data, "a head that has ended is read")
        return
    law(data[: head.n_bytes].endswith(b"\r\n\r\n"), "a head ends with its empty line")
    law(read_head(data[: head.n_bytes - 1]) is None, "and nowhere before")
    law(read_head(data[: head.n_bytes]) == head, "what follows does not matter")
    law(repr(head).isprintable(), "a repr is printable")
    if head.is_upgrade and not head.upgrade_flaw:
        plain = read_head(head.plain())
        law(plain is not None and plain.is_upgrade, "a flawless upgrade is one for picows")
        law(plain is not None and not plain.upgrade_flaw, "and flawless still")
    opened = TokenSigner(SECRET.encode()).open(head.target, 1.79e9)
    law(isinstance(opened, Refusal), "nobody invents a token")


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (
        vapi_event,
        vapi_webhook,
        vapi_answer,
        listen,
        provider_socket,
        provider_webhook,
        answer,
        http_head,
    )
}
