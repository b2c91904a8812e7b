"""What can be said to a running call: on its socket, and by POST to its control URL. Compact JSON, checked.

Source: docs.vapi.ai (WebSocket transport, live call control), OpenAPI schemas ``ClientInboundMessage*``.
A wrong argument raises ``ConfigError`` that names what is allowed, never what was said.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from vapimedia.errors import ConfigError

__all__ = [
    "ContextKind",
    "Control",
    "Role",
    "add_message",
    "append_context",
    "control",
    "end_call",
    "hangup",
    "say",
]

Role = Literal["assistant", "function", "user", "system", "tool"]
Control = Literal[
    "mute-assistant", "unmute-assistant", "mute-customer", "unmute-customer", "say-first-message"
]
ContextKind = Literal["commentary", "thinking", "instructions"]

_END_CALL = b'{"type":"end-call"}'
_HANGUP = b'{"type":"hangup"}'


def end_call() -> bytes:
    """Return the message that ends the call."""
    return _END_CALL


def hangup() -> bytes:
    """Return the message that ends the call, by its older name. Documented for the call socket only."""
    return _HANGUP


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
    options = {
        "endCallAfterSpoken": end_call_after_spoken,
        "interruptionsEnabled": interruptions_enabled,
        "interruptAssistantEnabled": interrupt_assistant_enabled,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return _encode({"type": "say", "content": _text(content)} | given)


def add_message(role: Role, content: str, trigger_response: bool = True) -> bytes:
    """Return the message that adds to the conversation; the assistant answers if *trigger_response*."""
    _check("role", role, get_args(Role))
    message = {"role": role, "content": _text(content)}
    return _encode(
        {"type": "add-message", "message": message, "triggerResponseEnabled": bool(trigger_response)}
    )


def append_context(kind: ContextKind, content: str) -> bytes:
    """Return the message that gives the assistant context without a turn of its own."""
    _check("kind", kind, get_args(ContextKind))
    return _encode({"type": "append-context", "kind": kind, "content": _text(content)})


def control(name: Control) -> bytes:
    """Return one of the fixed controls, such as ``mute-assistant``."""
    _check("control", name, get_args(Control))
    return _encode({"type": "control", "control": name})


def _check(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"unknown {what} of a Vapi message; known are {', '.join(known)}")


def _text(content: str) -> str:
    if not isinstance(content, str) or not content:
        raise ConfigError("the content of a Vapi message must be text that is not empty")
    # A lone surrogate cannot be written as UTF-8; it can only come from text that was decoded wrongly.
    return content.encode("utf-8", "replace").decode()


def _encode(message: dict[str, Any]) -> bytes:
    return msgspec.json.encode(message)
