"""A browser as the phone: the message language of a page that calls over one WebSocket.

The page is the WebSocket client. Audio is binary both ways, pcm_s16le at the rate of the page's AudioContext, in
messages of any size; everything else is text with one JSON object. There is no start message: the upgrade says it
all. Source: docs.vapi.ai/calls/websocket-transport, whose page speaks to Vapi itself in the same words.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import ClassVar
from urllib.parse import parse_qsl

import msgspec

from vapimedia.errors import ProtocolError
from vapimedia.media import Envelope
from vapimedia.protocols._wire import BROKEN, printable
from vapimedia.protocols.browser_access import check_access
from vapimedia.protocols.commands import CloseSocket, Command, SendText
from vapimedia.protocols.dialect import (
    BaseDialect,
    Caps,
    Document,
    IncomingCall,
    Refusal,
    Routes,
    StatusReport,
    UpgradeRequest,
    WebhookRequest,
)
from vapimedia.protocols.events import (
    Dtmf,
    LegFormat,
    Media,
    Problem,
    ProviderEvent,
    Started,
    Stopped,
    UnknownMessage,
)
from vapimedia.protocols.vapi import SpeechUpdate, StatusUpdate, Transcript, VapiEvent
from vapimedia.secret import SecretField, keep_secret

__all__ = ["BrowserDialect", "BrowserSettings"]

_DEFAULT_RATE = 48_000
_MIN_RATE, _MAX_RATE = 8000, 96_000
_RATES = (
    f"the rate must be the page's sample rate, {_MIN_RATE}..{_MAX_RATE} Hz with whole 20 ms frames "
    "(such as 44100 or 48000)"
)
# A token follows the path. Whatever else is written there counts as a socket without one and must show its key.
_TOKEN_PATH = re.compile(r"/browser/media/[^/?]")
_RATE = re.compile(r"[0-9]{1,6}")
_MAX_QUERY_FIELDS = 20
_DIGITS = frozenset("0123456789*#ABCD")
_JSON = "application/json"


class BrowserSettings(msgspec.Struct, frozen=True):
    """Who may call: with ``secret`` whoever knows it; without, only this machine and only our own page.

    ``public_url`` is our origin. ``auth=False`` lets everybody call. ``repr`` hides the secret.
    """

    secret: SecretField = SecretField()
    public_url: str = ""
    auth: bool = True

    def __post_init__(self) -> None:
        keep_secret(self, "secret")

    def __repr__(self) -> str:
        return f"BrowserSettings(public_url={self.public_url!r}, auth={self.auth})"


class _CallRequest(msgspec.Struct):
    rate: int = _DEFAULT_RATE
    key: str = ""

    def __repr__(self) -> str:
        return f"_CallRequest(rate={self.rate})"


class _Message(msgspec.Struct):
    type: str


class _DtmfMessage(msgspec.Struct):
    digit: str


class BrowserDialect(BaseDialect):
    """A page's message language, for one call.

    Webhook and upgrade tell the rate of the page's audio, and each makes an id for its call. *call_id* is for one
    that was told of in another way, at 48 kHz.
    """

    name: ClassVar[str] = "browser"
    # A page queues as much as it likes; it says nothing of what it has played.
    caps: ClassVar[Caps] = Caps(
        exact_frames=False, max_lead_ms=60_000, marks=False, clear=True, unannounced=True
    )
    routes: ClassVar[Routes] = Routes("call", ("POST",))
    leg_format: LegFormat

    def __init__(self, settings: BrowserSettings, *, call_id: str = "") -> None:
        self._settings = settings
        self._call_id = call_id
        self._parameters: dict[str, str] = {}
        self._is_open = False
        self.leg_format = LegFormat("pcm_s16le", _DEFAULT_RATE)

    # Before the call has a socket

    def check_webhook(self, request: WebhookRequest) -> Refusal | None:
        """Return why a page may not call, or ``None`` if it may."""
        try:
            key = _read_request(request).key
        except ProtocolError:
            key = ""
        return self._check_access(request, key)

    def read_voice_webhook(self, request: WebhookRequest) -> IncomingCall:
        """Return the call that a page asks for; it is this dialect's from here.

        Raises ``ProtocolError`` for a rate that cannot be bridged.
        """
        rate = _read_request(request).rate
        if not _is_possible(rate):
            raise ProtocolError(_RATES)
        self.leg_format = LegFormat("pcm_s16le", rate)
        self._call_id = _new_call_id()
        return IncomingCall(self._call_id, fields={"rate": str(rate)})

    def read_status_webhook(self, request: WebhookRequest) -> StatusReport:
        """Refuse: a page has only its socket. Raises ``ProtocolError``."""
        raise ProtocolError("the browser provider has no status webhook")

    def answer(self, media_url: str, status_url: str, parameters: Mapping[str, str]) -> Document:
        """Return what tells the page where to connect, and in which rate to speak."""
        self._parameters = dict(parameters)
        rate = self.leg_format.sample_rate
        told = {"url": f"{media_url}?rate={rate}", "rate": rate}
        return Document(_JSON, msgspec.json.encode(told))

    def refuse(self, reason: str) -> Document:
        """Return what tells the page that there will be no call. The *reason* is not the caller's to know."""
        del reason
        return Document(_JSON, b'{"error":"the call was not taken"}')

    def check_upgrade(self, request: UpgradeRequest) -> Refusal | None:
        """Return why a socket must be refused. One with a token in its path needs no key: the token is it."""
        if _TOKEN_PATH.match(request.path):
            return None
        try:
            query = parse_qsl(
                request.path.partition("?")[2], keep_blank_values=True, max_num_fields=_MAX_QUERY_FIELDS
            )
        except ValueError:
            return Refusal(400, "the query has too many fields")
        fields = dict(query)
        refusal = self._check_access(request, fields.get("key", ""))
        if refusal is not None:
            return refusal
        rate = fields.get("rate", str(_DEFAULT_RATE))
        if not (_RATE.fullmatch(rate) and _is_possible(int(rate))):
            return Refusal(400, _RATES)
        self.leg_format = LegFormat("pcm_s16le", int(rate))
        self._call_id = _new_call_id()
        return None

    def _check_access(self, request: WebhookRequest | UpgradeRequest, key: str) -> Refusal | None:
        known = self._settings
        if not known.auth:
            return None
        return check_access(
            request.headers, request.remote, key, secret=known.secret, public_url=known.public_url
        )

    # On the media socket

    def opened(self) -> Sequence[ProviderEvent]:
        """Return ``Started``, once: the page speaks and listens from here."""
        if self._is_open:
            return ()
        self._is_open = True
        self._call_id = self._call_id or _new_call_id()
        return [Started(self._call_id, self._call_id, self.leg_format, parameters=self._parameters)]

    def feed(self, message: bytes, is_text: bool) -> Sequence[ProviderEvent]:
        """Return the events in one message that is not plain media. Never raises."""
        if not is_text:
            return [Media(message)] if message else [Problem("empty_media", "a binary message is empty")]
        try:
            name = msgspec.json.decode(message, type=_Message).type
            match name:
                case "hangup" | "end-call":
                    return [Stopped(name)]
                case "dtmf":
                    return _read_digit(msgspec.json.decode(message, type=_DtmfMessage).digit)
        except msgspec.ValidationError:
            return [Problem("missing_field", "a message lacks its type, or dtmf its digit")]
        except BROKEN:
            return [Problem("invalid_json", "a message is not valid JSON")]
        return [UnknownMessage(printable(name))]

    def envelope_in(self) -> Envelope:
        """Return that a binary message is audio."""
        return Envelope(text=False)

    def envelope_out(self) -> Envelope:
        """Return that audio goes out as binary messages."""
        return Envelope(text=False)

    def mark(self, name: str) -> SendText | None:
        """Return nothing: a page does not tell what it has played."""
        return None

    def clear(self) -> SendText | None:
        """Return the event on which a page empties its queue."""
        return SendText(b'{"type":"user-interrupted"}')

    def relay(self, event: VapiEvent) -> SendText | None:
        """Return what a page may show: who speaks, what was said, how the call stands. Nothing else of it."""
        told: dict[str, str | None]
        match event:
            case Transcript():
                told = {
                    "role": event.role,
                    "transcriptType": event.transcript_type,
                    "transcript": event.transcript,
                }
                return _message("transcript", told)
            case SpeechUpdate():
                return _message("speech-update", {"role": event.role, "status": event.status})
            case StatusUpdate():
                return _message("status-update", {"status": event.status, "endedReason": event.ended_reason})
        # An interruption is for ``clear`` to say, and only when there was something to drop.
        return None

    def hangup(self) -> Sequence[Command]:
        """Return how to end the page's call: its socket is all there is."""
        return [CloseSocket(1000)]


def _read_request(request: WebhookRequest) -> _CallRequest:
    try:
        return msgspec.json.decode(request.body, type=_CallRequest)
    except BROKEN:
        raise ProtocolError('the body must be JSON such as {"rate": 48000, "key": "..."}') from None


def _is_possible(rate: int) -> bool:
    return _MIN_RATE <= rate <= _MAX_RATE and rate * 20 % 1000 == 0


def _new_call_id() -> str:
    return f"browser-{secrets.token_hex(16)}"


def _read_digit(digit: str) -> Sequence[ProviderEvent]:
    digit = digit.upper()
    return [Dtmf(digit)] if digit in _DIGITS else [Problem("wrong_digit", "dtmf has no known digit")]


def _message(kind: str, told: Mapping[str, str | None]) -> SendText:
    return SendText(msgspec.json.encode({"type": kind, **told}))
