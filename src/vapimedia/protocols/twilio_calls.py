"""Twilio's REST API for calls, and the webhooks that say what became of one.

Source: twilio.com/docs/voice/api/call-resource, /docs/voice/answering-machine-detection,
/docs/voice/twiml/stream (statusCallback).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

import msgspec

from vapimedia.errors import ConfigError, ProtocolError, ProviderError
from vapimedia.protocols._rest import Outcome, check_ring_timeout, read_object, told_safely
from vapimedia.protocols._wire import printable
from vapimedia.protocols.commands import HttpCall
from vapimedia.protocols.dialect import DialRequest, StatusReport, WebhookRequest
from vapimedia.protocols.events import CallProgress, Problem, ProviderEvent, Stopped, UnknownMessage
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.protocols.phone_numbers import E164, without_separators
from vapimedia.protocols.twilio_signature import read_fields
from vapimedia.protocols.twilio_twiml import connect_stream, dial
from vapimedia.secret import Secret

if TYPE_CHECKING:
    from vapimedia.protocols.twilio import TwilioSettings

__all__ = [
    "dial_request",
    "dialled_call",
    "forward_request",
    "hangup_request",
    "is_sid",
    "status_report",
    "webhook_fields",
]

# A SID is two letters and 32 hex digits; fakes are freer. Nothing in it may need an escape in JSON.
_SID = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

# What a call can be followed by; the last stands for every way to end.
_PROGRESS_EVENTS = ("initiated", "ringing", "answered", "completed")
_RING_TIMEOUT_S = range(5, 601)
_MACHINE_DETECTION = ("Enable", "DetectMessageEnd")
_MAX_TWIML = 4000
_ADDRESS = re.compile(r"(?:sips?|client):\S+", re.IGNORECASE)
_MAX_ADDRESS = 512

_OUTCOMES: dict[str, Outcome] = {
    "completed": "",
    "busy": "busy",
    "no-answer": "unanswered",
    "canceled": "cancelled",
    "failed": "failed",
}
_PROGRESS: dict[str, Literal["ringing", "answered"]] = {
    "ringing": "ringing",
    "in-progress": "answered",
    "answered": "answered",
}
_NO_PROGRESS = frozenset({"", "queued", "initiated"})
# machine_start, machine_end_beep, machine_end_silence, machine_end_other; what may be added to them.
_MACHINE = re.compile(r"machine(_\w+)?|fax", re.ASCII)
# Errors 31900..31929 say that the stream's connection failed or is gone; from 31930 on they are warnings.
_CONNECTION_ERROR = re.compile(r"319[0-2]\d")

_MAX_REFUSAL = 200


def dial_request(settings: TwilioSettings, request: DialRequest) -> HttpCall:
    """Return the API request that makes a call. Raises ``ConfigError`` for what Twilio would refuse.

    Who answers hears the stream at once: an answering machine is told of later, by a callback.
    """
    url = _calls_url(settings)
    to, from_ = _numbers(request)
    check_ring_timeout(request.ring_timeout_s, _RING_TIMEOUT_S, "Twilio")
    if request.document is not None:
        raise ConfigError("a call through Twilio takes no document of its own; what it hears is its stream")
    twiml = connect_stream(request.media_url.reveal(), request.status_url, request.parameters).body.decode()
    _check_length(twiml, "the parameters")
    form: dict[str, str | tuple[str, ...]] = {"To": to, "From": from_, "Twiml": twiml}
    if request.status_url:
        form |= {
            "StatusCallback": request.status_url,
            "StatusCallbackMethod": "POST",
            # One field for each: several in one are taken, and then none is ever posted (error 21626).
            "StatusCallbackEvent": _PROGRESS_EVENTS,
        }
    form |= {"Timeout": str(request.ring_timeout_s), **_machine_detection(request)}
    return _post("dial", url, settings, form, gone=frozenset())


def dialled_call(status: int, body: bytes) -> str:
    """Return the SID of the call that the API has made. Raises ``ProviderError`` if there is none."""
    answer = read_object(body)
    if status == 201:
        sid = answer.get("sid")
        if isinstance(sid, str) and is_sid(sid):
            return sid
        raise ProviderError("Twilio made a call and told no proper sid of it", status=status)
    raise ProviderError(_refusal(status, answer), status=status)


def hangup_request(settings: TwilioSettings, call_id: str) -> HttpCall | None:
    """Return the API request that ends a call in whatever state; ``None`` if the account or call is unknown.

    ``canceled`` would end one that is queued or ringing only: a call answered in that moment would go on.
    """
    if not (settings.account_sid and settings.auth_token and call_id):
        return None
    # Error 20404: the call is over already.
    url = _call_url(settings, call_id)
    return _post("hangup", url, settings, {"Status": "completed"}, gone=frozenset({404}))


def forward_request(settings: TwilioSettings, call_id: str, to: ForwardTo) -> HttpCall:
    """Return the API request that has a call go on at *to*; its stream stops. Raises ``ConfigError``.

    A call that still rings, or is over, is refused (error 21220).
    """
    twiml = dial(to).body.decode()
    _check_length(twiml, "the message")
    if not call_id:
        raise ConfigError("Twilio has not named the call yet; forward it once it has started")
    url = _call_url(settings, call_id)
    request = _post("forward", url, settings, {"Twiml": twiml}, gone=frozenset())
    return msgspec.structs.replace(request, awaited=True)


def webhook_fields(request: WebhookRequest) -> dict[str, str]:
    """Return the fields of a webhook about a call. Raises ``ProtocolError`` if it names none."""
    try:
        fields = read_fields(request)
    except ValueError:
        raise ProtocolError("the webhook's form has too many fields") from None
    if not is_sid(fields.get("CallSid", "")):
        raise ProtocolError("the webhook has no proper CallSid; is it a voice webhook of Twilio?")
    return fields


def status_report(request: WebhookRequest) -> StatusReport:
    """Return what a callback says about the stream, the call, or who answered it.

    Raises ``ProtocolError`` if it names no call.
    """
    fields = webhook_fields(request)
    stream_event = fields.get("StreamEvent", "")
    events = _stream_events(stream_event, fields) if stream_event else _call_events(fields)
    return StatusReport(fields["CallSid"], tuple(events))


def is_sid(text: str) -> bool:
    """Whether *text* can be the id of a call or a stream."""
    return _SID.fullmatch(text) is not None


def _check_length(twiml: str, what: str) -> None:
    if len(twiml) > _MAX_TWIML:
        raise ConfigError(
            f"the call's TwiML has {len(twiml)} characters and Twilio takes {_MAX_TWIML}; shorten {what}"
        )


def _call_url(settings: TwilioSettings, call_id: str) -> str:
    return f"{_calls_url(settings).removesuffix('.json')}/{quote(call_id, safe='')}.json"


def _calls_url(settings: TwilioSettings) -> str:
    for value, name in ((settings.account_sid, "ACCOUNT_SID"), (settings.auth_token, "AUTH_TOKEN")):
        if not value:
            raise ConfigError(
                f"TWILIO_{name} is not set; Twilio makes and forwards calls of a known account only"
            )
    account = quote(settings.account_sid, safe="")
    return f"{settings.api_url.rstrip('/')}/2010-04-01/Accounts/{account}/Calls.json"


def _post(
    purpose: str,
    url: str,
    settings: TwilioSettings,
    form: Mapping[str, str | tuple[str, ...]],
    *,
    gone: frozenset[int],
) -> HttpCall:
    return HttpCall(
        purpose=purpose,
        method="POST",
        url=url,
        headers={
            "Authorization": _basic(settings),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        body=urlencode(form, doseq=True).encode(),
        gone=gone,
    )


def _basic(settings: TwilioSettings) -> Secret:
    pair = Secret(f"{settings.account_sid}:{settings.auth_token.reveal()}")
    return Secret(f"Basic {base64.b64encode(pair.reveal().encode()).decode()}")


def _numbers(request: DialRequest) -> tuple[str, str]:
    # The texts quote neither: they end in logs.
    if request.to is None:
        raise ConfigError("Twilio calls a number or an address, not the media socket alone; give one to call")
    to, from_ = request.to.strip(" "), request.from_.strip(" ")
    called, caller = _number(to), _number(from_)
    if not (called or (_is_word(to) and _ADDRESS.fullmatch(to))):
        raise ConfigError(
            "what is to be called must be a number in E.164 (+ and 7 to 15 digits) or an address with sip: or client:"
        )
    if not from_:
        raise ConfigError("no number to call from is set; set VAPIMEDIA_TWILIO_FROM to one of the account's")
    # An address may be called from any name, a number from a number only.
    if not (caller or (_is_word(from_) and not called)):
        raise ConfigError(
            "what calls a number must be one of the account's in E.164 (+ and 7 to 15 digits); "
            "see VAPIMEDIA_TWILIO_FROM"
        )
    return called or to, caller or from_


def _number(text: str) -> str:
    """Return a number in E.164 without what people write between its digits; empty if it is none."""
    number = without_separators(text)
    return number if E164.fullmatch(number) else ""


def _is_word(text: str) -> bool:
    return len(text) <= _MAX_ADDRESS and text.isprintable() and " " not in text


def _machine_detection(request: DialRequest) -> dict[str, str]:
    word = request.machine_detection
    if not word:
        return {}
    if word not in _MACHINE_DETECTION:
        raise ConfigError(
            f"machine_detection is {printable(word)!r}; Twilio knows {' and '.join(_MACHINE_DETECTION)}"
        )
    if not request.status_url:
        raise ConfigError("machine_detection needs a status URL, which is where Twilio tells who answered")
    return {"MachineDetection": word, "AsyncAmd": "true", "AsyncAmdStatusCallback": request.status_url}


def _refusal(status: int, answer: Mapping[str, Any]) -> str:
    told, code = answer.get("message"), answer.get("code")
    # Twilio's codes have five digits; whatever has more may be a number of somebody's.
    tail = f" ({code})" if type(code) is int and 0 < code < 100_000 else ""
    message = told_safely(told) if isinstance(told, str) else ""
    head = "Twilio refused the call: "
    return head + (message or f"HTTP status {status}")[: _MAX_REFUSAL - len(head) - len(tail)] + tail


def _stream_events(stream_event: str, fields: Mapping[str, str]) -> list[ProviderEvent]:
    match stream_event:
        case "stream-started":
            return []
        case "stream-stopped":
            return [Stopped(stream_event)]
        case "stream-error":
            return [_stream_error(fields)]
    return [UnknownMessage(printable(stream_event))]


def _stream_error(fields: Mapping[str, str]) -> Problem:
    # StreamError is free text that may hold our URL with its token; only the number is safe to show.
    told = f"{fields.get('StreamErrorCode', '')} {fields.get('StreamError', '')}"
    number = re.search(r"\b3\d{4}\b", told)
    text = f"Twilio reports stream error {number[0]}" if number else "Twilio reports a stream error"
    fatal = number is not None and _CONNECTION_ERROR.fullmatch(number[0]) is not None
    return Problem("stream_error", text, fatal=fatal)


def _call_events(fields: Mapping[str, str]) -> list[ProviderEvent]:
    status, direction = fields.get("CallStatus", ""), fields.get("Direction", "")
    if status in _OUTCOMES:
        # Who answered stands here once more; it was told while it still mattered.
        return [Stopped(status, _OUTCOMES[status])]
    events: list[ProviderEvent] = []
    if status in _PROGRESS:
        # Twilio distinguishes outbound-api from outbound-dial.
        if direction.startswith("outbound"):
            events.append(CallProgress(_PROGRESS[status], status))
    elif status not in _NO_PROGRESS:
        events.append(UnknownMessage(printable(status)))
    # The callback of machine detection names no direction: only calls that are made have it.
    return events if direction == "inbound" else events + _answered_by(fields.get("AnsweredBy", ""))


def _answered_by(word: str) -> list[ProviderEvent]:
    if word in ("", "unknown"):
        return []
    if word == "human":
        return [CallProgress("human", word)]
    return [CallProgress("machine", word) if _MACHINE.fullmatch(word) else UnknownMessage(printable(word))]
