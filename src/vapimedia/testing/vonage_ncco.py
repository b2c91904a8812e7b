"""A strict judge of NCCOs, and of the bodies that make calls: only what is documented may be there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from vapimedia.formats import AudioFormat

__all__ = ["Ncco", "judge_call_body", "parse_ncco", "read_actions", "read_endpoint"]

CONTENT_TYPES = tuple(f"audio/l16;rate={rate}" for rate in (8000, 16000, 24000))
_ACTIONS = {"record", "conversation", "connect", "talk", "stream", "input", "notify", "wait", "transfer"}
_WANTED = {"talk": "text", "stream": "streamUrl", "conversation": "name", "notify": "payload"}
# "from" may be left out, by the NCCO reference; only the models of Vonage's SDK want it, or randomFromNumber.
_CONNECT_KEYS = {
    *("action", "endpoint", "from", "randomFromNumber", "eventType", "eventUrl", "eventMethod"),
    *("timeout", "limit", "machineDetection", "advancedMachineDetection", "ringbackTone"),
}
_CALL_KEYS = {
    *("to", "from", "random_from_number", "ncco", "answer_url", "answer_method", "event_url"),
    *("event_method", "machine_detection", "advanced_machine_detection", "length_timer", "ringing_timer"),
}
# Endpoints by their type, of a connect action and of a call's "to"; the latter spells two keys its own way.
_ENDPOINT_KEYS = {
    "websocket": {"type", "uri", "content-type", "headers", "authorization"},
    "phone": {"type", "number", "dtmfAnswer", "onAnswer", "shaken"},
    "sip": {"type", "uri", "headers", "standardHeaders", "standard_headers"},
    "app": {"type", "user"},
    "vbc": {"type", "extension"},
}
_RESERVED_HEADERS = {"event", "content-type"}
_MAX_HEADERS_BYTES = 512
_MAX_LIMIT_S = 7200
_NUMBER = re.compile(r"[1-9]\d{6,14}\Z")  # E.164 without its plus


@dataclass
class Ncco:
    """What an answer webhook answered. ``uri`` is ``None`` when it connects the call to no socket."""

    actions: list[dict[str, Any]] = field(default_factory=list)
    uri: str | None = None
    content_type: str = "audio/l16;rate=16000"
    headers: dict[str, Any] = field(default_factory=dict)
    authorization: dict[str, Any] = field(default_factory=dict)
    from_: str | None = None
    event_url: str | None = None
    event_method: str = "POST"
    synchronous: bool = False
    violations: list[str] = field(default_factory=list)

    @property
    def fmt(self) -> AudioFormat:
        """What the socket carries, from the content-type."""
        return AudioFormat.parse(self.content_type)

    @property
    def after(self) -> list[dict[str, Any]]:
        """The actions that run once the socket has ended."""
        sockets = [index for index, action in enumerate(self.actions) if _is_socket(action)]
        return self.actions[sockets[0] + 1 :] if sockets else []


def parse_ncco(document: str) -> Ncco:
    """Read an NCCO and list what Vonage would refuse or does not document."""
    ncco = Ncco()
    try:
        actions = json.loads(document)
    except ValueError:
        ncco.violations.append("NCCO: not JSON")
        return ncco
    return read_actions(actions)


def read_actions(actions: Any) -> Ncco:
    """Read an NCCO that was sent inline."""
    ncco = Ncco()
    if not isinstance(actions, list) or not all(isinstance(one, dict) for one in actions):
        ncco.violations.append("NCCO: not an array of objects")
        return ncco
    ncco.actions = actions
    for action in actions:
        name = str(action.get("action"))
        if name not in _ACTIONS:
            ncco.violations.append(f"NCCO: unknown action {action.get('action')!r}")
        wanted = _WANTED.get(name)
        if wanted is not None and not action.get(wanted):
            ncco.violations.append(f"NCCO {name}: needs {wanted}")
        if name == "talk" and not isinstance(action.get("text", ""), str):
            ncco.violations.append("NCCO talk: text must be a text")
    sockets = [action for action in actions if _is_socket(action)]
    if len(sockets) > 1:
        ncco.violations.append(f"NCCO: {len(sockets)} actions connect to a websocket, not one")
    for action in actions:
        if action.get("action") == "connect":
            _read_connect(action, ncco, first_socket=bool(sockets) and action is sockets[0])
    return ncco


def _is_socket(action: dict[str, Any]) -> bool:
    endpoints = action.get("endpoint") if action.get("action") == "connect" else None
    return isinstance(endpoints, list) and any(
        isinstance(one, dict) and one.get("type") == "websocket" for one in endpoints
    )


def _read_connect(action: dict[str, Any], ncco: Ncco, *, first_socket: bool) -> None:
    found = ncco.violations
    _only("NCCO connect", action, _CONNECT_KEYS, found)
    endpoints = action.get("endpoint")
    if not isinstance(endpoints, list) or len(endpoints) != 1 or not isinstance(endpoints[0], dict):
        found.append("NCCO connect: endpoint must be an array of exactly one object")
        return
    number = action.get("from")
    if number is not None:
        _check_number("NCCO connect: from", number, found)
        if action.get("randomFromNumber"):
            found.append("NCCO connect: from and randomFromNumber together")
    if not isinstance(action.get("randomFromNumber", False), bool):
        found.append("NCCO connect: randomFromNumber must be true or false")
    if action.get("eventType", "synchronous") != "synchronous":
        found.append("NCCO connect: eventType can only be synchronous")
    event_url = _one_url("NCCO connect: eventUrl", action.get("eventUrl"), found)
    method = _method("NCCO connect: eventMethod", action.get("eventMethod", "POST"), found)
    _check_seconds("NCCO connect: timeout", action.get("timeout"), None, found)
    _check_seconds("NCCO connect: limit", action.get("limit"), _MAX_LIMIT_S, found)
    endpoint = endpoints[0]
    if first_socket:
        read_endpoint(endpoint, ncco)
        ncco.from_, ncco.event_url, ncco.event_method = number, event_url, method
        ncco.synchronous = action.get("eventType") == "synchronous"
    else:
        _check_other_endpoint("NCCO connect", endpoint, found)


def read_endpoint(endpoint: dict[str, Any], ncco: Ncco) -> None:
    """Read a websocket endpoint into *ncco*."""
    found = ncco.violations
    _only("websocket endpoint", endpoint, _ENDPOINT_KEYS["websocket"], found)
    uri = endpoint.get("uri")
    if not _is_url(uri, "ws", "wss") or urlsplit(uri).fragment:
        found.append("websocket endpoint: uri must be a ws:// or wss:// URL without a fragment")
    else:
        ncco.uri = uri
    content_type = endpoint.get("content-type")
    if content_type in CONTENT_TYPES:
        ncco.content_type = content_type
    else:
        found.append(
            f"websocket endpoint: content-type is {content_type!r}, not one of {', '.join(CONTENT_TYPES)}"
        )
    headers = endpoint.get("headers", {})
    if isinstance(headers, dict):
        ncco.headers = headers
        n_bytes = len(json.dumps(headers, separators=(",", ":"), ensure_ascii=False).encode())
        if n_bytes > _MAX_HEADERS_BYTES:
            found.append(f"websocket endpoint: headers are {n_bytes} bytes, more than {_MAX_HEADERS_BYTES}")
        for name in _RESERVED_HEADERS & set(headers):
            found.append(f"websocket endpoint: the header {name} collides with websocket:connected")
    else:
        found.append("websocket endpoint: headers must be an object")
    if "authorization" in endpoint:
        _read_authorization(endpoint["authorization"], ncco)


def _read_authorization(authorization: Any, ncco: Ncco) -> None:
    match authorization:
        case {"type": "vonage", **rest} if not set(rest) - {"value"}:
            ncco.authorization = authorization
        case {"type": "custom", "value": str(), **rest} if not rest:
            ncco.authorization = authorization
        case _:
            ncco.violations.append(
                'websocket endpoint: authorization must be {"type":"vonage"} or {"type":"custom","value":"..."}'
            )


def judge_call_body(body: Any) -> tuple[list[str], list[str]]:
    """Return why ``POST /v1/calls`` refuses *body*, and what in it is undocumented though let through.

    Its NCCO and websocket endpoint are judged when the call runs.
    """
    refused: list[str] = []
    odd: list[str] = []
    if not isinstance(body, dict):
        return ["call: the body is not a JSON object"], odd
    _only("call", body, _CALL_KEYS, odd)
    to = body.get("to")
    if not isinstance(to, list) or len(to) != 1 or not isinstance(to[0], dict):
        refused.append("call: to must be an array of exactly one endpoint")
    elif to[0].get("type") != "websocket":
        _check_other_endpoint("call: to", to[0], refused)
    match body.get("from"), body.get("random_from_number"):
        case {"type": "phone", "number": number, **rest}, None | False:
            _check_number("call: from", number, refused)
            _only("call: from", rest, set(), odd)
        case None, True:
            pass
        case _:
            refused.append('call: needs from {"type":"phone","number":...}, or random_from_number')
    if (body.get("ncco") is None) == (body.get("answer_url") is None):
        refused.append("call: needs either ncco or answer_url")
    if not isinstance(body.get("ncco"), list | None):
        refused.append("call: ncco must be an array")
    for name in ("answer_url", "event_url"):
        _one_url(f"call: {name}", body.get(name), refused)
    for name in ("answer_method", "event_method"):
        _method(f"call: {name}", body.get(name, "GET"), refused)
    if body.get("machine_detection", "continue") not in ("continue", "hangup"):
        refused.append("call: machine_detection must be continue or hangup")
    _check_seconds("call: ringing_timer", body.get("ringing_timer"), 120, refused)
    _check_seconds("call: length_timer", body.get("length_timer"), 86400, refused)
    return refused, odd


def _check_other_endpoint(where: str, endpoint: dict[str, Any], found: list[str]) -> None:
    kind = str(endpoint.get("type"))
    if kind not in _ENDPOINT_KEYS:
        found.append(f"{where}: unknown endpoint type {kind!r}")
        return
    _only(f"{where}: {kind} endpoint", endpoint, _ENDPOINT_KEYS[kind], found)
    if kind == "phone":
        _check_number(f"{where}: number", endpoint.get("number"), found)


def _check_number(where: str, number: Any, found: list[str]) -> None:
    # The number itself is personal: it is never quoted.
    if not isinstance(number, str) or not _NUMBER.match(number):
        found.append(f"{where} must be a text of 7 to 15 digits, country code first and no plus")


def _check_seconds(where: str, value: Any, most: int | None, found: list[str]) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1 or value > (most or value):
        found.append(f"{where} must be a whole number of seconds, 1 to {most or 'any'}")


def _one_url(where: str, urls: Any, found: list[str]) -> str | None:
    if urls is None:
        return None
    url = urls[0] if isinstance(urls, list) and len(urls) == 1 else None
    if not _is_url(url, "http", "https"):
        found.append(f"{where} must be an array of exactly one http or https URL")
        return None
    return str(url)


def _is_url(url: Any, *schemes: str) -> bool:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        return False
    return parts is not None and parts.scheme in schemes and bool(parts.hostname)


def _method(where: str, method: Any, found: list[str]) -> str:
    if method in ("GET", "POST"):
        return str(method)
    found.append(f"{where} must be GET or POST")
    return "POST"


def _only(where: str, given: Iterable[Any], known: set[str], found: list[str]) -> None:
    unknown = sorted(str(name) for name in set(given) - known)
    if unknown:
        found.append(f"{where}: undocumented keys {unknown}")
