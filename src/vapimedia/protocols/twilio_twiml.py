"""TwiML, written only through escaping. Source: twilio.com/docs/voice/twiml (Connect, Stream, Dial, Say, Hangup)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlencode

from vapimedia.errors import ConfigError
from vapimedia.protocols.dialect import Document
from vapimedia.protocols.forwarding import ForwardTo

__all__ = ["connect_stream", "dial", "hang_up"]

# Name and value together, exclusive (twilio.com/docs/voice/twiml/stream, custom parameters).
_MAX_PARAMETER = 500
# White space other than a blank would be read back as a blank (XML 1.0 s. 3.3.3), so it is written by number.
_ESCAPES = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
# Everything that XML 1.0 s. 2.2 does not count as a character; no escape makes it one.
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Half a second each, before the keys of an extension.
_PAUSE = "ww"
_MAX_SIP_HEADERS = 1024
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


def dial(to: ForwardTo) -> Document:
    """Return the TwiML that says *to*'s message and connects the call to it. The call ends with that.

    Raises ``ConfigError`` for what Twilio would refuse.
    """
    said = f"<Say>{_escaped(to.message)}</Say>" if to.message else ""
    attributes = {"callerId": to.caller_id} if to.caller_id else {}
    attributes["timeout"] = str(to.ring_timeout_s)
    return _document(f"{said}<Dial{_attributes(attributes)}>{_noun(to)}</Dial>")


def _noun(to: ForwardTo) -> str:
    if to.kind == "number":
        keys = {"sendDigits": _PAUSE + to.extension} if to.extension else {}
        return f"<Number{_attributes(keys)}>{_escaped(to.address)}</Number>"
    headers = urlencode(to.headers, quote_via=quote)
    if len(headers) > _MAX_SIP_HEADERS:
        raise ConfigError(
            f"the SIP headers have {len(headers)} characters and Twilio takes {_MAX_SIP_HEADERS}"
        )
    joint = "&" if "?" in to.address else "?"
    return f"<Sip>{_escaped(to.address + (joint + headers if headers else ''))}</Sip>"


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
        raise ConfigError("a URL, parameter or message holds a character that XML cannot carry; remove it")
    return value.translate(_ESCAPES)


def _document(body: str) -> Document:
    return Document("text/xml", f"{_HEAD}<Response>{body}</Response>".encode())
