"""What has been said in a call, as the requests of endpointing and knowledge base tell it."""

from __future__ import annotations

from typing import Any

import msgspec

from vapimedia.protocols._wire import BROKEN
from vapimedia.protocols.vapi import CallEndpointingRequest, KnowledgeBaseRequest

__all__ = ["Conversation", "Said"]


class _Told(msgspec.Struct):
    """One of ``messages``: a call's record has its text as ``message``, Vapi's own example as ``content``."""

    role: Any = None
    message: Any = None
    content: Any = None


_told = msgspec.json.Decoder(list[_Told])


class Said(msgspec.Struct, frozen=True):
    """One message. ``role`` is ``system``, ``user``, ``assistant`` or ``tool``; ``repr`` shows no text."""

    role: str
    content: str

    def __repr__(self) -> str:
        return f"Said({self.role!r}, {len(self.content)} characters)"


class Conversation(msgspec.Struct, frozen=True):
    """A conversation so far, oldest message first. ``request`` is the message of Vapi with all it holds."""

    messages: tuple[Said, ...]
    request: CallEndpointingRequest | KnowledgeBaseRequest

    @classmethod
    def of(cls, request: CallEndpointingRequest | KnowledgeBaseRequest) -> Conversation:
        """Read the messages of *request*, in either of Vapi's forms; those without a text are left out."""
        return cls(_said(request.openai_messages_json) or _said(request.messages_json), request)

    @property
    def is_unread(self) -> bool:
        """Whether messages came, but none with a role and a text."""
        came = (bytes(self.request.openai_messages_json), bytes(self.request.messages_json))
        return not self.messages and any(one.strip() not in {b"", b"null", b"[]"} for one in came)

    @property
    def call_id(self) -> str:
        """Vapi's call id, or an empty string where the request does not say."""
        return self.request.call_id

    @property
    def last_user_text(self) -> str:
        """What the caller said since the assistant spoke last; empty if nothing."""
        said: list[str] = []
        for message in reversed(self.messages):
            if message.role == "assistant":
                break
            if message.role == "user":
                said.append(message.content)
        return " ".join(reversed(said))

    def __repr__(self) -> str:
        return f"Conversation({len(self.messages)} messages)"


def _said(messages: msgspec.Raw) -> tuple[Said, ...]:
    try:
        told = _told.decode(messages)
    except BROKEN:  # not sent, or no list
        return ()
    read = ((one.role, _text(one.message) or _text(one.content)) for one in told)
    return tuple(
        Said("assistant" if role == "bot" else role, text) for role, text in read if text and _is_role(role)
    )


def _is_role(role: object) -> bool:
    return isinstance(role, str) and bool(role)


def _text(content: Any) -> str:
    """Return the text of a message for a language model: a string, or the texts among its parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, dict)]
    return " ".join(text for text in texts if isinstance(text, str))
