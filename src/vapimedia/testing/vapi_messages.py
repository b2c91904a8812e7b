"""What Vapi's messages hold: the conversation so far, tool calls in their spellings, subscriptions."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from vapimedia.errors import ConfigError
from vapimedia.testing.vapi_rest import ORG, now_iso
from vapimedia.testing.vapi_webhooks import ToolCall

__all__ = [
    "CLIENT_MESSAGES",
    "QUIET_SERVER_MESSAGES",
    "SERVER_MESSAGES",
    "Conversation",
    "ToolSpelling",
    "as_subscribed",
    "assistant_request",
    "predial",
    "speech_timing",
    "tool_calls_message",
]

ToolSpelling = Literal["function", "arguments", "parameters"]

_FINAL = 'transcript[transcriptType="final"]'

# Vapi's defaults, where the assistant names none.
CLIENT_MESSAGES = frozenset(
    (
        "assistant.started",
        "conversation-update",
        "function-call",
        "hang",
        "model-output",
        "speech-update",
        "status-update",
        "tool-calls",
        "transcript",
        "transfer-update",
        "user-interrupted",
        "voice-input",
        "workflow.node.started",
    )
)
SERVER_MESSAGES = frozenset(
    (
        "assistant.started",
        "conversation-update",
        "end-of-call-report",
        "function-call",
        "handoff-destination-request",
        "hang",
        "speech-update",
        "status-update",
        "tool-calls",
        "transfer-destination-request",
        "user-interrupted",
    )
)
# What the fake posts unless it is asked for more: a webhook for every turn of every call is seldom wanted.
QUIET_SERVER_MESSAGES = frozenset(("end-of-call-report", "status-update", "tool-calls"))


def as_subscribed(event: dict[str, Any], kinds: Collection[str]) -> dict[str, Any] | None:
    """Return *event* as a subscriber of *kinds* gets it; ``None`` when it does not."""
    kind = event["type"]
    if kind in kinds:
        return event
    if kind == "transcript" and _FINAL in kinds and event.get("transcriptType") == "final":
        return {**event, "type": _FINAL}  # the type is spelled as it was subscribed to
    return None


@dataclass
class Conversation:
    """What was said, in Vapi's two forms. Times are milliseconds; ``duration`` too, whatever its schema says."""

    begun_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    messages: list[dict[str, Any]] = field(default_factory=list)
    formatted: list[dict[str, str]] = field(default_factory=list)

    def add(self, role: str, text: str, duration_ms: float = 0.0) -> None:
        """Add what has just been said, which took *duration_ms*."""
        end_ms = time.time_ns() // 1_000_000
        at_ms = end_ms - round(duration_ms)
        spoken = {
            "role": "bot" if role == "assistant" else role,
            "message": text,
            "time": at_ms,
            "secondsFromStart": round(max(0, at_ms - self.begun_ms) / 1000, 3),
        }
        if role in {"assistant", "user"}:
            spoken |= {"endTime": end_ms, "duration": round(duration_ms)}
        self.messages.append(spoken)
        self.formatted.append({"role": role, "content": text})

    @property
    def transcript(self) -> str:
        """The dialogue as text."""
        names = {"assistant": "AI", "user": "User"}
        lines = [
            f"{names[one['role']]}: {one['content']}\n" for one in self.formatted if one["role"] in names
        ]
        return "".join(lines)

    def history(self) -> dict[str, Any]:
        """Return the fields of messages that carry the conversation."""
        return {"messages": list(self.messages), "messagesOpenAIFormatted": list(self.formatted)}

    def artifact(self) -> dict[str, Any]:
        """Return the ``artifact`` of webhooks and of the call."""
        return {**self.history(), "transcript": self.transcript}


