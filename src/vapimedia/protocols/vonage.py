"""Vonage Voice API WebSockets.

Vonage is the WebSocket client, and a participant of the call like any other. Media is binary both ways, 20 ms of
pcm_s16le in each message; everything else is text with one JSON object. There is no stop message: the socket closes.
Source: Vonage's WebSockets guide, NCCO reference, Voice API reference and pages on signed webhooks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

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
    Cleared,
    LegFormat,
    Media,
    Problem,
    ProviderEvent,
    Started,
    UnknownMessage,
)
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.protocols.seen import OnceLedger, SeenOnce
from vapimedia.protocols.vonage_calls import (
    dial_request,
    dialled_call,
    forward_request,
    hangup_request,
    incoming_call,
    status_report,
)
from vapimedia.protocols.vonage_jwt import TokenCheck, load_private_key
from vapimedia.protocols.vonage_messages import (
    Fields,
    flattened_headers,
    is_id,
    read_dtmf,
    read_message,
    read_notify,
    sample_rate_of,
    word,
)
from vapimedia.protocols.vonage_ncco import (
    CALL_ID,
    SAMPLE_RATES,
    actions_of,
    as_document,
    connect,
    phone_number,
    websocket_endpoint,
)
from vapimedia.secret import SecretField, keep_secret

__all__ = ["VonageDialect", "VonageSettings"]

# Asked to end the call or to let it go on elsewhere, Vonage closes the socket itself; were we first, it would report
# the media as lost.
_HANGUP_GRACE_MS = 2000


class VonageSettings(msgspec.Struct, frozen=True):
    """The account, and how calls are connected. ``auth=False`` accepts unsigned requests.

    ``private_key`` is the application's RSA key in PEM; ``signature_secret`` is the account's, which signs
    webhooks and upgrades; ``from_number`` stands in the NCCO where the webhook names no number of ours. ``repr``
    hides the secrets. Raises ``ConfigError`` for a rate or a number that Vonage does not know.
    """

    api_key: str = ""
    application_id: str = ""
    private_key: SecretField = SecretField()
    signature_secret: SecretField = SecretField()
    api_url: str = "https://api.nexmo.com"
    sample_rate: int = 16000
    from_number: str = ""
    auth: bool = True

    def __post_init__(self) -> None:
        keep_secret(self, "private_key", "signature_secret")
        if self.sample_rate not in SAMPLE_RATES:
            known = ", ".join(map(str, SAMPLE_RATES))
            raise ConfigError(f"vonage_rate is {self.sample_rate}; Vonage knows {known} Hz")
        if self.from_number and not phone_number(self.from_number):
            raise ConfigError("VAPIMEDIA_VONAGE_FROM is no number in E.164: + and 7 to 15 digits")

    def __repr__(self) -> str:
        shown = f"application_id={self.application_id!r}, sample_rate={self.sample_rate}, auth={self.auth}"
        return f"VonageSettings({shown})"


class VonageDialect(BaseDialect):
    """Vonage's message language, for one call. *seen* is shared by all calls of a bridge.

    With *call_id*, the call that the answer webhook announced, a first message for any other call is refused.
    Raises ``ConfigError`` for a private key that cannot sign.
    """

    name: ClassVar[str] = "vonage"
    # 990 messages of 20 ms. Vonage buffers 1024 of them by its WebSockets guide, 3072 by newer texts (its AsyncAPI
    # description, its tutorials). We keep to 1000 unplayed ones, and leave ten for what is under way either side.
    caps: ClassVar[Caps] = Caps(
        exact_frames=True, max_lead_ms=19_800, marks=True, clear=True, dials=True, forwards=True
    )
    routes: ClassVar[Routes] = Routes("answer", ("GET", "POST"), "event", ("GET", "POST"))
    leg_format: LegFormat

    def __init__(
        self, settings: VonageSettings, *, call_id: str = "", seen: OnceLedger | None = None
    ) -> None:
        if settings.private_key:
            load_private_key(settings.private_key)
        self.leg_format = LegFormat("pcm_s16le", settings.sample_rate)
        self._settings = settings
        self._call_id = call_id
        self._called = ""
        self._is_socket_alone = False
        self._started = False
        self._tokens = TokenCheck(
            settings.signature_secret,
            api_key=settings.api_key,
            application_id=settings.application_id,
            seen=SeenOnce() if seen is None else seen,
        )

    # Before the call has a socket

    def check_webhook(self, request: WebhookRequest) -> Refusal | None:
        """Return why the webhook must be refused, or ``None`` if Vonage signed it, and not for an earlier one."""
        if not self._settings.auth:
            return None
        return self._tokens.check("webhook", request, request.body)

    def check_upgrade(self, request: UpgradeRequest) -> Refusal | None:
        """Return why the upgrade must be refused, or ``None`` if Vonage signed it, and not for an earlier one."""
        if not self._settings.auth:
            return None
        return self._tokens.check("upgrade", request)

    def read_voice_webhook(self, request: WebhookRequest) -> IncomingCall:
        """Return the call that a voice webhook announces; it is this dialect's from here, and ours its number.

        Raises ``ProtocolError`` if it names none.
        """
        call = incoming_call(request)
        self._call_id, self._called = call.call_id, phone_number(call.to)
        return call

    def read_status_webhook(self, request: WebhookRequest) -> StatusReport:
        """Return what an event webhook says about the phone's leg or the media socket.

        Raises ``ProtocolError`` if it names no call.
        """
        return status_report(request)

    def answer(self, media_url: str, status_url: str, parameters: Mapping[str, str]) -> Document:
        """Return the NCCO that opens the media socket. Raises ``ConfigError`` for what Vonage would refuse."""
        settings = self._settings
        endpoint = websocket_endpoint(
            media_url, settings.sample_rate, parameters, call_id=self._call_id, signed=settings.auth
        )
        from_ = self._called or phone_number(settings.from_number)
        return as_document([connect(endpoint, status_url, from_)])

    def refuse(self, reason: str) -> Document:
        """Return the NCCO that ends the call: one without actions. It has no place for the *reason*."""
        del reason
        return as_document([])

    def fallback(self, document: Any) -> Document:
        """Return an NCCO of the user's as the answer to a report of lost media. Raises ``ConfigError`` for none."""
        return as_document(actions_of(document))

    def dial(self, request: DialRequest) -> HttpCall:
        """Return the API request that makes a call. Raises ``ConfigError`` for what Vonage would refuse."""
        self._is_socket_alone = request.to is None
        return dial_request(self._settings, request)

    def read_dialled(self, status: int, body: bytes) -> str:
        """Return the id of the call that the API has made, and keep it for ``hangup``.

        Raises ``ProviderError`` if there is none.
        """
        self._call_id = dialled_call(status, body)
        return self._call_id

    # On the media socket

    def feed(self, message: bytes, is_text: bool) -> Sequence[ProviderEvent]:
        """Return the events in one message that is not plain media. Never raises."""
        if not is_text:
            return [self._media(message)]
        try:
            fields = read_message(message)
            name = word(fields, "event")
            if name is None:
                return [self._unreadable("missing_field", "a message is not an object with an event")]
            return [self._event(name, fields)]
        except msgspec.ValidationError:
            return [self._unreadable("missing_field", "a message is not an object with an event")]
        except BROKEN:
            return [self._unreadable("invalid_json", "a message is not valid JSON")]

    def envelope_in(self) -> Envelope:
        """Return how media from Vonage is wrapped: not at all. Raises ``StateError`` before ``Started``."""
        self._check_started()
        return Envelope(text=False)

    def envelope_out(self) -> Envelope:
        """Return how media to Vonage must be wrapped: not at all. Raises ``StateError`` before ``Started``."""
        self._check_started()
        return Envelope(text=False)

    def mark(self, name: str) -> SendText | None:
        """Return the notify message; ``None`` before ``Started``, when there is nothing to mark."""
        return self._message({"action": "notify", "payload": {"name": name}})

    def clear(self) -> SendText | None:
        """Return the clear message; ``None`` before ``Started``, when there is nothing to clear.

        Whether Vonage answers what was marked before is not documented.
        """
        return self._message({"action": "clear"})

    def hangup(self) -> Sequence[Command]:
        """Return how to end the phone leg: by REST where application and call are known, else by closing.

        Closing alone ends the call too: the NCCO has nothing after the socket.
        """
        request = hangup_request(self._settings, self._call_id)
        if request is None:
            return [CloseSocket(1000)]
        return [request, CloseSocket(1000, grace_ms=_HANGUP_GRACE_MS)]

    def forward(self, to: ForwardTo) -> Sequence[Command]:
        """Return how to have the phone go on at *to*: by REST, with an NCCO that connects it.

        Raises ``ConfigError`` if application or call are unknown, or there is no phone: the socket alone was called.
        """
        if self._is_socket_alone:
            raise ConfigError("the media socket alone was called; there is no phone leg to forward")
        from_ = self._called or phone_number(self._settings.from_number)
        request = forward_request(self._settings, self._call_id, to, from_)
        return [request, CloseSocket(1000, grace_ms=_HANGUP_GRACE_MS)]

    def _event(self, name: str, fields: Fields) -> ProviderEvent:
        match name:
            case "websocket:connected":
                return self._start(fields)
            case "websocket:dtmf":
                return self._early() or read_dtmf(fields)
            case "websocket:notify":
                return self._early() or read_notify(fields)
            case "websocket:cleared":
                return self._early() or Cleared()
        return UnknownMessage(printable(name))

    def _start(self, fields: Fields) -> ProviderEvent:
        if self._started:
            return Problem("second_start", "Vonage sent a second first message on one socket; it was ignored")
        # A format that is not told is another than ours too: a fault that leaves the caller to the fallback.
        content_type, rate = word(fields, "content-type") or "", self.leg_format.sample_rate
        if sample_rate_of(content_type) != rate:
            text = f"Vonage announced {printable(content_type)!r}; asked for was audio/l16;rate={rate}"
            return Problem("unsupported_format", text, fatal=True)
        call_id = self._call_id
        if CALL_ID in fields:
            told = word(fields, CALL_ID)
            if told is None or not is_id(told):
                return Problem("missing_field", f"the first message has no proper {CALL_ID}", fatal=True)
            if call_id not in ("", told):
                return Problem("wrong_call", "the first message is for another call than ours", fatal=True)
            call_id = told
        parameters = flattened_headers(fields)
        # A socket has one stream, and Vonage names it after the call.
        self._started, self._call_id = True, call_id
        return Started(call_id, call_id, self.leg_format, parameters=parameters)

    def _media(self, message: bytes) -> ProviderEvent:
        early = self._early()
        if early is not None:
            return early
        if not message:
            return Problem("empty_media", "a media message is empty")
        if len(message) % 2:
            return Problem("odd_media", "a media message has half a sample and was dropped")
        return Media(message)

    def _early(self) -> Problem | None:
        if self._started:
            return None
        return Problem("media_before_start", "a message came before the first one was read and was dropped")

    def _unreadable(self, reason: str, text: str) -> Problem:
        # The first text message is the one that starts the stream; a later one can be done without.
        return Problem(reason, text, fatal=not self._started)

    def _message(self, content: dict[str, Any]) -> SendText | None:
        return SendText(msgspec.json.encode(content)) if self._started else None

    def _check_started(self) -> None:
        if not self._started:
            raise StateError("the stream has not started; envelopes exist once feed has returned Started")
