"""Who may call from a browser: whoever knows the secret, or, without one, this machine and our own page.

A page of another site reaches a bridge on its reader's machine too: browsers tell the page's ``Origin``. DNS that
turns a foreign name into 127.0.0.1 shows in ``Host``. A proxy on this machine makes strangers look local: any header
that proxies add turns a request away. One that adds none and rewrites ``Host`` cannot be told: behind a proxy, set a
secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from vapimedia.protocols.dialect import Refusal
from vapimedia.protocols.hosts import is_loopback
from vapimedia.secret import Secret

__all__ = ["bearer_key", "check_access"]

_BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(?::[0-9]{1,5})?")
_ORIGIN = re.compile(r"https?://(?P<host>[^/?#@]+)/?", re.IGNORECASE)
# What proxies add. No browser sends any of it, nor can a page of another site without our leave.
_PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip"})
_PROXY_PREFIXES = ("x-forwarded-", "cf-")


def check_access(
    headers: Mapping[str, str], remote: str, key: str, *, secret: Secret, public_url: str
) -> Refusal | None:
    """Return why a request must be refused, or ``None``. *key* is what it holds beside its headers."""
    if secret:
        return _check_key(key or bearer_key(headers), secret)
    if not is_loopback(remote):
        return Refusal(403, "no secret is configured, so only this machine may call")
    if any(name in _PROXY_HEADERS or name.startswith(_PROXY_PREFIXES) for name in headers):
        return Refusal(403, "no secret is configured, so nobody may call through a proxy")
    host = headers.get("host", "").lower()
    if not _is_local(host):
        return Refusal(403, "no secret is configured, so the Host must name this machine")
    origin = headers.get("origin", "")
    if origin and _host_of(origin) not in {host, _host_of(public_url)} - {""}:
        return Refusal(403, "no secret is configured, so only our own page may call")
    return None


def bearer_key(headers: Mapping[str, str]) -> str:
    """Return the key in ``Authorization: Bearer``, empty without one."""
    found = _BEARER.fullmatch(headers.get("authorization", "").strip())
    return found[1] if found else ""


def _check_key(key: str, secret: Secret) -> Refusal | None:
    if not key:
        return Refusal(401, "the request holds no key")
    return None if secret == key else Refusal(401, "the key is wrong")


def _is_local(host: str) -> bool:
    found = _HOST.fullmatch(host)
    return found is not None and is_loopback(found["name"].strip("[]"))


def _host_of(origin: str) -> str:
    """Return host and port of an origin, empty if it is none (``null``)."""
    found = _ORIGIN.fullmatch(origin)
    return found["host"].lower() if found else ""
