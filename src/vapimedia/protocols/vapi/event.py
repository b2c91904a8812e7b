"""What every message of Vapi has: its type, its time, and the call that it is about."""

from __future__ import annotations

from typing import Any

import msgspec

from vapimedia.errors import VapiError
from vapimedia.protocols.vapi._json import NO_JSON, Number, Part, read_part
from vapimedia.protocols.vapi.call_records import CallRecord, decode_call
from vapimedia.protocols.vapi.calls import Customer
from vapimedia.protocols.vapi.parts import Artifact, CallMessage, OpenAIMessage, PhoneNumber, Shy

__all__ = ["ConversationEvent", "Event", "Malformed", "UnschemedEvent"]


class _CallId(msgspec.Struct):
    id: str = ""


_call_id = msgspec.json.Decoder(_CallId | None)


class Event(Shy, frozen=True, tag_field="type"):
    """Base of every typed Vapi event. Every field may be missing on the wire and is then ``None`` or empty.

    A field whose name ends in ``_json`` is kept as it came, neither checked (but for the call's id) nor decoded;
    the property without that ending reads it, anew each time. It keeps its whole message in memory.
    ``timestamp`` is in ms since 1970 where Vapi sends a number. ``repr`` shows no text that people said, no
    number and no URL.
    """

    timestamp: Number | str | None = None
    call_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="call")
    phone_number_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="phoneNumber")
    customer_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="customer")
    assistant_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="assistant")
    assistant_version: str | Number | None = None
    artifact_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="artifact")
    chat_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="chat")

    phone_number = Part[PhoneNumber]("phone_number_json", PhoneNumber)
    customer = Part[Customer]("customer_json", Customer)
    assistant = Part[dict[str, Any]]("assistant_json", dict[str, Any])
    artifact = Part[Artifact]("artifact_json", Artifact)
    chat = Part[dict[str, Any]]("chat_json", dict[str, Any])

    def __post_init__(self) -> None:
        # What cannot be told which call it is about is refused; everything else of the call may be odd.
        if self.call_json is not NO_JSON:
            read_part(_call_id, self.call_json, "call")

    @property
    def type(self) -> str:
        """The wire's ``type``."""
        return str(self.__struct_config__.tag)

    @property
    def call(self) -> CallRecord | None:
        """The call that this is about, if the event says so and it can be read."""
        try:
            return decode_call(self.call_json)
        except VapiError:
            return None

    @property
    def call_id(self) -> str:
        """Vapi's call id, or an empty string where the event does not say. Cheaper than ``call.id``."""
        call = _call_id.decode(self.call_json) if self.call_json is not NO_JSON else None
        return call.id if call is not None else ""


class ConversationEvent(Event, frozen=True):
    """Base of the events that bring the conversation along, in Vapi's form and in the language model's."""

    messages_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="messages")
    openai_messages_json: msgspec.Raw = msgspec.field(default=NO_JSON, name="messagesOpenAIFormatted")

    messages = Part[list[CallMessage]]("messages_json", list[CallMessage])
    openai_messages = Part[list[OpenAIMessage]]("openai_messages_json", list[OpenAIMessage])


class UnschemedEvent(Event, frozen=True):
    """Base of the events that Vapi names but describes nowhere: ``body_json`` is the whole message."""

    body_json: msgspec.Raw = NO_JSON

    body = Part[dict[str, Any]]("body_json", dict[str, Any])


class Malformed(msgspec.Struct, frozen=True):
    """A message that cannot be read. Counted by ``reason``, never raised.

    ``reason`` is ``invalid_json``, ``not_an_object``, ``missing_type`` or ``wrong_field``; ``type`` is the
    wire's where it could be read; ``text`` names the place in the message, never a value.
    """

    reason: str
    type: str = ""
    text: str = ""
