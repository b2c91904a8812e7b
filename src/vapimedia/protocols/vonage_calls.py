"""Vonage's REST API for calls, and the webhooks that say what became of one.

Source: Vonage's Voice API reference (``/v1/calls``) and webhook reference; WebSockets guide, "Fallback options".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

import msgspec

from vapimedia.errors import ConfigError, ProtocolError, ProviderError
from vapimedia.protocols._rest import Outcome, check_ring_timeout, read_object, told_safely
from vapimedia.protocols._wire import BROKEN, printable
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.dialect import DialRequest, IncomingCall, StatusReport, WebhookRequest
from vapimedia.protocols.events import CallProgress, ProviderEvent, Stopped, UnknownMessage
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.protocols.vonage_jwt import signer
from vapimedia.protocols.vonage_messages import is_id
from vapimedia.protocols.vonage_ncco import (
    CALL_ID,
    actions_of,
    connect,
    connect_elsewhere,
    phone_number,
    wait_alone,
    websocket_endpoint,
)

if TYPE_CHECKING:
    from vapimedia.protocols.vonage import VonageSettings

__all__ = [
    "dial_request",
    "dialled_call",
    "forward_request",
    "hangup_request",
    "incoming_call",
    "status_report",
]

_JSON = {"Content-Type": "application/json"}
_MAX_FIELDS = 1000
_RING_TIMEOUT_S = range(1, 121)
_MACHINE_DETECTION = ("continue", "hangup")

_OUTCOMES: dict[str, Outcome] = {
    "completed": "",
    "busy": "busy",
    "unanswered": "unanswered",
    "timeout": "unanswered",
    "rejected": "rejected",
    "cancelled": "cancelled",
    "failed": "failed",
}
# What a media socket that never came about, or that dropped, is said to be.
_MEDIA_LOST = (frozenset(_OUTCOMES) | {"disconnected"}) - {"completed"}
_NO_PROGRESS = frozenset({"started", "ringing", "answered"})

_MAX_REFUSAL = 200


def dial_request(settings: VonageSettings, request: DialRequest) -> HttpCall:
    """Return the API request that makes a call. Raises ``ConfigError`` for what Vonage would refuse.

    A call to a phone is joined to the media socket when somebody answers. A call to the socket alone hears
    *request.document*, or else nothing (see ``wait_alone``).
    """
    _check_application(settings)
    told = request.from_ or settings.from_number
    if not told:
        raise ConfigError("no number to call from is set; set VAPIMEDIA_VONAGE_FROM to one of the account's")
    # No text quotes a number: it ends in logs.
    from_ = phone_number(told)
    if not from_:
        raise ConfigError(
            "the number to call from must be one of the account's in E.164; see VAPIMEDIA_VONAGE_FROM"
        )
    check_ring_timeout(request.ring_timeout_s, _RING_TIMEOUT_S, "Vonage")
    endpoint = websocket_endpoint(
        request.media_url.reveal(), settings.sample_rate, request.parameters, signed=settings.auth
    )
    if request.to is None:
        to = endpoint
        ncco = (
            wait_alone(request.media_url.reveal())
            if request.document is None
            else actions_of(request.document)
        )
    else:
        if request.document is not None:
            raise ConfigError(
                "a call to a phone hears the media socket; only a call to that alone takes a document"
            )
        to = {"type": "phone", "number": phone_number(request.to)}
        if not to["number"]:
            raise ConfigError("what is to be called must be a number in E.164: + and 7 to 15 digits")
        ncco = [connect(endpoint, request.status_url, from_)]
    body: dict[str, Any] = {
        "to": [to],
        "from": {"type": "phone", "number": from_},
        "ncco": ncco,
        "ringing_timer": request.ring_timeout_s,
    }
    if request.status_url:
        body["event_url"] = [request.status_url]
    if request.machine_detection:
        body["machine_detection"] = _machine_detection(request.machine_detection)
    url = f"{settings.api_url.rstrip('/')}/v1/calls"
    sign = signer(settings.application_id, settings.private_key)
    return HttpCall("dial", "POST", url, dict(_JSON), msgspec.json.encode(body), frozenset(), sign)


def dialled_call(status: int, body: bytes) -> str:
    """Return the id of the call that the API has made. Raises ``ProviderError`` if there is none."""
    answer = read_object(body)
    if not 200 <= status < 300:
        raise ProviderError(_refusal(status, answer), status=status)
    call_id = answer.get("uuid")
    if not isinstance(call_id, str) or not is_id(call_id):
        raise ProviderError("Vonage made a call and told no proper uuid of it", status=status)
    return call_id


def hangup_request(settings: VonageSettings, call_id: str) -> HttpCall | None:
    """Return the API request that ends a call; ``None`` if the application or the call is unknown.

    After it no ``disconnected`` is reported, as it is when we close the socket.
    """
    if not (settings.application_id and settings.private_key and call_id):
        return None
    # 404: the call is over already.
    return _update("hangup", settings, call_id, {"action": "hangup"}, gone=frozenset({404}))


def forward_request(settings: VonageSettings, call_id: str, to: ForwardTo, from_: str) -> HttpCall:
    """Return the API request that has a call's phone leg go on at *to*, without the media socket.

    *from_* is the number of ours that it shows. Raises ``ConfigError`` if the application or the call is unknown.
    """
    ncco = connect_elsewhere(to, from_)
    _check_application(settings)
    if not call_id:
        raise ConfigError("Vonage has not named the call; forward it once it has started")
    body = {"action": "transfer", "destination": {"type": "ncco", "ncco": ncco}}
    return _update("forward", settings, call_id, body, awaited=True)


def _update(
    purpose: str,
    settings: VonageSettings,
    call_id: str,
    body: dict[str, Any],
    *,
    gone: frozenset[int] = frozenset(),
    awaited: bool = False,
) -> HttpCall:
    return HttpCall(
        purpose=purpose,
        method="PUT",
        url=f"{settings.api_url.rstrip('/')}/v1/calls/{quote(call_id, safe='')}",
        headers=dict(_JSON),
        body=msgspec.json.encode(body),
        gone=gone,
        sign=signer(settings.application_id, settings.private_key),
        awaited=awaited,
    )


def _check_application(settings: VonageSettings) -> None:
    for value, name in ((settings.application_id, "APPLICATION_ID"), (settings.private_key, "PRIVATE_KEY")):
        if not value:
            raise ConfigError(
                f"VONAGE_{name} is not set; Vonage makes and forwards calls of a known application only"
            )


def incoming_call(request: WebhookRequest) -> IncomingCall:
    """Return the call that a voice webhook announces. Raises ``ProtocolError`` if it names none."""
    fields = {name: value for name, value in _fields(request).items() if isinstance(value, str)}
    call_id = fields.get("uuid", "")
    if not is_id(call_id):
        raise ProtocolError("the webhook has no proper uuid; is it an answer webhook of Vonage?")
    return IncomingCall(
        call_id=call_id,
        from_=fields.get("from", ""),
        to=fields.get("to", ""),
        # An answer webhook names none: Vonage asks for an NCCO of calls that come in, and we send it with ours.
        direction="outbound" if fields.get("direction") == "outbound" else "inbound",
        fields=fields,
    )


def status_report(request: WebhookRequest) -> StatusReport:
    """Return what an event webhook says about the phone's leg, or about that of the media socket.

    Raises ``ProtocolError`` if it names no call. No text of it quotes what the webhook says beyond its status.
    """
    fields = _fields(request)
    status, to, headers = (fields.get(name) for name in ("status", "to", "headers"))
    leg_id = _id(fields.get("uuid"))
    # Errors are about a conversation and name no leg of it.
    if not leg_id and not is_id(fields.get("conversation_uuid")):
        raise ProtocolError("the webhook has no proper uuid; is it an event webhook of Vonage?")
    is_media = isinstance(to, str) and to.lower().startswith(("wss://", "ws://"))
    # The media leg has a uuid of its own, by which nobody knows the call.
    call_id = _id(headers.get(CALL_ID) if isinstance(headers, dict) else None) if is_media else leg_id
    if not isinstance(status, str):
        return StatusReport(call_id, (UnknownMessage("error" if "reason" in fields else "event"),))
    if not is_media:
        return StatusReport(call_id, tuple(_phone_events(status, fields)))
    if status in _MEDIA_LOST:
        # Not to be hung up by us: Vonage may have something else for the caller. Nor does it say what the phone did.
        return StatusReport(call_id, (Stopped(status, "media_lost"),), media_lost=status)
    if status == "completed":
        return StatusReport(call_id, (Stopped(status),))
    return StatusReport(call_id, () if status in _NO_PROGRESS else (UnknownMessage(printable(status)),))


def _id(told: object) -> str:
    return told if isinstance(told, str) and is_id(told) else ""


def _phone_events(status: str, fields: Mapping[str, Any]) -> list[ProviderEvent]:
    if status in _OUTCOMES:
        return [Stopped(status, _OUTCOMES[status])]
    direction, detail = fields.get("direction"), fields.get("sub_state")
    match status:
        case "ringing" | "answered":
            # Of a call that came in nobody needs to be told that it rings.
            return [CallProgress(status)] if direction == "outbound" else []
        case "machine" | "human":
            return [CallProgress(status, printable(detail) if isinstance(detail, str) else "")]
    return [] if status in _NO_PROGRESS else [UnknownMessage(printable(status))]


def _fields(request: WebhookRequest) -> dict[str, Any]:
    if request.method.upper() == "GET":
        try:
            query = request.path.partition("?")[2]
            return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
        except ValueError:
            raise ProtocolError("the webhook's query has too many fields") from None
    try:
        return msgspec.json.decode(request.body, type=dict[str, Any])
    except BROKEN:
        raise ProtocolError("the webhook's body is not a JSON object; is it a webhook of Vonage?") from None


def _machine_detection(chosen: str) -> str:
    if chosen not in _MACHINE_DETECTION:
        raise ConfigError(
            f"machine_detection is {printable(chosen)!r}; Vonage knows {' and '.join(_MACHINE_DETECTION)}"
        )
    return chosen


def _refusal(status: int, answer: Mapping[str, Any]) -> str:
    # An API of several ages: problem+json, or one of the older shapes.
    told = [answer.get(name) for name in ("title", "error_title", "detail", "type")]
    words = [told_safely(part) for part in told if isinstance(part, str)]
    # Where the type is a URL nothing is left of it.
    message = ": ".join(dict.fromkeys(part for part in words if part.strip(".")))
    return f"Vonage refused the call: {message or f'HTTP status {status}'}"[:_MAX_REFUSAL]
