"""The URLs that come with a call: which may be used, and what a text is that stands for a call.

Whoever has one of them is in the call: they are secrets, and no text here quotes one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from vapimedia.errors import ConfigError
from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.hosts import is_loopback
from vapimedia.secret import Secret

__all__ = ["bare_url", "check_call_url", "check_monitor_url", "check_url_from_api"]
__all__ += ["is_about_host", "is_url"]

# Vapi's ids are UUIDs; anything that needs no quoting in a path may be one.
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_CONTROL = "the call's controlUrl (https://.../control)"
_NOT_ALLOWED = "is not an allowed host"
_LISTEN = "the call's listenUrl (wss://.../listen)"


def is_url(call: str | Secret) -> bool:
    """Return whether a text that stands for a call is a URL; if not, it is an id. Raises ``ConfigError`` for others."""
    call = Secret(call)
    if "://" in call.reveal():
        return True
    if not _ID.fullmatch(call.reveal()) or call.reveal().strip(".") == "":
        raise ConfigError(
            "that is neither the id of a Vapi call nor one of its URLs; an id is in POST /call's answer"
        )
    return False


def bare_url(url: str | Secret | None) -> Secret:
    """Return *url* without the angle brackets that the documentation, and some answers, put around it."""
    return Secret(Secret(url or "").reveal().strip().removeprefix("<").removesuffix(">"))


def check_monitor_url(url: str | Secret, kind: str) -> None:
    """Raise ``ConfigError`` when *url* is plainly another of a call's URLs than its ``control`` or ``listen`` one."""
    text = Secret(url).reveal().strip()
    path, is_socket = text.rstrip("/>").rpartition("/")[2], text.lower().startswith(("ws://", "wss://"))
    if kind == "control" and (is_socket or path in ("listen", "transport")):
        other = "call socket" if path == "transport" else "listenUrl"
        raise ConfigError(
            f"that is the {other} of a call, which takes no control messages; give {_CONTROL} or its id"
        )
    if kind == "listen" and not is_socket:
        raise ConfigError(f"that is no listenUrl; give {_LISTEN} or the call's id")


def check_url_from_api(url: str | Secret, api_url: str, allowed_hosts: Iterable[str]) -> Refusal | None:
    """Return why *url*, which came from the API at *api_url*, must not be used, or ``None``.

    The API's own host may serve calls too. Loopback may only if the API is there, lest it point back at us.
    """
    url, api = Secret(url), urlsplit(api_url).hostname or ""
    refusal = check_call_url(url, (*allowed_hosts, api))
    if refusal is not None and is_loopback(api):
        try:
            own = urlsplit(url.reveal()).hostname or ""
        except ValueError:
            return refusal
        return check_call_url(url, [own]) if is_loopback(own) else refusal
    return refusal


def check_call_url(
    url: str | Secret, allowed_hosts: Iterable[str], allow_plain: bool = False
) -> Refusal | None:
    """Return why *url*, which came from the API, must not be used, or ``None`` if it is safe.

    It must be wss or https (ws or http on a loopback address, or anywhere if *allow_plain*), without
    user information, on one of *allowed_hosts* or a subdomain of one. The reason names the host at
    most, never the URL.
    """
    url = Secret(url)
    # urlsplit drops tabs and newlines and lets a backslash through, which others read as a slash.
    if any(char <= " " or char > "~" or char in '\\"<>' for char in url.reveal()):
        return Refusal(502, "the call's URL holds characters that no URL has")
    try:
        parts = urlsplit(url.reveal())
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        return Refusal(502, "the call's URL cannot be read")
    if "@" in parts.netloc or port == 0 or not host or "%" in host:
        return Refusal(502, "the call's URL has user information, port 0, or no proper host")
    plain_is_fine = allow_plain or is_loopback(host)
    if parts.scheme not in ("wss", "https") and not (parts.scheme in ("ws", "http") and plain_is_fine):
        return Refusal(502, "the call's URL is neither wss nor https")
    allowed = [name.lower().strip("[]").strip(".") for name in allowed_hosts]
    if not any(name and (host == name or _is_subdomain(host, name)) for name in allowed):
        return Refusal(502, f"the call's URL is on {host[:100]}, which {_NOT_ALLOWED}")
    return None


def is_about_host(refusal: Refusal) -> bool:
    """Return whether it is the host alone that keeps the URL from being used: allowing it would help."""
    return refusal.reason.endswith(_NOT_ALLOWED)


def _is_subdomain(host: str, name: str) -> bool:
    return host.endswith("." + name) and not _is_address(host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
