"""TwiML, written only through escaping. Source: twilio.com/docs/voice/twiml (Connect, Stream, Hangup)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vapimedia.errors import ConfigError
from vapimedia.protocols.dialect import Document

__all__ = ["connect_stream", "hang_up"]

# Name and value together, exclusive (twilio.com/docs/voice/twiml/stream, custom parameters).
_MAX_PARAMETER = 500
# White space other than a blank would be read back as a blank (XML 1.0 s. 3.3.3), so it is written by number.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
# Everything that XML 1.0 s. 2.2 does not count as a character; no escape makes it one.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def connect_stream(media_url: str, status_url: str, parameters: Mapping[str, str]) -> Document:
    """Return the TwiML that opens a bidirectional stream to *media_url*; its state goes to *status_url*.

    Nothing follows the stream, so the call ends when we close the socket. Raises ``ConfigError`` for a URL or
    a parameter that Twilio would refuse.
    """
    if not media_url.startswith(("wss://", "ws://")) or "?" in media_url or "#" in media_url:
        raise ConfigError("Twilio's media URL must be wss:// without a query string; use parameters instead")
    attributes = {"url": media_url}
    if status_url:
        attributes |= {"statusCallback": status_url, "statusCallbackMethod": "POST"}
    inner = "".join(_parameter(name, value) for name, value in parameters.items())
    return _document(f"<Connect><Stream{_attributes(attributes)}>{inner}</Stream></Connect>")


def hang_up() -> Document:
    """Return the TwiML that says nothing and ends the call.

    ``<Reject>`` would spare the caller an answered call, but it is only valid while an inbound call still
    rings; ``<Hangup>`` is valid in every state and both directions.
    """
    return _document("<Hangup/>")


def _parameter(name: str, value: str) -> str:
    if not name or len(name) + len(value) >= _MAX_PARAMETER:
        raise ConfigError(
            f"a stream parameter's name and value must be under {_MAX_PARAMETER} characters together and the "
            f"name not empty; shorten the value of {name[:40]!r}"
        )
    return f"<Parameter{_attributes({'name': name, 'value': value})}/>"


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f' {name}="{_escaped(value)}"' for name, value in values.items())


def _escaped(value: str) -> str:
    if _NO_XML.search(value):
        raise ConfigError("a URL or stream parameter holds a character that XML cannot carry; remove it")
    return value.translate(_ESCAPES)


def _document(body: str) -> Document:
    return Document("text/xml", f"{_HEAD}<Response>{body}</Response>".encode())
