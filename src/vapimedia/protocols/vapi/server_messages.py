"""What Vapi posts to the webhook, typed: ``{"message": {"type": ...}}``.

Only those marked as requests want an answer: ``replies`` has its forms, ``catalogue`` says which is whose.
Source: docs.vapi.ai (Server URL, events) and its OpenAPI schemas ``ServerMessage*``.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import msgspec

from vapimedia.protocols.vapi._decoding import TypedDecoder, encode_flat
from vapimedia.protocols.vapi._json import NO_JSON, Buffer, Number, Part
from vapimedia.protocols.vapi.destinations import Destination, PhoneDestination
from vapimedia.protocols.vapi.event import ConversationEvent, Event, Malformed
from vapimedia.protocols.vapi.events import EVENT_ALIASES, EVENT_TYPES

__all__ = [
    "SERVER_MESSAGE_TYPES",
    "AssistantRequest",
    "CallArtifactUpload",
    "CallEndpointingRequest",
    "CampaignPredial",
    "EndOfCallReport",
    "HandoffDestinationRequest",
    "KnowledgeBaseRequest",
    "PhoneCallControl",
    "ServerMessage",
    "TransferDestinationRequest",
    "UnknownServerMessage",
    "UploadedArtifact",
    "VoiceRequest",
    "decode_server_message",
    "encode_server_message",
]

_OBJECT = dict[str, Any]


class AssistantRequest(Event, frozen=True, tag="assistant-request"):
    """A request: which assistant takes this call? Vapi waits 7.5 s in all."""


class EndOfCallReport(ConversationEvent, frozen=True, tag="end-of-call-report"):
    """The last word about a call. Recordings and transcript are in ``artifact``.

    Beside what the schema has, some calls bring *id*, durations, *transcript*, *summary*, the conversation and
    recordings' URLs.
    """

    shown: ClassVar = ("ended_reason",)

    ended_reason: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    cost: Number | None = None
    costs_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="costs")
    cost_breakdown_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="costBreakdown")
    analysis_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="analysis")
    compliance_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="compliance")
    destination_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="destination")
    id: str | None = None
    duration_ms: Number | None = None
    duration_seconds: Number | None = None
    duration_minutes: Number | None = None
    transcript: str | None = None
    summary: str | None = None
    recording_url: str | None = None
    stereo_recording_url: str | None = None

    costs = Part[list[_OBJECT]]("costs_json", list[_OBJECT])
    cost_breakdown = Part[_OBJECT]("cost_breakdown_json", _OBJECT)
    analysis = Part[_OBJECT]("analysis_json", _OBJECT)
    compliance = Part[_OBJECT]("compliance_json", _OBJECT)
    destination = Part[Destination]("destination_json", Destination)


class PhoneCallControl(Event, frozen=True, tag="phone-call-control"):
    """Vapi leaves it to us to ``forward`` the phone leg to ``destination``, or to ``hang-up``."""

    shown: ClassVar = ("request",)

    request: str | None = None
    destination_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="destination")

    destination = Part[PhoneDestination]("destination_json", PhoneDestination)


class TransferDestinationRequest(Event, frozen=True, tag="transfer-destination-request"):
    """A request: where should the call be transferred to?"""


class HandoffDestinationRequest(Event, frozen=True, tag="handoff-destination-request"):
    """A request: which assistant takes over?"""

    parameters_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="parameters")

    parameters = Part[_OBJECT]("parameters_json", _OBJECT)


class KnowledgeBaseRequest(ConversationEvent, frozen=True, tag="knowledge-base-request"):
    """A request: which documents belong to this conversation?"""


class VoiceRequest(Event, frozen=True, tag="voice-request"):
    """A request: speak *text* as mono pcm_s16le at *sample_rate*."""

    shown: ClassVar = ("sample_rate",)

    text: str | None = None
    sample_rate: Number | None = None


class CallEndpointingRequest(ConversationEvent, frozen=True, tag="call.endpointing.request"):
    """A request: how long until the caller's turn is over? Asked anew with every transcript."""


class UploadedArtifact(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recording or log, and whether it was stored."""

    type: str | None = None
    success: bool | None = None


class CallArtifactUpload(Event, frozen=True, tag="call.artifact.upload"):
    """Recordings and logs of a call were stored, or not."""

    artifacts_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="artifacts")

    artifacts = Part[list[UploadedArtifact]]("artifacts_json", list[UploadedArtifact])


class CampaignPredial(Event, frozen=True, tag="campaign.predial"):
    """A request: may this contact be called?"""

    shown: ClassVar = ("campaign_id",)

    campaign_id: str | None = None
    contact_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="contact")

    contact = Part[_OBJECT]("contact_json", _OBJECT)


class UnknownServerMessage(msgspec.Struct, frozen=True):
    """A message of a type that is not known here. ``raw`` is its JSON object, out of its envelope."""

    type: str
    raw: bytes

    def __repr__(self) -> str:
        return f"UnknownServerMessage(type={self.type!r}, {len(self.raw)} bytes)"


ServerMessage = Event | UnknownServerMessage | Malformed

SERVER_MESSAGE_TYPES: tuple[type[Event], ...] = (
    *EVENT_TYPES,
    AssistantRequest,
    EndOfCallReport,
    PhoneCallControl,
    TransferDestinationRequest,
    HandoffDestinationRequest,
    KnowledgeBaseRequest,
    VoiceRequest,
    CallEndpointingRequest,
    CallArtifactUpload,
    CampaignPredial,
)

_decoder = TypedDecoder(SERVER_MESSAGE_TYPES, UnknownServerMessage, aliases=EVENT_ALIASES)


def decode_server_message(data: Buffer) -> ServerMessage:
    """Return the message in one webhook body, with or without its envelope. Never raises.

    The rules are those of ``decode_event``; the events that both have are the same classes.
    """
    return cast(ServerMessage, _decoder.decode(data))


def encode_server_message(message: ServerMessage) -> bytes:
    """Return *message* as the body of a webhook, in its envelope. Raises ``StateError`` as ``encode_event`` does."""
    return b'{"message":' + encode_flat(message) + b"}"
