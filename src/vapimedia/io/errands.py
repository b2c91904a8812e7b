"""What a webhook asks for, as one worker tells it to another: plain data. Signatures are checked before."""

from __future__ import annotations

import logging
from typing import Literal

import msgspec

from vapimedia.io.call_log import plain
from vapimedia.protocols.dialect import Document, Refusal, WebhookRequest

__all__ = ["JSON", "Errand", "Reply", "refused"]

_log = logging.getLogger("vapimedia.io")

JSON = "application/json"


class Errand(msgspec.Struct, frozen=True):
    """A webhook about a call that lives elsewhere.

    ``answer`` wants the document of the call that *provider* knows as *call_id* once more; ``status`` says what
    became of it, or of the one that we made as *reference*; ``vapi`` is a server message, for which Vapi has
    waited for *spent_s* already.
    """

    kind: Literal["answer", "status", "vapi"]
    provider: str = ""
    call_id: str = ""
    reference: str = ""
    webhook: WebhookRequest | None = None
    spent_s: float = 0.0

    def __repr__(self) -> str:
        return f"Errand({self.kind!r})"


class Reply(msgspec.Struct, frozen=True):
    """The HTTP answer to a webhook. Its ``repr`` does not show the body, which may hold a token."""

    status: int = 204
    body: bytes = b""
    content_type: str = ""

    @classmethod
    def of(cls, said: Document | Refusal) -> Reply:
        """Return the answer that sends a document, or tells why there is none."""
        if isinstance(said, Document):
            return cls(200, said.body, said.content_type)
        return cls(said.status, f"{said.reason}\n".encode(), "text/plain; charset=utf-8")

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


def refused(refusal: Refusal) -> Reply:
    """Return the answer that refuses a webhook, and log why."""
    _log.warning("webhook refused with %d: %s", refusal.status, plain(refusal.reason))
    return Reply.of(refusal)
