"""Twilio's side of the wire, written from its documentation: signatures, TwiML, a judge of messages."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

from vapimedia.testing.forwarded import Forwarded, read_dial

__all__ = ["Twiml", "judge_message", "parse_twiml", "sign"]

_STREAM_ATTRIBUTES = {"url", "name", "track", "statusCallback", "statusCallbackMethod"}
_MAX_PARAMETER_CHARS = 500


def sign(auth_token: str, url: str, params: Mapping[str, str] | None = None) -> str:
    """Return ``X-Twilio-Signature``: HMAC-SHA1 over the URL and the sorted form fields, in base64."""
    text = url + "".join(name + value for name, value in sorted((params or {}).items()))
    return base64.b64encode(hmac.digest(auth_token.encode(), text.encode(), hashlib.sha1)).decode()


@dataclass
class Twiml:
    """What a voice webhook answered, or a call was redirected to.

    ``stream_url`` is ``None`` when it connects the call to no stream, ``forwarded`` when it dials nobody.
    """

    verbs: list[str] = field(default_factory=list)
    stream_url: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    status_callback: str | None = None
    forwarded: Forwarded | None = None
    violations: list[str] = field(default_factory=list)

    @property
    def after(self) -> list[str]:
        """The verbs that run once the stream has ended."""
        return self.verbs[self.verbs.index("Connect") + 1 :] if "Connect" in self.verbs else []


def parse_twiml(
    document: str, *, insecure_hosts: tuple[str, ...] = ("127.0.0.1", "localhost", "[::1]")
) -> Twiml:
    """Read a TwiML document and list what Twilio would refuse; ``ws://`` passes for *insecure_hosts* only."""
    twiml = Twiml()
    if "<!DOCTYPE" in document or "<!ENTITY" in document:
        twiml.violations.append("12100 TwiML: a document type declaration")
        return twiml
    try:
        # S314: entities need a DOCTYPE, refused above.
        root = ElementTree.fromstring(document)  # noqa: S314
    except ElementTree.ParseError as error:
        twiml.violations.append(f"12100 TwiML: not XML ({error})")
        return twiml
    if root.tag != "Response":
        twiml.violations.append(f"12100 TwiML: the root is {root.tag}, not Response")
        return twiml
    twiml.verbs = [verb.tag for verb in root]
    connect = root.find("Connect")
    if connect is not None:
        _read_connect(connect, twiml, insecure_hosts)
    twiml.forwarded, wrong = read_dial(root)
    twiml.violations += wrong
    return twiml


def _read_connect(connect: ElementTree.Element, twiml: Twiml, insecure_hosts: tuple[str, ...]) -> None:
    nouns = [noun.tag for noun in connect]
    if nouns != ["Stream"]:
        twiml.violations.append(f"12200 TwiML: Connect must hold exactly one Stream, found {nouns}")
        return
    stream = connect[0]
    unknown = set(stream.attrib) - _STREAM_ATTRIBUTES
    if unknown:
        twiml.violations.append(f"12200 TwiML: unknown Stream attributes {sorted(unknown)}")
    if stream.get("track", "inbound_track") != "inbound_track":
        twiml.violations.append("31941 TwiML: a bidirectional Stream has the inbound_track only")
    url = stream.get("url", "")
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    if parts.scheme != "wss" and not (parts.scheme == "ws" and host in insecure_hosts):
        twiml.violations.append(f"31922 TwiML: the Stream's scheme is {parts.scheme!r}, not wss")
    if parts.query or parts.fragment:
        twiml.violations.append("31923 TwiML: a Stream url has no query string")
    if parts.scheme in {"ws", "wss"} and parts.hostname:
        twiml.stream_url = url
    twiml.status_callback = stream.get("statusCallback")
    for child in stream:
        name, value = child.get("name"), child.get("value")
        if (
            child.tag != "Parameter"
            or name is None
            or value is None
            or set(child.attrib) != {"name", "value"}
        ):
            twiml.violations.append(
                f"12200 TwiML: a Stream holds Parameter name= value= only, found {child.tag}"
            )
        elif len(name) + len(value) >= _MAX_PARAMETER_CHARS:
            twiml.violations.append(f"12200 TwiML: Parameter {name} is longer than {_MAX_PARAMETER_CHARS}")
        else:
            twiml.parameters[name] = value


def judge_message(text: str, stream_sid: str) -> tuple[dict[str, Any] | None, str | None]:
    """Return the message when Twilio would act on it, and what it would warn of.

    A media message comes back with its payload decoded. Only the documented keys may be there.
    """
    try:
        message = json.loads(text)
    except ValueError:
        return None, "31951 not JSON"
    if not isinstance(message, dict):
        return None, "31951 not a JSON object"
    event = message.get("event")
    body_keys = {"media": {"payload"}, "mark": {"name"}, "clear": None}
    if event not in body_keys:
        return None, f"31951 unknown event {event!r}"
    if message.get("streamSid") != stream_sid:
        return None, f"31951 {event}: wrong streamSid"
    inner = body_keys[event]
    wanted = {"event", "streamSid"} | ({event} if inner else set())
    body = message.get(event)
    if set(message) != wanted:
        return None, f"31951 {event}: keys {sorted(message)}, documented are {sorted(wanted)}"
    if inner is not None:
        if not isinstance(body, dict) or set(body) != inner:
            return None, f"31951 {event}: must hold exactly {sorted(inner)}"
        if not all(isinstance(value, str) for value in body.values()):
            return None, f"31951 {event}: values must be strings"
    if event == "media" and isinstance(body, dict):
        payload = _payload(body["payload"])
        if payload is None:
            return None, "31951 media: the payload is not strict base64"
        message["media"] = {"payload": payload}
        if not payload:
            return message, "31951 media: an empty payload"
    return message, None


def _payload(text: str) -> bytes | None:
    try:
        payload = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return payload if base64.b64encode(payload).decode() == text else None
