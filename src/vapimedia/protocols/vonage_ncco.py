"""NCCO, the JSON that tells Vonage what to do with a call. Source: Vonage's NCCO reference and WebSockets guide."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from vapimedia.errors import ConfigError
from vapimedia.protocols.dialect import Document
from vapimedia.protocols.forwarding import ForwardTo

__all__ = [
    "CALL_ID",
    "RESERVED",
    "SAMPLE_RATES",
    "actions_of",
    "as_document",
    "connect",
    "connect_elsewhere",
    "phone_number",
    "wait_alone",
    "websocket_endpoint",
]

SAMPLE_RATES = (8000, 16000, 24000)
CALL_ID = "call_uuid"
"""The header that tells the media socket which call it belongs to."""
RESERVED = frozenset({"event", "content-type", CALL_ID})
"""Names that the first message on the socket, into which headers are flattened, has another use for."""

# Of the whole object (Vonage, WebSockets guide, "headers").
_MAX_HEADERS = 512
# Half a second each, before the keys of an extension.
_PAUSE = "pp"
_STANDARD_HEADER = "User-to-User"
_URL = re.compile(r"wss?://[^/?#\s@]+(/[^#\s]*)?")
# E.164, which Vonage wants without its plus sign.
_NUMBER = re.compile(r"\+?([1-9][0-9]{6,14})")


def as_document(actions: list[dict[str, Any]]) -> Document:
    """Return *actions* as the answer to a webhook. None at all end the call."""
    return Document("application/json", msgspec.json.encode(actions))


def connect(endpoint: dict[str, Any], status_url: str, from_: str = "") -> dict[str, Any]:
    """Return the action that joins *endpoint* to the call; what becomes of it is told to *status_url*.

    It is ``synchronous``, so that the answer to such a report may be another NCCO. Nothing else follows: the call
    ends with the media socket. *from_* is left out where none is known.
    """
    action: dict[str, Any] = {"action": "connect", "eventType": "synchronous", "endpoint": [endpoint]}
    if from_:
        action["from"] = from_
    if status_url:
        action["eventUrl"] = [status_url]
    return action


def connect_elsewhere(to: ForwardTo, from_: str) -> list[dict[str, Any]]:
    """Return the NCCO that says *to*'s message and connects the call to it. The call ends with that.

    *from_* is shown to a destination that names no caller. Raises ``ConfigError`` for what Vonage would refuse.
    """
    endpoint: dict[str, Any]
    if to.kind == "number":
        endpoint = {"type": "phone", "number": phone_number(to.address)}
        if to.extension:
            endpoint["dtmfAnswer"] = _PAUSE + to.extension
    else:
        endpoint = {"type": "sip", "uri": to.address} | _sip_headers(to.headers)
    action: dict[str, Any] = {"action": "connect", "endpoint": [endpoint], "timeout": to.ring_timeout_s}
    if to.caller_id:
        from_ = phone_number(to.caller_id)
        if not from_:
            raise ConfigError("Vonage shows numbers only: caller_id must be one in E.164")
    if from_:
        action["from"] = from_
    return [{"action": "talk", "text": to.message}, action] if to.message else [action]


def _sip_headers(headers: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return *headers* as a SIP endpoint has them: Vonage puts an ``X-`` before all but the standard one it knows."""
    own: dict[str, str] = {}
    standard: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() == _STANDARD_HEADER.lower():
            standard[_STANDARD_HEADER] = value
        else:
            own[name[2:] if name.lower().startswith("x-") else name] = value
    return {key: some for key, some in (("headers", own), ("standardHeaders", standard)) if some}


def websocket_endpoint(
    media_url: str, sample_rate: int, parameters: Mapping[str, str], *, call_id: str = "", signed: bool = True
) -> dict[str, Any]:
    """Return the media socket at *media_url* as an endpoint. Raises ``ConfigError`` for what Vonage would refuse.

    With *signed* the upgrade carries a token like that of a webhook. *parameters* and *call_id* come back in the
    first message on the socket and with every event about it.
    """
    if not _URL.fullmatch(media_url):
        raise ConfigError("Vonage's media URL must be wss://host/path, without user or fragment")
    reserved = sorted(RESERVED & set(parameters))
    if reserved:
        raise ConfigError(f"the parameter {reserved[0]!r} has a name that Vonage's messages use; rename it")
    headers = ({CALL_ID: call_id} if call_id else {}) | dict(parameters)
    try:
        n_bytes = len(msgspec.json.encode(headers))
    except (TypeError, ValueError):
        raise ConfigError("a parameter is no text, or holds a character that JSON cannot carry") from None
    if n_bytes > _MAX_HEADERS:
        raise ConfigError(
            f"the parameters have {n_bytes} bytes as JSON, the call's id included, and Vonage takes {_MAX_HEADERS}; "
            "shorten them"
        )
    endpoint: dict[str, Any] = {
        "type": "websocket",
        "uri": media_url,
        "content-type": f"audio/l16;rate={sample_rate}",
        "headers": headers,
    }
    if signed:
        endpoint["authorization"] = {"type": "vonage"}
    return endpoint


def wait_alone(media_url: str) -> list[dict[str, Any]]:
    """Return what keeps a call to the media socket alone open: a conversation that nobody else is in.

    Two calls in a conversation of one name would hear each other, so each has its own; it does not show the
    token in the URL that it is made from.
    """
    own = hashlib.sha256(media_url.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return [{"action": "conversation", "name": f"vapimedia-{own}"}]


def actions_of(told: Any) -> list[dict[str, Any]]:
    """Return *told* if it is an NCCO: a list of one or more objects with an ``action``. Raises ``ConfigError``."""
    if not isinstance(told, list) or not told:
        raise ConfigError("an NCCO must be a list of one or more actions")
    for action in told:
        name = action.get("action") if isinstance(action, dict) else None
        if not isinstance(name, str) or not name:
            raise ConfigError(
                'each action of an NCCO must be an object such as {"action": "talk", "text": "..."}'
            )
    try:
        msgspec.json.encode(told)
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise ConfigError("the NCCO holds something that JSON cannot carry") from None
    return told


def phone_number(text: str) -> str:
    """Return the digits of a number in E.164 as Vonage writes it, without a plus sign; empty if it is none."""
    found = _NUMBER.fullmatch(text.strip(" "))
    return found[1] if found is not None else ""
