"""What Vapi says on the call socket, typed. Unknown fields are ignored; any field but ``type`` may lack.

The webhooks carry many of the same messages: ``server_messages`` decodes them into these classes too.
Source: docs.vapi.ai (WebSocket transport, client messages), and recordings of calls where the two differ.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, cast

import msgspec

from vapimedia.protocols._wire import BROKEN
from vapimedia.protocols.vapi._decoding import NO_JSON, Buffer, Event, Malformed, TypedDecoder

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
    "FunctionCall",
    "Hang",
    "LanguageChangeDetected",
    "Metadata",
    "ModelOutput",
    "SessionCreated",
    "SessionDeleted",
    "SessionUpdated",
    "SpeechUpdate",
    "StatusUpdate",
    "ToolCall",
    "ToolCalls",
    "ToolCallsResult",
    "Transcript",
    "TransferUpdate",
    "UnknownEvent",
    "UserInterrupted",
    "VapiEvent",
    "VoiceInput",
    "WorkflowNodeStarted",
    "decode_event",
]


class StatusUpdate(Event, frozen=True, tag="status-update"):
    """The call's state: ``in-progress`` comes first on the socket, ``ended`` last."""

    shown: ClassVar = ("status", "ended_reason")

    status: str | None = None
    ended_reason: str | None = None
    destination: msgspec.Raw = NO_JSON

    @property
    def ended(self) -> bool:
        """Whether the call is over."""
        return self.status == "ended"


class SpeechUpdate(Event, frozen=True, tag="speech-update"):
    """Somebody started or stopped speaking. Not reliable as the end of a turn."""

    shown: ClassVar = ("status", "role", "turn")

    status: str | None = None
    role: str | None = None
    turn: int | float | None = None

    def says(self, role: Literal["user", "assistant"], status: Literal["started", "stopped"]) -> bool:
        """Whether *role* has just *status*."""
        return self.role == role and self.status == status


class Transcript(Event, frozen=True, tag="transcript"):
    """What somebody said. Partials are cumulative within an utterance."""

    shown: ClassVar = ("role", "transcript_type")

    role: str | None = None
    transcript_type: str | None = None
    transcript: str | None = None
    assistant_id: str | None = None
    assistant_name: str | None = None

    @property
    def final(self) -> bool:
        """Whether this is the utterance's last transcript."""
        return self.transcript_type == "final"


class UserInterrupted(Event, frozen=True, tag="user-interrupted"):
    """The caller spoke over the assistant: what is queued for the caller must be dropped."""

    shown: ClassVar = ("turn_id",)

    turn_id: str | None = None


class ConversationUpdate(Event, frozen=True, tag="conversation-update"):
    """The conversation so far, in up to three spellings. Large, and sent often: kept as JSON, not decoded."""

    conversation: msgspec.Raw = NO_JSON
    messages: msgspec.Raw = NO_JSON
    messages_open_ai_formatted: msgspec.Raw = msgspec.field(default=NO_JSON, name="messagesOpenAIFormatted")


class ModelOutput(Event, frozen=True, tag="model-output"):
    """One piece of the model's output: a string on the wire, a list or an object for tool calls."""

    shown: ClassVar = ("turn_id",)

    output: msgspec.Raw = NO_JSON
    turn_id: str | None = None

    @property
    def text(self) -> str:
        """The piece if it is text, else an empty string."""
        return _text(self.output)


class VoiceInput(Event, frozen=True, tag="voice-input"):
    """Text handed to the voice."""

    shown: ClassVar = ("turn",)

    input: str | None = None
    turn: int | float | None = None


class ToolCall(msgspec.Struct, frozen=True):
    """One call of a tool. ``id`` goes back exactly as it came. ``raw_arguments`` is JSON, as it came."""

    id: str
    name: str
    raw_arguments: bytes = b""

    def arguments(self) -> dict[str, Any] | str:
        """Return the arguments as a dict, whether they came as an object or as a string that holds one.

        A string that holds no JSON object is returned as it is; missing arguments are an empty dict.
        """
        try:
            value = msgspec.json.decode(self.raw_arguments or b"{}")
            inner = msgspec.json.decode(value or "{}") if isinstance(value, str) else value
        except BROKEN:
            return _text(self.raw_arguments)
        if isinstance(inner, dict):
            return inner
        if value is None:
            return {}
        return value if isinstance(value, str) else self.raw_arguments.decode("utf-8", "replace")

    def __repr__(self) -> str:
        return f"ToolCall(id={self.id!r}, name={self.name!r})"


class _WireFunction(msgspec.Struct, omit_defaults=True):
    name: str | None = None
    arguments: msgspec.Raw = NO_JSON
    parameters: msgspec.Raw = NO_JSON


class _WireToolCall(msgspec.Struct, omit_defaults=True):
    """All three spellings of a tool call: in ``function``, or flat with ``arguments`` or ``parameters``."""

    id: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = NO_JSON
    parameters: msgspec.Raw = NO_JSON
    function: _WireFunction | None = None

    def read(self, name: str | None = None) -> ToolCall:
        inner = self.function or _WireFunction()
        found = (inner.arguments, inner.parameters, self.arguments, self.parameters)
        raw = next((bytes(value) for value in found if bytes(value)), b"")
        return ToolCall(self.id or "", inner.name or self.name or name or "", raw)


