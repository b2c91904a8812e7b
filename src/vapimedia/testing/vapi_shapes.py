"""The documented shapes of what Vapi is told: control messages, destinations, replies to webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["CONTROL_TYPES", "PROVEN_ON_SOCKET", "control_problem", "destination_problem", "reply_problems"]

CONTROL_TYPES = (
    "say",
    "add-message",
    "append-context",
    "control",
    "end-call",
    "hangup",
    "transfer",
    "handoff",
    "send-transport-message",
)
# What was seen to work on a call socket; of the others nobody knows.
PROVEN_ON_SOCKET = ("hangup", "end-call", "say", "add-message")

_ROLES = ("assistant", "function", "user", "system", "tool")
_KINDS = ("commentary", "thinking", "instructions")
_CONTROLS = ("mute-assistant", "unmute-assistant", "mute-customer", "unmute-customer", "say-first-message")
_SIP_VERBS = ("INFO", "MESSAGE", "NOTIFY")
_TOOL_MESSAGES = ("request-start", "request-complete", "request-failed", "request-response-delayed")
_FAMILIES = ("assistantId", "assistant", "squadId", "squad", "workflowId", "workflow")
_MAX_ENDPOINTING_S = 15
_SAID = "custom-message"

Fields = Mapping[str, Any]


def control_problem(message: object) -> str | None:
    """Return what is wrong with a control message; ``None`` for a documented one."""
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(kind, str) or kind not in CONTROL_TYPES:
        return f"unknown control message {kind!r}"
    problem = _CONTROL_CHECKS[kind](message)
    return None if problem is None else f"{kind}: {problem}"


def _say(message: Fields) -> str | None:
    # Two spellings are about: content is the documented one, message an older one.
    if not isinstance(message.get("content", message.get("message")), str):
        return "content must be a string"
    return _flags(message, "endCallAfterSpoken", "interruptionsEnabled", "interruptAssistantEnabled")


def _flags(message: Fields, *names: str) -> str | None:
    wrong = [name for name in names if not isinstance(message.get(name, False), bool)]
    return f"{wrong[0]} must be true or false" if wrong else None


def _add_message(message: Fields) -> str | None:
    inner = message.get("message")
    if not isinstance(inner, dict) or not {"role", "content"} <= set(inner):
        return "message must hold role and content"
    if inner["role"] not in _ROLES:
        return f"message.role must be one of {', '.join(_ROLES)}"
    if not isinstance(inner["content"], str):
        return "message.content must be a string"
    return _flags(message, "triggerResponseEnabled")


def _append_context(message: Fields) -> str | None:
    if message.get("kind") not in _KINDS:
        return f"kind must be one of {', '.join(_KINDS)}"
    return None if isinstance(message.get("content"), str) else "content must be a string"


def _control(message: Fields) -> str | None:
    return None if message.get("control") in _CONTROLS else f"control must be one of {', '.join(_CONTROLS)}"


def _transfer(message: Fields) -> str | None:
    if not isinstance(message.get("content", ""), str):
        return "content must be a string"
    if "destination" not in message:
        return None
    return destination_problem(message["destination"], "number", "sip")


def _handoff(message: Fields) -> str | None:
    if not isinstance(message.get("content", ""), str):
        return "content must be a string"
    return destination_problem(message.get("destination"), "assistant")


def _transport_message(message: Fields) -> str | None:
    inner = message.get("message")
    if not isinstance(inner, dict):
        return "message must be an object"
    match inner.get("transport"):
        case "twilio":
            return None if isinstance(inner.get("twiml"), str) else "message.twiml must be a string"
        case "vapi.sip":
            if inner.get("sipVerb") not in _SIP_VERBS:
                return f"message.sipVerb must be one of {', '.join(_SIP_VERBS)}"
            if not isinstance(inner.get("headers", {}), dict):
                return "message.headers must be an object"
            return None if isinstance(inner.get("body", ""), str) else "message.body must be a string"
    return "message.transport must be twilio or vapi.sip"


def _nothing(message: Fields) -> str | None:
    return None


_CONTROL_CHECKS: dict[str, Callable[[Fields], str | None]] = {
    "say": _say,
    "add-message": _add_message,
    "append-context": _append_context,
    "control": _control,
    "end-call": _nothing,
    "hangup": _nothing,
    "transfer": _transfer,
    "handoff": _handoff,
    "send-transport-message": _transport_message,
}


def destination_problem(found: object, *types: str) -> str | None:
    """Return what is wrong with a destination that must be one of *types*."""
    if not isinstance(found, dict) or found.get("type") not in types:
        return f"destination.type must be {' or '.join(types)}"
    match found["type"]:
        case "number":
            number = found.get("number")
            if not isinstance(number, str) or not 3 <= len(number) <= 40:
                return "destination.number must have 3 to 40 characters"
            if found.get("numberE164CheckEnabled", True) and not is_e164(number):
                return "destination.number must be E.164: + and 7 to 15 digits"
            if not 1 <= len(str(found.get("extension", "1"))) <= 10:
                return "destination.extension must have 1 to 10 characters"
        case "sip":
            uri = found.get("sipUri")
            if not isinstance(uri, str) or not uri.startswith(("sip:", "sips:")):
                return "destination.sipUri must begin with sip:"
        case "assistant":
            if not any(found.get(name) for name in ("assistantName", "assistantId", "assistant")):
                return "destination names no assistant"
    if not isinstance(found.get("message", ""), str | dict):
        return "destination.message must be a string or an object"
    return None


def is_e164(number: str) -> bool:
    """Tell whether *number* is a plus sign and up to 15 digits."""
    return number.startswith("+") and number[1:].isdecimal() and 2 <= len(number) <= 16


# --- replies ------------------------------------------------------------------------------------------------


def reply_problems(kind: str, status: int, text: str) -> list[str]:
    """Return what Vapi would not accept of a reply to a message of type *kind*; tool calls aside."""
    if not 200 <= status < 300:
        return [f"HTTP status {status}"]
    check = _REPLY_CHECKS.get(kind)
    if check is None:
        return []
    try:
        reply = json.loads(text)
    except ValueError:
        return ["the reply is no JSON"]
    if not isinstance(reply, dict):
        return ["the reply is no JSON object"]
    problem = check(reply)
    return [] if problem is None else [problem]


def _assistant_reply(reply: Fields) -> str | None:
    if "error" in reply:
        return None if isinstance(reply["error"], str) else "error must be a string"
    if "destination" in reply:
        return destination_problem(reply["destination"], "number", "sip")
    families = [name for name in _FAMILIES if reply.get(name)]
    if len(families) != 1:
        return f"exactly one of {', '.join(_FAMILIES)}, destination or error is needed, got {families}"
    wanted = str if families[0].endswith("Id") else dict
    if not isinstance(reply[families[0]], wanted):
        return f"{families[0]} must be {'a string' if wanted is str else 'an object'}"
    overrides = [name for name in reply if name.endswith("Overrides") and not isinstance(reply[name], dict)]
    return f"{overrides[0]} must be an object" if overrides else None


def _transfer_reply(reply: Fields) -> str | None:
    if "error" in reply:
        return None if isinstance(reply["error"], str) else "error must be a string"
    if "destination" not in reply:
        return "destination or error is needed"
    problem = destination_problem(reply["destination"], "number", "sip", "assistant")
    if problem is not None or "message" not in reply:
        return problem
    message = reply["message"]
    if not isinstance(message, dict) or message.get("type") not in _TOOL_MESSAGES:
        return f"message.type must be one of {', '.join(_TOOL_MESSAGES)}"
    return (
        None if isinstance(message.get("content", message.get("message")), str) else "message has no content"
    )


def _handoff_reply(reply: Fields) -> str | None:
    if not isinstance(reply.get("result", ""), str) or not isinstance(reply.get("error", ""), str):
        return "result and error must be strings"
    if not reply.get("destination"):  # the schema wants one with an error too: an empty one does no harm
        return None if "error" in reply else "destination or error is needed"
    found = reply["destination"]
    if isinstance(found, dict) and found.get("type") in {"squad", "dynamic"}:
        return None
    return destination_problem(found, "assistant", "number", "sip")


def _knowledge_reply(reply: Fields) -> str | None:
    if "message" in reply:
        message = reply["message"]
        if not isinstance(message, dict) or not isinstance(message.get("content"), str):
            return "message.content must be a string"
        return None if message.get("type", _SAID) == _SAID else f"message.type must be {_SAID}"
    documents = reply.get("documents")
    if not isinstance(documents, list):
        return "documents or message is needed"
    for one in documents:
        if not isinstance(one, dict) or not isinstance(one.get("content"), str):
            return "a document needs content"
        if not _is_number(one.get("similarity")):
            return "a document needs its similarity, a number"
        if not isinstance(one.get("uuid", ""), str):
            return "a document's uuid must be a string"
    return None


def _endpointing_reply(reply: Fields) -> str | None:
    timeout_s: Any = reply.get("timeoutSeconds")
    if not _is_number(timeout_s) or not 0 <= timeout_s <= _MAX_ENDPOINTING_S:
        return f"timeoutSeconds must be a number in 0..{_MAX_ENDPOINTING_S}"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _predial_reply(reply: Fields) -> str | None:
    return None if isinstance(reply.get("eligible"), bool) else "eligible must be true or false"


_REPLY_CHECKS: dict[str, Callable[[Fields], str | None]] = {
    "assistant-request": _assistant_reply,
    "transfer-destination-request": _transfer_reply,
    "handoff-destination-request": _handoff_reply,
    "knowledge-base-request": _knowledge_reply,
    "call.endpointing.request": _endpointing_reply,
    "campaign.predial": _predial_reply,
}
