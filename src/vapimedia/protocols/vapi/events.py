"""What Vapi says on the call socket, typed. Unknown fields are ignored; any field but ``type`` may lack.

The webhooks carry many of the same messages: ``server_messages`` decodes them into these classes too.
Source: docs.vapi.ai (WebSocket transport, client messages), and recordings of calls where the two differ.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import msgspec

from vapimedia.protocols.vapi._decoding import TypedDecoder, encode_flat
from vapimedia.protocols.vapi._json import NO_JSON, Buffer, Number, Part, read_text
from vapimedia.protocols.vapi.destinations import Destination
from vapimedia.protocols.vapi.event import ConversationEvent, Event, Malformed, UnschemedEvent
from vapimedia.protocols.vapi.parts import WordAlignment, WordProgress
from vapimedia.protocols.vapi.tool_calls import FunctionCall, ToolCalls, ToolCallsResult

__all__ = [
    "EVENT_ALIASES",
    "EVENT_TYPES",
    "AssistantSpeechStarted",
    "AssistantStarted",
    "CallDeleteFailed",
    "CallDeleted",
    "ChatCreated",
    "ChatDeleted",
    "ConversationUpdate",
    "FinalTranscript",
    "FunctionCallResult",
    "Hang",
    "LanguageChangeDetected",
    "LanguageChanged",
    "Metadata",
    "ModelOutput",
    "SessionCreated",
    "SessionDeleted",
    "SessionUpdated",
    "SpeechUpdate",
    "StatusUpdate",
    "ToolCompleted",
    "Transcript",
    "TransferUpdate",
    "UnknownEvent",
    "UserInterrupted",
    "VapiEvent",
    "VoiceInput",
    "WorkflowNodeStarted",
    "decode_event",
    "encode_event",
]

_OBJECT = dict[str, Any]


class StatusUpdate(ConversationEvent, frozen=True, tag="status-update"):
    """The call's state: ``in-progress`` comes first on the socket, ``ended`` last.

    The conversation so far, *transcript*, *summary* and *destination* come with ``forwarding``.
    """

    shown: ClassVar = ("status", "ended_reason")

    status: str | None = None
    ended_reason: str | None = None
    transcript: str | None = None
    summary: str | None = None
    destination_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="destination")
    debugging_artifacts_json: msgspec.Raw = msgspec.field(
        default=NO_JSON, name="inboundPhoneCallDebuggingArtifacts"
    )

    destination = Part[Destination]("destination_json", Destination)
    debugging_artifacts = Part[_OBJECT]("debugging_artifacts_json", _OBJECT)

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self.status == "ended"


class SpeechUpdate(Event, frozen=True, tag="speech-update"):
    """Somebody started or stopped speaking. Not reliable as the end of a turn."""

    shown: ClassVar = ("status", "role", "turn")

    status: str | None = None
    role: str | None = None
    turn: Number | None = None

    def says(self, role: Literal["user", "assistant"], status: Literal["started", "stopped"]) -> bool:
        """Whether *role* has just *status*."""
        return self.role == role and self.status == status


class Transcript(Event, frozen=True, tag="transcript"):
    """What somebody said. Partials are cumulative within an utterance.

    *confidence* is 0 to 1, by the provider or derived (*confidence_source*); it comes with the user's last
    transcript of an utterance.
    """

    shown: ClassVar = ("role", "transcript_type")

    role: str | None = None
    transcript_type: str | None = None
    transcript: str | None = None
    assistant_id: str | None = None
    assistant_name: str | None = None
    is_filtered: bool | None = None
    detected_threats: list[str] | None = None
    original_transcript: str | None = None
    confidence: Number | None = None
    confidence_source: str | None = None

    @property
    def final(self) -> bool:
        """Whether this is the utterance's last transcript."""
        return self.transcript_type == "final"


class FinalTranscript(Transcript, frozen=True, tag='transcript[transcriptType="final"]'):
    """A transcript under the name of the subscription to last ones only. ``type`` is ``transcript`` all the same."""

    @property
    def type(self) -> str:
        """The wire's ``type`` without the subscription's suffix."""
        return "transcript"


class UserInterrupted(Event, frozen=True, tag="user-interrupted"):
    """The caller spoke over the assistant: what is queued for the caller must be dropped."""

    shown: ClassVar = ("turn_id",)

    turn_id: Number | str | None = None


class ConversationUpdate(ConversationEvent, frozen=True, tag="conversation-update"):
    """The conversation so far, in up to three spellings. Large, and sent often."""

    conversation_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="conversation")

    conversation = Part[list[_OBJECT]]("conversation_json", list[_OBJECT])


class ModelOutput(Event, frozen=True, tag="model-output"):
    """One piece of the model's output: a string on the wire, a list or an object for tool calls."""

    shown: ClassVar = ("turn_id",)

    output_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="output")
    turn_id: Number | str | None = None

    output = Part[Any]("output_json", Any)

    @property
    def text(self) -> str:
        """The piece if it is text, else an empty string."""
        return read_text(self.output_json)


class VoiceInput(Event, frozen=True, tag="voice-input"):
    """Text handed to the voice."""

    shown: ClassVar = ("turn",)

    input: str | None = None
    turn: Number | None = None


class Hang(Event, frozen=True, tag="hang"):
    """The assistant has stalled."""


