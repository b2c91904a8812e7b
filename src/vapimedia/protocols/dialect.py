"""The shape that every provider's dialect has. Data plus small sans-I/O methods; media never passes through.

One object speaks for one call. It keeps what the call taught it (stream id, whether ``start`` was seen) and
nothing else: no socket, no clock, no task.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol

import msgspec

from vapimedia.media import Envelope
from vapimedia.protocols.commands import Command, SendText
from vapimedia.protocols.events import LegFormat, ProviderEvent

__all__ = ["Caps", "Dialect", "Document", "IncomingCall", "Refusal", "UpgradeRequest", "WebhookRequest"]


class Caps(msgspec.Struct, frozen=True):
    """What a provider's media socket can do. The numbers come from its documentation, noted at each dialect.

    ``exact_frames``: every message to the provider must be exactly one 20 ms frame; otherwise any size goes.
    ``max_lead_ms``: how far ahead of playout we send at most (always below the provider's own buffer).
    ``marks``: whether the provider reports playout; ``clear``: whether it can drop what it has queued.
    ``reorder``: media may arrive out of order and must be put right by its number.
    """

    exact_frames: bool
    max_lead_ms: int
    marks: bool
    clear: bool
    reorder: bool = False


class UpgradeRequest(msgspec.Struct, frozen=True):
    """The WebSocket upgrade as it came in. Header names are lower case; ``path`` is raw, with its query."""

    path: str
    headers: Mapping[str, str]
    remote: str = ""

    def __repr__(self) -> str:
        return "UpgradeRequest()"


class WebhookRequest(msgspec.Struct, frozen=True):
    """A webhook as it came in. Header names are lower case; ``path`` with its query and ``body`` are raw."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    remote: str = ""

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
    leg_format: LegFormat
    """What the wire carries; expected before ``Started``, confirmed by it."""

    # Before the call has a socket
    def check_webhook(self, request: WebhookRequest) -> Refusal | None:
        """Return why the webhook must be refused, or ``None`` if its signature is good."""

    def read_voice_webhook(self, request: WebhookRequest) -> IncomingCall:
        """Return the call that a voice webhook announces. Raises ``ProtocolError`` if it names none."""

    def read_status_webhook(self, request: WebhookRequest) -> tuple[str, list[ProviderEvent]]:
        """Return the call id and what a status callback says: ``Stopped`` for a final one.

        Raises ``ProtocolError`` if it names no call.
        """

    def answer(self, media_url: str, status_url: str, parameters: Mapping[str, str]) -> Document:
        """Return the document that makes the provider open the media socket at *media_url*."""

    def refuse(self, reason: str) -> Document:
        """Return the document that ends the call politely, sent with status 200 when it cannot be bridged."""

    def check_upgrade(self, request: UpgradeRequest) -> Refusal | None:
        """Return why the upgrade must be refused, or ``None`` if its signature is good."""

    # On the media socket
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

    def hangup(self) -> Sequence[Command]:
        """Return how to end the phone leg, in order."""
