"""The shape that every provider's dialect has. Data plus small sans-I/O methods; media never passes through.

One object speaks for one call. It keeps what the call taught it (stream id, whether ``start`` was seen) and
nothing else: no socket, no clock, no task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import msgspec

from vapimedia.errors import ConfigError, ProviderError
from vapimedia.media import Envelope
from vapimedia.protocols.commands import Command, HttpCall, SendText
from vapimedia.protocols.events import LegFormat, ProviderEvent
from vapimedia.protocols.forwarding import ForwardTo
from vapimedia.secret import SecretField, keep_secret

if TYPE_CHECKING:
    from vapimedia.protocols.vapi import VapiEvent

__all__ = [
    "BaseDialect",
    "Caps",
    "DialRequest",
    "Dialect",
    "Document",
    "IncomingCall",
    "Refusal",
    "Routes",
    "StatusReport",
    "UpgradeRequest",
    "WebhookRequest",
]


class Caps(msgspec.Struct, frozen=True):
    """What a provider's media socket can do. The numbers come from its documentation, noted at each dialect.

    ``exact_frames``: every message to the provider must be exactly one 20 ms frame; otherwise any size goes.
    ``max_lead_ms``: how far ahead of playout we send at most (always below the provider's own buffer).
    ``marks``: whether the provider reports playout; ``clear``: whether it can drop what it has queued.
    ``reorder``: media may arrive out of order and is put right by its number (``Envelope(number=)``).
    ``unannounced``: a media socket may come without a webhook before it; its upgrade proves who it is.
    ``dials``: the provider makes calls when its API is asked to; ``forwards``: it lets one go on elsewhere.
    """

    exact_frames: bool
    max_lead_ms: int
    marks: bool
    clear: bool
    reorder: bool = False
    unannounced: bool = False
    dials: bool = False
    forwards: bool = False


class Routes(msgspec.Struct, frozen=True):
    """Where a provider's webhooks arrive, as path segments below ``/{provider}/``.

    ``answer``: a call comes in; ``status``: what became of one (empty: the provider has no such webhook).
    """

    answer: str
    answer_methods: tuple[str, ...]
    status: str = ""
    status_methods: tuple[str, ...] = ("POST",)


class UpgradeRequest(msgspec.Struct, frozen=True):
    """The WebSocket upgrade as it came in. Header names are lower case; ``path`` is raw, with its query.

    ``remote`` is the peer's address, ``received_s`` the time in s since 1970.
    """

    path: str
    headers: Mapping[str, str]
    remote: str = ""
    received_s: float = 0.0

    def __repr__(self) -> str:
        return "UpgradeRequest()"


class WebhookRequest(msgspec.Struct, frozen=True):
    """A webhook as it came in. Header names are lower case; ``path`` with its query and ``body`` are raw.

    ``remote`` is the peer's address, ``received_s`` the time in s since 1970.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    remote: str = ""
    received_s: float = 0.0

    def __repr__(self) -> str:
        return f"WebhookRequest({self.method}, {len(self.body)} bytes)"


class Refusal(msgspec.Struct, frozen=True):
    """Why a request is turned away. ``status`` is the HTTP status; ``reason`` never holds a secret."""

    status: int
    reason: str


class IncomingCall(msgspec.Struct, frozen=True):
    """What a voice webhook says about a call. ``from_`` and ``to`` never reach a log."""

    call_id: str
    from_: str = ""
    to: str = ""
    direction: str = "inbound"
    account_id: str = ""
    fields: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"IncomingCall(call_id={self.call_id!r}, direction={self.direction!r})"


class StatusReport(msgspec.Struct, frozen=True):
    """What a status webhook says about a call.

    ``call_id`` is the provider's id of the phone call, empty if the webhook is about its media leg alone and
    does not tell whose. ``media_lost`` is the provider's word for a media socket that it could not reach or
    that dropped, where it takes a new document as the answer; empty otherwise.
    """

    call_id: str
    events: tuple[ProviderEvent, ...] = ()
    media_lost: str = ""


class DialRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A call to be made. Its ``repr`` shows no number and no URL.

    ``to`` is a phone number in E.164, or ``None`` for a call to the media socket alone. ``from_`` is one of the
    account's numbers. ``document`` is what a call to the media socket alone hears, in the provider's own words.
    ``machine_detection`` is the provider's own word for how to treat an answering machine.
    """

    to: str | None
    from_: str
    media_url: SecretField
    status_url: str
    parameters: Mapping[str, str] = {}
    ring_timeout_s: int = 60
    machine_detection: str = ""
    document: Any = None

    def __post_init__(self) -> None:
        keep_secret(self, "media_url")

    def __repr__(self) -> str:
        return "DialRequest()"


class Document(msgspec.Struct, frozen=True):
    """An HTTP answer body: TwiML, NCCO."""

    content_type: str
    body: bytes

    def __repr__(self) -> str:
        # It holds the media URL with its token.
        return f"Document({self.content_type!r}, {len(self.body)} bytes)"


class Dialect(Protocol):
    """One provider's message language, for one call. See ``protocols/twilio.py`` for the reference one."""

    name: ClassVar[str]
    caps: ClassVar[Caps]
    routes: ClassVar[Routes]
    leg_format: LegFormat
    """What the wire carries; expected before ``Started``, confirmed by it."""

    # Before the call has a socket
    def check_webhook(self, request: WebhookRequest) -> Refusal | None:
        """Return why the webhook must be refused, or ``None`` if its signature is good."""

    def read_voice_webhook(self, request: WebhookRequest) -> IncomingCall:
        """Return the call that a voice webhook announces, and speak for it from here.

        Raises ``ProtocolError`` if it names none.
        """

    def read_status_webhook(self, request: WebhookRequest) -> StatusReport:
        """Return what a status callback says: ``Stopped`` for a final one.

        Raises ``ProtocolError`` if it names no call.
        """

    def answer(self, media_url: str, status_url: str, parameters: Mapping[str, str]) -> Document:
        """Return the document that makes the provider open the media socket at *media_url*."""

    def refuse(self, reason: str) -> Document:
        """Return the document that ends the call politely, sent with status 200 when it cannot be bridged."""

    def fallback(self, document: Any) -> Document:
        """Return *document*, in the provider's own words, as the answer to a report of lost media.

        Raises ``ConfigError`` if it is none, or the provider takes none.
        """

    def check_upgrade(self, request: UpgradeRequest) -> Refusal | None:
        """Return why the upgrade must be refused, or ``None`` if its signature is good.

        Where the upgrade tells the format, ``leg_format`` holds it afterwards.
        """

    def dial(self, request: DialRequest) -> HttpCall:
        """Return the API request that makes a call. Raises ``ConfigError`` for what the provider would refuse."""

    def read_dialled(self, status: int, body: bytes) -> str:
        """Return the id of the call that the API has made, and keep it for ``hangup``.

        Raises ``ProviderError`` if there is none; its text holds no number.
        """

    # On the media socket

    def opened(self) -> Sequence[ProviderEvent]:
        """Return what the open socket itself means: ``Started`` where no message says so."""

    def feed(self, message: bytes, is_text: bool) -> Sequence[ProviderEvent]:
        """Return the events in one message that is not plain media. Never raises."""

    def envelope_in(self) -> Envelope:
        """Return how media from the provider is wrapped. Valid once ``Started`` was returned."""

    def envelope_out(self) -> Envelope:
        """Return how media to the provider must be wrapped. Valid once ``Started`` was returned."""

    def mark(self, name: str) -> SendText | None:
        """Return the message that asks to be told when all so far was played; ``None`` without marks."""

    def clear(self) -> SendText | None:
        """Return the message that empties the provider's buffer; ``None`` if it cannot."""

    def relay(self, event: VapiEvent) -> SendText | None:
        """Return the message that passes an event of Vapi on to the peer; ``None`` if it is not for the peer."""

    def hangup(self) -> Sequence[Command]:
        """Return how to end the phone leg, in order."""

    def forward(self, to: ForwardTo) -> Sequence[Command]:
        """Return the API request that has the phone call go on at *to*, and how its socket is then left.

        The request is the first and ``awaited``; the rest follows once it has succeeded. Raises ``ConfigError`` where
        the provider cannot.
        """


class BaseDialect:
    """What a dialect does where its provider has nothing of the kind."""

    name: ClassVar[str]

    def fallback(self, document: Any) -> Document:
        """Refuse: the provider takes no new document when media is lost."""
        raise ConfigError(f"{self.name} takes no fallback document; remove the on_fallback handler")

    def dial(self, request: DialRequest) -> HttpCall:
        """Refuse: the provider makes no calls."""
        raise ConfigError(f"{self.name} makes no calls; dial with another provider")

    def read_dialled(self, status: int, body: bytes) -> str:
        """Refuse: no call was asked for."""
        raise ProviderError(f"{self.name} makes no calls", status=status)

    def opened(self) -> Sequence[ProviderEvent]:
        """Return nothing: a message will say that the stream starts."""
        return ()

    def relay(self, event: VapiEvent) -> SendText | None:
        """Return nothing: a phone reads no events."""
        return None

    def forward(self, to: ForwardTo) -> Sequence[Command]:
        """Refuse: there is no phone call to let go on elsewhere."""
        raise ConfigError(f"{self.name} cannot forward a call; it has no phone leg")
