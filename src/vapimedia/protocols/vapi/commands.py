"""What can be said to a running call: on its socket, and by POST to its control URL. Compact JSON, checked.

Source: docs.vapi.ai (WebSocket transport, live call control), OpenAPI schemas ``ClientInboundMessage*``.
A wrong argument raises ``ConfigError`` that names what is allowed, never what was said.
"""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from vapimedia.errors import ConfigError, ProtocolError
from vapimedia.protocols._wire import BROKEN, describe_broken
from vapimedia.protocols.forwarding import forward_to
from vapimedia.protocols.vapi.destinations import (
    AssistantDestination,
    NumberDestination,
    PhoneDestination,
    SipDestination,
)
from vapimedia.protocols.vapi.parts import OpenAIMessage

__all__ = [
    "AddMessage",
    "AppendContext",
    "ContextKind",
    "Control",
    "ControlMessage",
    "ControlName",
    "EndCall",
    "Handoff",
    "Hangup",
    "Role",
    "Say",
    "SendTransportMessage",
    "SipTransportMessage",
    "Transfer",
    "TransportMessage",
    "TwilioTransportMessage",
    "add_message",
    "append_context",
    "control",
    "decode_control",
    "end_call",
    "handoff",
    "hangup",
    "say",
    "send_transport_message",
    "transfer",
]

Role = Literal["assistant", "function", "user", "system", "tool"]
ControlName = Literal[
    "mute-assistant", "unmute-assistant", "mute-customer", "unmute-customer", "say-first-message"
]
ContextKind = Literal["commentary", "thinking", "instructions"]


class _Command(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag_field="type"
):
    """Base of the messages. ``None`` is left to Vapi's default. ``repr`` shows nothing of what is said."""

    def encode(self) -> bytes:
        """Return the compact JSON that goes out."""
        try:
            return msgspec.json.encode(self)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise ConfigError("a Vapi message holds something that cannot be written as JSON") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Say(_Command, frozen=True, kw_only=True, tag="say"):
    """Have the assistant say something. ``interrupt_assistant_enabled`` replaces what it is saying now."""

    content: str
    end_call_after_spoken: bool | None = None
    interruptions_enabled: bool | None = None
    interrupt_assistant_enabled: bool | None = None


class AddMessage(_Command, frozen=True, kw_only=True, tag="add-message"):
    """Put a message into the conversation; Vapi has the assistant answer it by default."""

    message: OpenAIMessage
    trigger_response_enabled: bool | None = None

    def __post_init__(self) -> None:
        # What Vapi tells may have any role; those that it takes are known.
        if self.message.role not in get_args(Role):
            raise ConfigError("unknown role of a Vapi message - at `$.message.role`")


class AppendContext(_Command, frozen=True, kw_only=True, tag="append-context"):
    """Give the assistant context without a turn of its own."""

    kind: ContextKind
    content: str


class Control(_Command, frozen=True, kw_only=True, tag="control"):
    """Mute, unmute, or say the first message. The delay is of Vapi's web SDK only, and in no schema."""

    control: ControlName
    video_recording_start_delay_seconds: int | float | None = None

    def __repr__(self) -> str:
        return f"Control(control={self.control!r})"


class EndCall(_Command, frozen=True, kw_only=True, tag="end-call"):
    """End the call."""


class Hangup(_Command, frozen=True, kw_only=True, tag="hangup"):
    """End the call, by its older name. Documented for the call socket only."""


class Transfer(_Command, frozen=True, kw_only=True, tag="transfer"):
    """Send the call to a number or a SIP address; ``content`` is spoken first."""

    destination: PhoneDestination | None = None
    content: str | None = None


class Handoff(_Command, frozen=True, kw_only=True, tag="handoff"):
    """Hand the call to another assistant; ``content`` is spoken first."""

    destination: AssistantDestination | None = None
    content: str | None = None


class _TransportMessage(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", tag_field="transport"
):
    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class TwilioTransportMessage(_TransportMessage, frozen=True, kw_only=True, tag="twilio"):
    """TwiML for the phone leg of a call that Vapi has at Twilio."""

    twiml: str


class SipTransportMessage(_TransportMessage, frozen=True, kw_only=True, tag="vapi.sip"):
    """A SIP request inside the dialogue of a call that Vapi has by SIP."""

    sip_verb: Literal["INFO", "MESSAGE", "NOTIFY"]
    headers: dict[str, str] | None = None
    body: str | None = None


TransportMessage = TwilioTransportMessage | SipTransportMessage