class _WireToolWithCall(msgspec.Struct, omit_defaults=True, rename="camel"):
    name: str | None = None
    function: _WireFunction | None = None
    tool_call: _WireToolCall | None = None

    def read(self) -> ToolCall | None:
        tool = self.function.name if self.function is not None else None
        return self.tool_call.read(tool or self.name) if self.tool_call is not None else None


class ToolCalls(Event, frozen=True, tag="tool-calls"):
    """The assistant wants tools to run. Answered over the webhook, never on the socket."""

    shown: ClassVar = ("calls",)

    tool_call_list: list[_WireToolCall] | None = None
    tool_with_tool_call_list: list[_WireToolWithCall] | None = None

    @property
    def calls(self) -> list[ToolCall]:
        """The calls in Vapi's order, whichever of the three spellings they came in."""
        paired = [call for call in (tool.read() for tool in self.tool_with_tool_call_list or []) if call]
        if not self.tool_call_list:
            return paired
        names = {call.id: call.name for call in paired}
        return [call.read(names.get(call.id or "")) for call in self.tool_call_list]


class ToolCallsResult(Event, frozen=True, tag="tool-calls-result"):
    """What a tool returned, told to the clients."""

    tool_call_result: msgspec.Raw = NO_JSON


class _FunctionCall(msgspec.Struct, omit_defaults=True):
    name: str = ""
    parameters: msgspec.Raw = NO_JSON


class FunctionCall(Event, frozen=True, tag="function-call"):
    """The predecessor of ``tool-calls``. It has no id; the answer is ``{"result": ...}``."""

    function_call: _FunctionCall | None = None

    @property
    def calls(self) -> list[ToolCall]:
        """The call, with an empty id."""
        made = self.function_call
        return [ToolCall("", made.name, bytes(made.parameters))] if made is not None else []


class Hang(Event, frozen=True, tag="hang"):
    """The assistant has stalled."""


class TransferUpdate(Event, frozen=True, tag="transfer-update"):
    """The call moves to another assistant or number."""

    destination: msgspec.Raw = NO_JSON
    to_assistant: msgspec.Raw = NO_JSON
    from_assistant: msgspec.Raw = NO_JSON


class AssistantStarted(Event, frozen=True, tag="assistant.started"):
    """An assistant takes the call."""

    new_assistant: msgspec.Raw = NO_JSON


class AssistantSpeechStarted(Event, frozen=True, tag="assistant.speechStarted"):
    """The assistant's speech reaches the caller. ``text`` is the whole turn; ``timing`` is the voice's."""

    shown: ClassVar = ("turn", "source")

    text: str | None = None
    turn: int | float | None = None
    source: str | None = None
    timing: msgspec.Raw = NO_JSON


class LanguageChangeDetected(Event, frozen=True, tag="language-change-detected"):
    """The caller speaks another language now."""

    shown: ClassVar = ("language",)

    language: str | None = None


class Metadata(Event, frozen=True, tag="metadata"):
    """Whatever the assistant's author sends along."""

    metadata: msgspec.Raw = NO_JSON


class WorkflowNodeStarted(Event, frozen=True, tag="workflow.node.started"):
    """A workflow enters a node."""

    node: msgspec.Raw = NO_JSON


class ChatCreated(Event, frozen=True, tag="chat.created"):
    """A chat was created."""

    chat: msgspec.Raw = NO_JSON


class ChatDeleted(Event, frozen=True, tag="chat.deleted"):
    """A chat was deleted."""

    chat: msgspec.Raw = NO_JSON


class SessionCreated(Event, frozen=True, tag="session.created"):
    """A session was created."""

    session: msgspec.Raw = NO_JSON


class SessionUpdated(Event, frozen=True, tag="session.updated"):
    """A session was changed."""

    session: msgspec.Raw = NO_JSON


class SessionDeleted(Event, frozen=True, tag="session.deleted"):
    """A session was deleted."""

    session: msgspec.Raw = NO_JSON


class CallDeleted(Event, frozen=True, tag="call.deleted"):
    """The call's data was deleted."""


class CallDeleteFailed(Event, frozen=True, tag="call.delete.failed"):
    """The call's data could not be deleted."""


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
    UserInterrupted,
    ConversationUpdate,
    ModelOutput,
    VoiceInput,
    ToolCalls,
    ToolCallsResult,
    FunctionCall,
    Hang,
    TransferUpdate,
    AssistantStarted,
    AssistantSpeechStarted,
    LanguageChangeDetected,
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
# Spellings seen on the wire or in the enumeration of subscriptions, for the same message.
EVENT_ALIASES = {"assistant-started": "assistant.started", "language-changed": "language-change-detected"}

_decoder = TypedDecoder(EVENT_TYPES, UnknownEvent, aliases=EVENT_ALIASES)


def decode_event(data: Buffer) -> VapiEvent:
    """Return the event in one text message of the call socket. Never raises.

    A type that is not known becomes ``UnknownEvent``; broken JSON, or a known type whose fields have wrong
    types, becomes ``Malformed``, which the caller counts. A ``{"message": ...}`` envelope is taken off.
    """
    return cast(VapiEvent, _decoder.decode(data))


def _text(raw: msgspec.Raw | bytes) -> str:
    """Return the string that *raw* holds, or an empty one if it holds something else."""
    try:
        return msgspec.json.decode(raw, type=str)
    except BROKEN:
        return ""
