"""Where a bridge had a call go on, as either provider was told: read from TwiML or an NCCO, and judged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl
from xml.etree import ElementTree

__all__ = ["Forwarded", "read_dial", "read_transfer"]

_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_SIP = re.compile(r"sips?:[^\s<>\"]+")
_DIAL = {"callerId", "timeout", "timeLimit", "answerOnBridge", "ringTone", "action", "method", "hangupOnStar"}
_NOUNS = {"Number": {"sendDigits", "url", "method"}, "Sip": {"username", "password", "url", "method"}}
_RING_S = range(5, 601)


@dataclass
class Forwarded:
    """A destination. ``address`` is a number with its plus sign, or a SIP URI without what asks for headers."""

    kind: Literal["number", "sip"]
    address: str
    caller_id: str = ""
    extension: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""


def read_dial(response: ElementTree.Element) -> tuple[Forwarded | None, list[str]]:
    """Return where the ``<Dial>`` of a TwiML leads, after what its ``<Say>`` says, and what Twilio would refuse."""
    found: list[str] = []
    dial = response.find("Dial")
    if dial is None:
        return None, found
    if unknown := set(dial.attrib) - _DIAL:
        found.append(f"12200 TwiML: unknown Dial attributes {sorted(unknown)}")
    caller_id, timeout = dial.get("callerId", ""), dial.get("timeout", "30")
    if not timeout.isdecimal() or int(timeout) not in _RING_S:
        found.append("13212 Dial: the timeout is not within 5 to 600 seconds")
    message = "".join(say.text or "" for say in response.findall("Say"))
    if not len(dial):  # a number may stand there by itself
        ElementTree.SubElement(dial, "Number").text = (dial.text or "").strip()
    nouns = [noun.tag for noun in dial]
    if nouns not in (["Number"], ["Sip"]):
        found.append(f"12200 TwiML: Dial must hold one Number or Sip, found {nouns}")
        return None, found
    noun = dial[0]
    if unknown := set(noun.attrib) - _NOUNS[noun.tag]:
        found.append(f"12200 TwiML: unknown {noun.tag} attributes {sorted(unknown)}")
    text = noun.text or ""
    if noun.tag == "Number":
        if not _E164.fullmatch(text):
            found.append("13224 Dial: the Number is not in E.164")
        if caller_id and not _E164.fullmatch(caller_id):
            found.append("13214 Dial: callerId is not in E.164")
        keys = noun.get("sendDigits", "")
        if not re.fullmatch(r"[0-9*#w]*", keys):
            found.append("13229 Dial: sendDigits holds more than digits, *, # and w")
        return Forwarded("number", text, caller_id, keys.lstrip("w"), message=message), found
    if not _SIP.fullmatch(text):
        found.append("13223 Dial: the Sip is no SIP URI")
    address, _, query = text.partition("?")
    return Forwarded("sip", address, caller_id, headers=dict(parse_qsl(query)), message=message), found


def read_transfer(actions: list[dict[str, Any]]) -> Forwarded | None:
    """Return where the ``connect`` of an NCCO leads, after what its ``talk`` says. ``vonage_ncco`` judges the rest."""
    connect = next((one for one in actions if one.get("action") == "connect"), None)
    endpoints = connect.get("endpoint") if connect is not None else None
    if (
        connect is None
        or not isinstance(endpoints, list)
        or not endpoints
        or not isinstance(endpoints[0], dict)
    ):
        return None
    endpoint, caller_id = endpoints[0], connect.get("from")
    message = "".join(str(one.get("text", "")) for one in actions if one.get("action") == "talk")
    shown = f"+{caller_id}" if caller_id else ""
    if endpoint.get("type") == "phone":
        keys = str(endpoint.get("dtmfAnswer", ""))
        return Forwarded("number", f"+{endpoint.get('number')}", shown, keys.lstrip("p"), message=message)
    if endpoint.get("type") == "sip":
        headers = {f"X-{name}": str(value) for name, value in (endpoint.get("headers") or {}).items()}
        return Forwarded("sip", str(endpoint.get("uri")), shown, headers=headers, message=message)
    return None