class SendTransportMessage(_Command, frozen=True, kw_only=True, tag="send-transport-message"):
    """Tell the transport of a phone call something. Not for calls on the WebSocket transport."""

    message: TransportMessage


ControlMessage = (
    Say | AddMessage | AppendContext | Control | EndCall | Hangup | Transfer | Handoff | SendTransportMessage
)

_DECODER: msgspec.json.Decoder[ControlMessage] = msgspec.json.Decoder(ControlMessage)


class _OldSay(Say, frozen=True, kw_only=True, tag="say"):
    content: str = msgspec.field(name="message")


def decode_control(data: bytes | str) -> ControlMessage:
    """Return the struct of a message that goes to a call. Takes ``say`` with ``message`` for ``content`` too.

    Raises ``ProtocolError`` that names the field, never its value.
    """
    try:
        return _DECODER.decode(data)
    except BROKEN as error:
        try:  # the spelling of Vapi's older pages and of its web SDK
            return Say(**msgspec.structs.asdict(msgspec.json.decode(data, type=_OldSay)))
        except BROKEN:
            pass
        why = describe_broken(error) if isinstance(error, msgspec.ValidationError) else "it is not JSON"
        raise ProtocolError(f"not a message for a Vapi call: {why}") from None


def end_call() -> bytes:
    """Return the message that ends the call."""
    return EndCall().encode()


def hangup() -> bytes:
    """Return the message that ends the call, by its older name. Documented for the call socket only."""
    return Hangup().encode()


def say(
    content: str,
    *,
    end_call_after_spoken: bool | None = None,
    interruptions_enabled: bool | None = None,
    interrupt_assistant_enabled: bool | None = None,
) -> bytes:
    """Return the message that makes the assistant say *content*. What is ``None`` is left to Vapi's default.

    ``interrupt_assistant_enabled`` replaces what the assistant is saying now.
    """
    return Say(
        content=_text(content),
        end_call_after_spoken=end_call_after_spoken,
        interruptions_enabled=interruptions_enabled,
        interrupt_assistant_enabled=interrupt_assistant_enabled,
    ).encode()


def add_message(role: Role, content: str, trigger_response: bool = True) -> bytes:
    """Return the message that adds to the conversation; the assistant answers if *trigger_response*."""
    _check("role", role, get_args(Role))
    message = OpenAIMessage(role=role, content=_text(content))
    return AddMessage(message=message, trigger_response_enabled=bool(trigger_response)).encode()


def append_context(kind: ContextKind, content: str) -> bytes:
    """Return the message that gives the assistant context without a turn of its own."""
    _check("kind", kind, get_args(ContextKind))
    return AppendContext(kind=kind, content=_text(content)).encode()


def control(name: ControlName) -> bytes:
    """Return one of the fixed controls, such as ``mute-assistant``."""
    _check("control", name, get_args(ControlName))
    return Control(control=name).encode()


def transfer(destination: PhoneDestination | str, content: str = "") -> bytes:
    """Return the message that sends the call to *destination*, after *content* was spoken.

    A text stands for a number in E.164, with spaces, dots, brackets and dashes, or with ``sip:`` for an address.
    """
    if isinstance(destination, str):
        to = forward_to(destination)
        is_sip = to.kind == "sip"
        destination = SipDestination(sip_uri=to.address) if is_sip else NumberDestination(number=to.address)
    if not isinstance(destination, PhoneDestination):
        raise ConfigError("a call is transferred to a NumberDestination or a SipDestination")
    return Transfer(destination=destination, content=_text(content) if content else None).encode()


def handoff(destination: AssistantDestination | str, content: str = "") -> bytes:
    """Return the message that hands the call to an assistant, or the one with that id, after *content* was spoken."""
    if isinstance(destination, str):
        destination = AssistantDestination(assistant_id=destination)
    if not isinstance(destination, AssistantDestination):
        raise ConfigError("a call is handed off to an AssistantDestination")
    return Handoff(destination=destination, content=_text(content) if content else None).encode()


def send_transport_message(message: TransportMessage) -> bytes:
    """Return the message that tells the transport of a phone call something."""
    if not isinstance(message, TransportMessage):
        raise ConfigError("a transport message is a TwilioTransportMessage or a SipTransportMessage")
    return SendTransportMessage(message=message).encode()


def _check(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"unknown {what} of a Vapi message; known are {', '.join(known)}")


def _text(content: str) -> str:
    if not isinstance(content, str) or not content:
        raise ConfigError("the content of a Vapi message must be text that is not empty")
    # A lone surrogate cannot be written as UTF-8; it can only come from text that was decoded wrongly.
    return content.encode("utf-8", "replace").decode()
