"""Every message that Vapi sends: its class, where it comes, who handles it, what answers it, and how fast.

``docs/reference/vapi.md`` shows this as a table.
"""

from __future__ import annotations

import builtins
from typing import Any

import msgspec

from vapimedia.protocols.vapi import events, replies, server_messages, tool_calls, tools
from vapimedia.protocols.vapi.event import Event

__all__ = ["CATALOGUE", "Entry"]

_SERVER_DEFAULT_S = 20.0
_ASSISTANT_REQUEST_S = 7.5


class Entry(msgspec.Struct, frozen=True):
    """One type of message. *handler* names the decorator of ``Bridge`` that takes it, or is empty.

    *reply* is the class of the answer, or None where none is wanted. *deadline_s* is how long Vapi waits for it:
    7.5 s in all for ``assistant-request``, else ``server.timeoutSeconds``, here its default.
    """

    type: str
    struct: builtins.type[Event]
    on_socket: bool
    on_webhook: bool
    reply: builtins.type[Any] | None = None
    deadline_s: float | None = None
    handler: str = "on_event"


def _told(
    struct: type[Event], *, on_socket: bool = True, on_webhook: bool = True, handler: str = "on_event"
) -> Entry:
    return Entry(_type_of(struct), struct, on_socket, on_webhook, handler=handler)


def _asked(
    struct: type[Event],
    reply: type | None,
    handler: str,
    *,
    deadline_s: float = _SERVER_DEFAULT_S,
    on_socket: bool = False,
) -> Entry:
    return Entry(_type_of(struct), struct, on_socket, True, reply, deadline_s, handler)


def _type_of(struct: type[Event]) -> str:
    return str(struct.__struct_config__.tag)


CATALOGUE: tuple[Entry, ...] = (
    _asked(
        server_messages.AssistantRequest,
        replies.AssistantReply,
        "on_assistant_request",
        deadline_s=_ASSISTANT_REQUEST_S,
    ),
    _asked(tool_calls.ToolCalls, tools.ToolCallsReply, "tool", on_socket=True),
    _asked(server_messages.TransferDestinationRequest, replies.TransferReply, "on_transfer"),
    _asked(server_messages.HandoffDestinationRequest, replies.HandoffReply, "on_handoff"),
    _asked(server_messages.KnowledgeBaseRequest, replies.KnowledgeBaseReply, "on_knowledge_base"),
    _asked(server_messages.CallEndpointingRequest, replies.EndpointingReply, "on_endpointing"),
    _asked(server_messages.CampaignPredial, replies.PredialReply, "on_predial"),
    # Its answer is audio, which a voice server streams.
    _asked(server_messages.VoiceRequest, None, ""),
    _told(server_messages.PhoneCallControl, on_socket=False, handler="on_phone_call_control"),
    _told(server_messages.EndOfCallReport, on_socket=False),
    _told(server_messages.CallArtifactUpload, on_socket=False),
    _told(events.StatusUpdate),
    _told(events.SpeechUpdate),
    _told(events.Transcript),
    _told(events.FinalTranscript),
    _told(events.UserInterrupted),
    _told(events.ConversationUpdate),
    _told(events.ModelOutput),
    _told(events.VoiceInput),
    _told(events.AssistantStarted),
    _told(events.AssistantSpeechStarted),
    _told(events.Hang),
    _told(events.TransferUpdate),
    _told(events.LanguageChangeDetected),
    _told(events.LanguageChanged),
    # Answered where the function is one of our tools; no schema has the form.
    _told(tool_calls.FunctionCall, handler="tool"),
    _told(events.FunctionCallResult, on_webhook=False),
    _told(tool_calls.ToolCallsResult, on_webhook=False),
    _told(events.ToolCompleted, on_webhook=False),
    _told(events.Metadata, on_webhook=False),
    _told(events.WorkflowNodeStarted, on_webhook=False),
    _told(events.ChatCreated),
    _told(events.ChatDeleted),
    _told(events.SessionCreated),
    _told(events.SessionUpdated),
    _told(events.SessionDeleted),
    _told(events.CallDeleted),
    _told(events.CallDeleteFailed),
)
