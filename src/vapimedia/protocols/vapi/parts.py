"""What messages of Vapi have in common: our number, the words of the call, its recordings.

Read on demand out of the JSON that an event keeps. No ``repr`` shows a number, a URL or what was said.
Source: docs.vapi.ai, OpenAPI schemas ``Artifact``, ``UserMessage`` and its siblings, ``OpenAIMessage``.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from vapimedia.protocols.vapi._json import NO_JSON, Number, Part

__all__ = [
    "Artifact",
    "CallMessage",
    "OpenAIMessage",
    "PhoneNumber",
    "WordAlignment",
    "WordProgress",
    "WordTime",
]


class Shy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel"):
    """Base of structs whose ``repr`` shows only the fields in ``shown``."""

    shown: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.shown)
        return f"{type(self).__name__}({fields})"


class PhoneNumber(Shy, frozen=True):
    """Our number in the call. The provider's credentials that come with it are not read."""

    shown: ClassVar = ("id", "provider")

    id: str | None = None
    number: str | None = None
    sip_uri: str | None = None
    name: str | None = None
    provider: str | None = None


class CallMessage(Shy, frozen=True):
    """One message of the conversation as Vapi keeps it: of the user, the bot, the system or a tool.

    ``time`` and ``end_time`` are in ms since 1970, ``duration`` is in ms whatever the schema says, and
    ``seconds_from_start`` is in seconds.
    """

    shown: ClassVar = ("role",)

    role: str | None = None
    message: str | None = None
    time: Number | None = None
    end_time: Number | None = None
    seconds_from_start: Number | None = None
    duration: Number | None = None
    source: str | None = None
    assistant_id: str | None = None
    assistant_name: str | None = None
    is_filtered: bool | None = None
    detected_threats: list[str] | None = None
    original_message: str | None = None
    speaker_label: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None
    name: str | None = None
    result: str | None = None
    metadata: dict[str, Any] | None = None


class OpenAIMessage(Shy, frozen=True, rename=None):
    """One message of the conversation as a language model reads it. *content* is a string, parts, or nothing."""

    shown: ClassVar = ("role",)

    role: str | None = None
    content: Any = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class Artifact(Shy, frozen=True):
    """What a call left behind. URLs are secrets; those of recordings may expire."""

    transcript: str | None = None
    recording_url: str | None = None
    stereo_recording_url: str | None = None
    video_recording_url: str | None = None
    log_url: str | None = None
    pcap_url: str | None = None
    recording_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="recording")
    messages_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="messages")
    openai_messages_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="messagesOpenAIFormatted")

    recording = Part[dict[str, Any]]("recording_json", dict[str, Any])
    messages = Part[list[CallMessage]]("messages_json", list[CallMessage])
    openai_messages = Part[list[OpenAIMessage]]("openai_messages_json", list[OpenAIMessage])


class WordAlignment(Shy, frozen=True, tag_field="type", tag="word-alignment"):
    """When each word is heard, in ms from the start of the speech. Items that are only spaces are among them."""

    words: list[str] = []
    words_start_times_ms: list[Number] = []
    words_end_times_ms: list[Number] = []


class WordTime(Shy, frozen=True):
    """One word and when it is heard, in ms."""

    word: str = ""
    start_ms: Number = 0
    end_ms: Number = 0


class WordProgress(Shy, frozen=True, tag_field="type", tag="word-progress"):
    """How many words of the turn were spoken. ``total_words`` is 0 while that is not known."""

    shown: ClassVar = ("words_spoken", "total_words")

    words_spoken: Number = 0
    total_words: Number = 0
    segment: str | None = None
    segment_duration_ms: Number | None = None
    words: list[WordTime] | None = None
