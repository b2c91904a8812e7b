"""What Vapi posts to the webhook, typed: ``{"message": {"type": ...}}``.

Only those marked as requests want an answer; ``tools.encode_tool_results`` writes the one for ``ToolCalls``.
Source: docs.vapi.ai (Server URL, events) and its OpenAPI schemas ``ServerMessage*``.
"""

from __future__ import annotations

from typing import ClassVar, cast

import msgspec

from vapimedia.protocols.vapi._decoding import NO_JSON, Buffer, Event, Malformed, TypedDecoder
from vapimedia.protocols.vapi.events import EVENT_ALIASES, EVENT_TYPES

__all__ = [
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
    "VoiceRequest",
    "decode_server_message",
]


class AssistantRequest(Event, frozen=True, tag="assistant-request"):
    """A request: which assistant takes this call? Vapi waits 7.5 s in all."""


class EndOfCallReport(Event, frozen=True, tag="end-of-call-report"):
    """The last word about a call. Recordings and transcript are in ``artifact``."""

    shown: ClassVar = ("ended_reason",)

    ended_reason: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    cost: float | None = None
    costs: msgspec.Raw = NO_JSON
    analysis: msgspec.Raw = NO_JSON
    artifact: msgspec.Raw = NO_JSON
    destination: msgspec.Raw = NO_JSON


class PhoneCallControl(Event, frozen=True, tag="phone-call-control"):
    """Vapi leaves it to us to ``forward`` or ``hang-up`` the phone leg."""

    shown: ClassVar = ("request",)

    request: str | None = None
    destination: msgspec.Raw = NO_JSON


class TransferDestinationRequest(Event, frozen=True, tag="transfer-destination-request"):
    """A request: where should the call be transferred to?"""


class HandoffDestinationRequest(Event, frozen=True, tag="handoff-destination-request"):
    """A request: which assistant takes over?"""

    parameters: msgspec.Raw = NO_JSON


class KnowledgeBaseRequest(Event, frozen=True, tag="knowledge-base-request"):
    """A request: which documents belong to this conversation?"""

    messages: msgspec.Raw = NO_JSON
    messages_open_ai_formatted: msgspec.Raw = msgspec.field(default=NO_JSON, name="messagesOpenAIFormatted")


class VoiceRequest(Event, frozen=True, tag="voice-request"):
    """A request: speak ``text`` as mono pcm_s16le at ``sample_rate``."""

    shown: ClassVar = ("sample_rate",)

    text: str | None = None
    sample_rate: int | float | None = None


class CallEndpointingRequest(Event, frozen=True, tag="call.endpointing.request"):
    """A request: how long until the caller's turn is over?"""

    messages: msgspec.Raw = NO_JSON
    messages_open_ai_formatted: msgspec.Raw = msgspec.field(default=NO_JSON, name="messagesOpenAIFormatted")


class CallArtifactUpload(Event, frozen=True, tag="call.artifact.upload"):
    """Recordings and logs of a call were stored, or not."""

    artifacts: msgspec.Raw = NO_JSON


class CampaignPredial(Event, frozen=True, tag="campaign.predial"):
    """A request: may this contact be called?"""

    shown: ClassVar = ("campaign_id",)

    campaign_id: str | None = None
    contact: msgspec.Raw = NO_JSON


class UnknownServerMessage(msgspec.Struct, frozen=True):
    """A message of a type that is not known here. ``raw`` is its JSON object, out of its envelope."""

    type: str
    raw: bytes

    def __repr__(self) -> str:
        return f"UnknownServerMessage(type={self.type!r}, {len(self.raw)} bytes)"


ServerMessage = Event | UnknownServerMessage | Malformed

_decoder = TypedDecoder(
    (
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
    ),
    UnknownServerMessage,
    aliases=EVENT_ALIASES,
)


def decode_server_message(data: Buffer) -> ServerMessage:
    """Return the message in one webhook body, with or without its envelope. Never raises.

    The rules are those of ``decode_event``; the events that both have are the same classes.
    """
    return cast(ServerMessage, _decoder.decode(data))