def tool_calls_message(tools: Sequence[ToolCall], spelling: ToolSpelling = "function") -> dict[str, Any]:
    """Return one ``tool-calls`` message for all *tools*.

    ``function`` is the specification's spelling, with the arguments as a JSON string; ``arguments`` and
    ``parameters`` are two that the documentation's pages show, with objects. Raises ``ConfigError`` for others.
    """
    if spelling not in get_args(ToolSpelling):
        known = ", ".join(get_args(ToolSpelling))
        raise ConfigError(f"{spelling!r} is no spelling of tool calls; they are {known}")
    asked, offered = [], []
    for tool in tools:
        schema = {
            "type": "object",
            "properties": {name: {"type": _schema_type(value)} for name, value in tool.arguments.items()},
        }
        match spelling:
            case "function":
                function = {"name": tool.name, "arguments": json.dumps(tool.arguments)}
                one: dict[str, Any] = {"id": tool.id, "type": "function", "function": function}
                about = {"name": tool.name, "parameters": schema}
                asked.append(one)
                offered.append({"type": "function", "async": False, "function": about, "toolCall": one})
            case "arguments":
                asked.append({"id": tool.id, "name": tool.name, "arguments": tool.arguments})
                given = {"name": tool.name, "parameters": tool.arguments}
                one = {"id": tool.id, "type": "function", "function": given}
                about = {"type": "function", "name": tool.name, "parameters": schema, "messages": []}
                offered.append({**about, "toolCall": one})
            case "parameters":
                asked.append({"id": tool.id, "name": tool.name, "parameters": tool.arguments})
                one = {"id": tool.id, "parameters": tool.arguments}
                offered.append({"name": tool.name, "toolCall": one})
    return {"type": "tool-calls", "toolCallList": asked, "toolWithToolCallList": offered}


def _schema_type(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def assistant_request(call_id: str, caller: str, called: str) -> dict[str, Any]:
    """Return the question that an inbound phone call begins with."""
    number_id, sid = "1f0c7a55-1111-4222-8333-444455556666", f"CA{call_id.replace('-', '')}"
    call = {
        "id": call_id,
        "orgId": ORG,
        "createdAt": now_iso(),
        "updatedAt": now_iso(),
        "type": "inboundPhoneCall",
        "status": "ringing",
        "cost": 0,
        "phoneCallProvider": "twilio",
        "phoneCallProviderId": sid,
        "phoneCallTransport": "pstn",
        "phoneNumberId": number_id,
    }
    return {
        "type": "assistant-request",
        "call": call,
        "customer": {"number": caller},
        "phoneNumber": {"provider": "twilio", "number": called, "twilioAccountSid": "AC" + "0" * 32},
        "artifact": Conversation().history(),
    }


def predial(number: str) -> dict[str, Any]:
    """Return the question before a campaign calls *number*."""
    campaign = "3c3c3c3c-0000-4000-8000-000000000001"
    contact = {"id": "4d4d4d4d-0000-4000-8000-000000000002", "campaignId": campaign, "orgId": ORG}
    contact |= {"number": number, "createdAt": now_iso()}
    return {"type": "campaign.predial", "campaignId": campaign, "contact": contact}


def speech_timing(
    kind: Literal["word-alignment", "word-progress"] | None, text: str, total_ms: float, share: float
) -> dict[str, Any]:
    """Return the ``timing`` of ``assistant.speechStarted``, *share* of the turn spoken; empty without a *kind*."""
    if kind is None:
        return {}
    words = text.split()
    each_ms = total_ms / max(1, len(words))
    starts = [round(each_ms * at) for at in range(len(words))]
    ends = [round(each_ms * (at + 0.8)) for at in range(len(words))]
    if kind == "word-progress":
        n_spoken = round(len(words) * share)
        timed = [
            {"word": word, "startMs": start, "endMs": end}
            for word, start, end in zip(words, starts, ends, strict=True)
        ]
        about = {"segment": text, "segmentDurationMs": round(total_ms), "words": timed}
        return {"timing": {"type": kind, "wordsSpoken": n_spoken, "totalWords": len(words), **about}}
    # The spaces are items of their own.
    spoken, begins, finishes = [], [], []
    for at, word in enumerate(words):
        if at:
            spoken.append(" ")
            begins.append(ends[at - 1])
            finishes.append(starts[at])
        spoken.append(word)
        begins.append(starts[at])
        finishes.append(ends[at])
    times = {"wordsStartTimesMs": begins, "wordsEndTimesMs": finishes}
    return {"timing": {"type": kind, "words": spoken, **times}}