class TransferUpdate(Event, frozen=True, tag="transfer-update"):
    """The call moves to another assistant or number."""

    destination_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="destination")
    to_assistant_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="toAssistant")
    from_assistant_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="fromAssistant")
    to_step_record_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="toStepRecord")
    from_step_record_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="fromStepRecord")

    destination = Part[Destination]("destination_json", Destination)
    to_assistant = Part[_OBJECT]("to_assistant_json", _OBJECT)
    from_assistant = Part[_OBJECT]("from_assistant_json", _OBJECT)
    to_step_record = Part[_OBJECT]("to_step_record_json", _OBJECT)
    from_step_record = Part[_OBJECT]("from_step_record_json", _OBJECT)


class AssistantStarted(Event, frozen=True, tag="assistant.started"):
    """An assistant takes the call."""

    new_assistant_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="newAssistant")

    new_assistant = Part[_OBJECT]("new_assistant_json", _OBJECT)


class AssistantSpeechStarted(Event, frozen=True, tag="assistant.speechStarted"):
    """The assistant's speech reaches the caller. *text* is the whole turn.

    ``timing`` depends on the voice: ``WordAlignment``, ``WordProgress``, or none.
    """

    shown: ClassVar = ("turn", "source")

    text: str | None = None
    turn: Number | None = None
    source: str | None = None
    timing_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="timing")

    timing = Part[WordAlignment | WordProgress]("timing_json", WordAlignment | WordProgress)


class LanguageChangeDetected(Event, frozen=True, tag="language-change-detected"):
    """The caller speaks another language now."""

    shown: ClassVar = ("language",)

    language: str | None = None


class Metadata(Event, frozen=True, tag="metadata"):
    """Whatever the assistant's author sends along: a string by the schema, kept whatever it is."""

    metadata_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="metadata")

    metadata = Part[Any]("metadata_json", Any)


class WorkflowNodeStarted(Event, frozen=True, tag="workflow.node.started"):
    """A workflow enters a node."""

    node_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="node")

    node = Part[_OBJECT]("node_json", _OBJECT)


class ChatCreated(Event, frozen=True, tag="chat.created"):
    """A chat was created: ``chat``."""


class ChatDeleted(Event, frozen=True, tag="chat.deleted"):
    """A chat was deleted: ``chat``."""


class _SessionEvent(Event, frozen=True):
    session_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="session")

    session = Part[_OBJECT]("session_json", _OBJECT)


class SessionCreated(_SessionEvent, frozen=True, tag="session.created"):
    """A session was created."""


class SessionUpdated(_SessionEvent, frozen=True, tag="session.updated"):
    """A session was changed."""


class SessionDeleted(_SessionEvent, frozen=True, tag="session.deleted"):
    """A session was deleted."""


class CallDeleted(Event, frozen=True, tag="call.deleted"):
    """The call's data was deleted."""


class CallDeleteFailed(Event, frozen=True, tag="call.delete.failed"):
    """The call's data could not be deleted."""


class LanguageChanged(UnschemedEvent, frozen=True, tag="language-changed"):
    """The language has changed; ``language-change-detected`` is the message that is described."""


class ToolCompleted(UnschemedEvent, frozen=True, tag="tool.completed"):
    """A tool has come to its end."""


class FunctionCallResult(UnschemedEvent, frozen=True, tag="function-call-result"):
    """What the function of a ``function-call`` returned."""


class UnknownEvent(msgspec.Struct, frozen=True):
    """An event of a type that is not known here. ``raw`` is its JSON object, out of any envelope."""

    type: str
    raw: bytes

    def __repr__(self) -> str:
        return f"UnknownEvent(type={self.type!r}, {len(self.raw)} bytes)"


VapiEvent = Event | UnknownEvent | Malformed

EVENT_TYPES: tuple[type[Event], ...] = (
    StatusUpdate,
    SpeechUpdate,
    Transcript,
    FinalTranscript,
    UserInterrupted,
    ConversationUpdate,
    ModelOutput,
    VoiceInput,
    ToolCalls,
    ToolCallsResult,
    ToolCompleted,
    FunctionCall,
    FunctionCallResult,
    Hang,
    TransferUpdate,
    AssistantStarted,
    AssistantSpeechStarted,
    LanguageChangeDetected,
    LanguageChanged,
    Metadata,
    WorkflowNodeStarted,
    ChatCreated,
    ChatDeleted,
    SessionCreated,
    SessionUpdated,
    SessionDeleted,
    CallDeleted,
    CallDeleteFailed,
)
# An older spelling of the same message, seen in programs that read it.
EVENT_ALIASES = {"assistant-started": "assistant.started"}

_decoder = TypedDecoder(EVENT_TYPES, UnknownEvent, aliases=EVENT_ALIASES)


def decode_event(data: Buffer) -> VapiEvent:
    """Return the event in one text message of the call socket. Never raises.

    A type that is not known becomes ``UnknownEvent``; broken JSON, or a known type whose fields have wrong
    types, becomes ``Malformed``, which the caller counts. A ``{"message": ...}`` envelope is taken off.
    """
    return cast(VapiEvent, _decoder.decode(data))


def encode_event(event: VapiEvent) -> bytes:
    """Return *event* as the socket carries it: flat, without fields that are null or unknown here.

    Raises ``StateError`` for a ``Malformed`` one, of which nothing is left to send.
    """
    return encode_flat(event)
