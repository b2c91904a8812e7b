"""Where and why a message cannot be read, told without what it held."""

from __future__ import annotations

import re

import msgspec

from vapimedia.protocols._wire import BROKEN, without_values
from vapimedia.protocols.vapi.event import Malformed

__all__ = ["describe_malformed"]

_PATH = re.compile(r"^(.*?)(?: - at `\$(.*)`)?$", re.S)


class _Envelope(msgspec.Struct):
    message: msgspec.Raw = msgspec.Raw(b"")
    type: msgspec.Raw = msgspec.Raw(b"")


def describe_malformed(message: Malformed, body: bytes) -> str:
    """Return where and why *body* cannot be read, as ``$.message.call: Expected object, got int``: no values."""
    match = _PATH.match(message.text)
    why, path = (match[1], match[2] or "") if match else (message.text, "")
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
        if bytes(envelope.message) and not bytes(envelope.type) and not path.startswith(".message"):
            path = f".message{path}"
    except BROKEN:
        pass  # it is the body as a whole that is wrong
    return f"${path}: {without_values(why).replace('`', '')}"
