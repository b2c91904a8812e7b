"""Twilio Media Streams, bidirectional (``<Connect><Stream>``).

Twilio is the WebSocket client. Every message both ways is text with one JSON object; media is base64 of
mulaw/8000. What is asked of the REST API and told by webhooks is in ``twilio_calls``.
Source: twilio.com/docs/voice/media-streams, /docs/voice/twiml/stream.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import msgspec

from vapimedia.errors import ConfigError, StateError
from vapimedia.media import Envelope
from vapimedia.protocols._wire import BROKEN, printable
from vapimedia.protocols.commands import CloseSocket, Command, HttpCall, SendText
from vapimedia.protocols.dialect import (
    BaseDialect,
    Caps,
    DialRequest,
    Document,
    IncomingCall,
    Refusal,
    Routes,
    StatusReport,
    UpgradeRequest,
    WebhookRequest,
)
from vapimedia.protocols.events import (
    Connected,
    Dtmf,
    LegFormat,
    MarkPlayed,
    Media,
    Problem,
    ProviderEvent,
    Started,
    Stopped,
    UnknownMessage,
)
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.protocols.twilio_calls import (
    dial_request,
    dialled_call,
    forward_request,
    hangup_request,
    is_sid,
    status_report,
    webhook_fields,
)
from vapimedia.protocols.twilio_messages import (
    DtmfMessage,
    MarkMessage,
    MediaMessage,
    StartMessage,
    StopMessage,
    read_event,
)
from vapimedia.protocols.twilio_signature import check_upgrade_signature, check_webhook_signature
from vapimedia.protocols.twilio_twiml import connect_stream, hang_up
from vapimedia.secret import SecretField, keep_secret

__all__ = ["TwilioDialect", "TwilioSettings"]

# Twilio stops a stream whose call goes on with other TwiML, and closes its socket itself.
_FORWARD_GRACE_MS = 2000
_PUBLIC_URL = re.compile(r"https?://[^/?#\s@]+(/[^?#\s]*)?")
_DIGITS = frozenset("0123456789*#ABCD")
_Message = TypeVar("_Message", bound=msgspec.Struct)


class TwilioSettings(msgspec.Struct, frozen=True):
    """The account, and how Twilio reaches us.

    ``public_url`` is what stands in Twilio's console, up to the path of our routes (``https://host``);
    signatures are checked against it. ``auth=False`` accepts unsigned requests and any account. ``repr``
    hides the token.
    """

    account_sid: str = ""
    auth_token: SecretField = SecretField()
    api_url: str = "https://api.twilio.com"
    public_url: str = ""
    auth: bool = True

    def __post_init__(self) -> None:
        keep_secret(self, "auth_token")
        if self.public_url and not _PUBLIC_URL.fullmatch(self.public_url):
            raise ConfigError("the public URL must look like https://host, without user, query or fragment")

    def __repr__(self) -> str:
        shown = f"account_sid={self.account_sid!r}, public_url={self.public_url!r}, auth={self.auth}"
        return f"TwilioSettings({shown})"


class TwilioDialect(BaseDialect):
    """Twilio's message language, for one call.

    With *call_id*, the call that the voice webhook announced, a ``start`` for any other call is refused.
    """

    name: ClassVar[str] = "twilio"
    # Twilio plays any chunk size and buffers 10 minutes; audio beyond is dropped (warning 31931).
    caps: ClassVar[Caps] = Caps(
        exact_frames=False, max_lead_ms=60_000, marks=True, clear=True, dials=True, forwards=True
    )
    routes: ClassVar[Routes] = Routes("voice", ("POST",), "status")
    leg_format: LegFormat

    def __init__(self, settings: TwilioSettings, *, call_id: str = "") -> None:
        self.leg_format = LegFormat("mulaw", 8000)
        self._settings = settings
        self._call_id = call_id
        self._stream_id = ""
        self._stopped = False

    # Before the call has a socket

    def check_webhook(self, request: WebhookRequest) -> Refusal | None:
        """Return why the webhook must be refused, or ``None`` if Twilio signed it."""
        if not self._settings.auth:
            return None
        return check_webhook_signature(request, self._settings.public_url, self._settings.auth_token)

    def check_upgrade(self, request: UpgradeRequest) -> Refusal | None:
        """Return why the upgrade must be refused, or ``None`` if Twilio signed it."""
        if not self._settings.auth:
            return None
        return check_upgrade_signature(request, self._settings.public_url, self._settings.auth_token)

    def read_voice_webhook(self, request: WebhookRequest) -> IncomingCall:
        """Return the call that a voice webhook announces; it is this dialect's from here.

        Raises ``ProtocolError`` if it names none.
        """
        fields = webhook_fields(request)
        self._call_id = fields["CallSid"]
        direction = fields.get("Direction", "inbound")
        return IncomingCall(
            call_id=fields["CallSid"],
            from_=fields.get("From", ""),
            to=fields.get("To", ""),
            # Twilio distinguishes outbound-api from outbound-dial.
            direction="outbound" if direction.startswith("outbound") else "inbound",
            account_id=fields.get("AccountSid", ""),
            fields=fields,
        )

    def read_status_webhook(self, request: WebhookRequest) -> StatusReport:
        """Return what a callback about the stream or the call says, or who answered one that we made.

        Raises ``ProtocolError`` if it names no call.
        """
        return status_report(request)

    def answer(self, media_url: str, status_url: str, parameters: Mapping[str, str]) -> Document:
        """Return the TwiML that opens the stream. Raises ``ConfigError`` for what Twilio would refuse."""
        return connect_stream(media_url, status_url, parameters)

    def refuse(self, reason: str) -> Document:
        """Return the TwiML that ends the call. Twilio has no place for the *reason*."""
        del reason
        return hang_up()

    def dial(self, request: DialRequest) -> HttpCall:
        """Return the API request that makes a call. Raises ``ConfigError`` for what Twilio would refuse."""
        return dial_request(self._settings, request)

    def read_dialled(self, status: int, body: bytes) -> str:
        """Return the SID of the call that the API has made, and keep it for ``hangup``.

        Raises ``ProviderError`` if there is none.
        """
        self._call_id = dialled_call(status, body)
        return self._call_id

    # On the media socket

    def feed(self, message: bytes, is_text: bool) -> Sequence[ProviderEvent]:
        """Return the events in one message that is not plain media. Never raises."""
        if not is_text:
            return [Problem("binary_message", "Twilio sent a binary message; its protocol has only text")]
        try:
            name = read_event(message)
        except msgspec.ValidationError:
            return [Problem("missing_field", "a message is not an object with an event")]
        except BROKEN:
            return [Problem("invalid_json", "a message is not valid JSON")]
        try:
            return self._feed_event(name, message)
        except msgspec.ValidationError as error:
            # The error names the field and the types, not the value.
            text = f"{printable(name)}: {error}"
            return [Problem("missing_field", text, fatal=name == "start" and not self._stream_id)]
        except BROKEN:
            return [Problem("invalid_json", "a message is not valid JSON")]

    def envelope_in(self) -> Envelope:
        """Return how media from Twilio is wrapped. Raises ``StateError`` before ``Started``."""
        expect = {("streamSid",): self._started_stream(), ("media", "track"): "inbound"}
        payload = ("media", "payload")
        return Envelope(text=True, payload=payload, match={("event",): "media"}, expect=expect)

    def envelope_out(self) -> Envelope:
        """Return how media to Twilio must be wrapped. Raises ``StateError`` before ``Started``."""
        stream_id = msgspec.json.encode(self._started_stream())
        prefix = b'{"event":"media","streamSid":' + stream_id + b',"media":{"payload":"'
        return Envelope(text=True, payload=("media", "payload"), prefix=prefix, suffix=b'"}}')

    def mark(self, name: str) -> SendText | None:
        """Return the mark message; ``None`` before ``Started``, when there is nothing to mark."""
        return self._message("mark", {"mark": {"name": name}})

    def clear(self) -> SendText | None:
        """Return the clear message; ``None`` before ``Started``, when there is nothing to clear.

        Twilio answers with every mark that is still out.
        """
        return self._message("clear", {})

    def hangup(self) -> Sequence[Command]:
        """Return how to end the phone leg: by REST where the account is known, and by closing.

        The TwiML has nothing after the stream, so closing alone ends the call too, a little later.
        """
        request = hangup_request(self._settings, self._call_id)
        return [CloseSocket(1000)] if request is None else [request, CloseSocket(1000)]

    def forward(self, to: ForwardTo) -> Sequence[Command]:
        """Return how to have the call go on at *to*: by REST, with TwiML that dials it.

        Raises ``ConfigError`` if the account or the call is unknown.
        """
        request = forward_request(self._settings, self._call_id, to)
        return [request, CloseSocket(1000, grace_ms=_FORWARD_GRACE_MS)]

    def _feed_event(self, name: str, message: bytes) -> Sequence[ProviderEvent]:
        match name:
            case "media":
                return self._media(message)
            case "mark":
                mark = _decode(message, MarkMessage)
                return self._foreign(mark.stream_sid) or [MarkPlayed(mark.mark.name)]
            case "dtmf":
                return self._dtmf(message)
            case "start":
                return self._start(message)
            case "stop":
                return self._stop(message)
            case "connected":
                return [Connected()]
        return [UnknownMessage(printable(name))]

    def _start(self, message: bytes) -> Sequence[ProviderEvent]:
        if self._stream_id:
            return [Problem("second_start", "Twilio sent a second start on one socket; it was ignored")]
        read = _decode(message, StartMessage)
        start, wire = read.start, read.start.media_format
        stream_id = read.stream_sid or start.stream_sid
        if not (is_sid(stream_id) and is_sid(start.call_sid)):
            return [Problem("missing_field", "start has no proper streamSid and callSid", fatal=True)]
        if start.stream_sid not in ("", stream_id):
            return [Problem("wrong_stream", "start names two streams", fatal=True)]
        if self._call_id not in ("", start.call_sid):
            return [Problem("wrong_call", "start is for another call than its voice webhook", fatal=True)]
        account = self._settings.account_sid if self._settings.auth else ""
        if account not in ("", start.account_sid):
            return [Problem("wrong_account", "start is for another account than ours", fatal=True)]
        if (wire.encoding.lower(), wire.sample_rate, wire.channels) != ("audio/x-mulaw", 8000, 1):
            told = f"{printable(wire.encoding)} at {wire.sample_rate:g} Hz with {wire.channels} channels"
            text = f"Twilio announced {told}; only audio/x-mulaw at 8000 Hz with 1 channel can be bridged"
            return [Problem("unsupported_format", text, fatal=True)]
        parameters = {name: _string(raw) for name, raw in (start.custom_parameters or {}).items()}
        self._stream_id, self._call_id = stream_id, start.call_sid
        return [Started(start.call_sid, stream_id, self.leg_format, start.account_sid, parameters)]

    def _media(self, message: bytes) -> Sequence[ProviderEvent]:
        read = _decode(message, MediaMessage)
        foreign = self._foreign(read.stream_sid)
        if foreign:
            return foreign
        if self._stopped:
            return [Problem("media_after_stop", "media came after stop and was dropped")]
        if read.media.track != "inbound":
            return [Problem("foreign_track", "media of another track than inbound was dropped")]
        try:
            payload = binascii.a2b_base64(read.media.payload, strict_mode=True)
        except ValueError:
            return [Problem("invalid_base64", "a media payload is not valid base64 and was dropped")]
        return [Media(payload)] if payload else [Problem("empty_media", "a media payload is empty")]

    def _dtmf(self, message: bytes) -> Sequence[ProviderEvent]:
        read = _decode(message, DtmfMessage)
        foreign = self._foreign(read.stream_sid)
        if foreign:
            return foreign
        digit = read.dtmf.digit.upper()
        return (
            [Dtmf(digit)]
            if digit in _DIGITS
            else [Problem("wrong_digit", "a dtmf message has no known digit")]
        )

    def _stop(self, message: bytes) -> Sequence[ProviderEvent]:
        foreign = self._foreign(_decode(message, StopMessage).stream_sid) if self._stream_id else []
        if foreign or self._stopped:
            return foreign
        self._stopped = True
        return [Stopped("stop")]

    def _foreign(self, stream_id: str | None) -> Sequence[ProviderEvent]:
        """Return the problem if a message of *stream_id* is not one of this stream, else nothing."""
        if not self._stream_id:
            return [
                Problem("media_before_start", "a message of a stream came before its start and was dropped")
            ]
        if stream_id not in (None, self._stream_id):
            return [Problem("wrong_stream", "a message of another stream was dropped")]
        return []

    def _message(self, event: str, rest: dict[str, Any]) -> SendText | None:
        if not self._stream_id:
            return None
        return SendText(msgspec.json.encode({"event": event, "streamSid": self._stream_id} | rest))

    def _started_stream(self) -> str:
        if not self._stream_id:
            raise StateError("the stream has not started; envelopes exist once feed has returned Started")
        return self._stream_id


def _decode(message: bytes, kind: type[_Message]) -> _Message:
    return msgspec.json.decode(message, type=kind)


def _string(raw: msgspec.Raw) -> str:
    """Return a parameter's value; Twilio sends strings only, anything else stays JSON."""
    wire = bytes(raw)
    return msgspec.json.decode(wire, type=str) if wire.startswith(b'"') else wire.decode()
